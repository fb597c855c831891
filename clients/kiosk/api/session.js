/**
 * Who uses this screen: a customer who signed in, and the device itself where it has an API key.
 *
 * Access tokens live in memory. What must outlast a reload or the way to a payment provider and back, the refresh token
 * and the device's key, is kept in sessionStorage: it belongs to this tab and is gone with it. A refresh token is
 * presented once: the server ends a session whose token comes twice, so renewals of one page share one call.
 */

import { ApiError, call, requestId, serverNow } from "./http.js";

const REFRESH = "rowlock.refresh";
const DEVICE = "rowlock.device";
const MARGIN_MS = 30_000;
const REASONS_FOR_RENEWAL = new Set(["TOKEN_EXPIRED", "TOKEN_INVALID", "TOKEN_REVOKED"]);

/** @typedef {{text: string, expires: number}} Token */

/** Emits `change` when somebody signs in or out. */
export class Session extends EventTarget {
  /** @type {any} */
  user = null;
  /** @type {Token | null} */
  #customer = null;
  /** @type {Token | null} */
  #device = null;
  /** @type {Promise<void> | null} */
  #renewal = null;

  /** Whether a customer is signed in. */
  get signedIn() {
    return this.user !== null;
  }

  /** Whether the device has a key of its own. */
  get hasDevice() {
    return Boolean(sessionStorage.getItem(DEVICE));
  }

  /** Go on with the session that this tab had before a reload, if it had one. */
  async restore() {
    if (!sessionStorage.getItem(REFRESH)) return;
    try {
      await this.#renewCustomer();
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason === "NETWORK") throw error;
    }
  }

  /**
   * @param {string} email
   * @param {string} password
   * @throws {ApiError} WRONG_CREDENTIALS, ACCOUNT_DISABLED, RATE_LIMITED
   */
  async signIn(email, password) {
    this.#take(await call("/v1/auth:logIn", { body: { email, password }, repeat: false }));
  }

  /**
   * Open an account, then sign in with it.
   *
   * @param {string} displayName
   * @param {string} email
   * @param {string} password
   * @param {string} locale
   */
  async signUp(displayName, email, password, locale) {
    await call("/v1/auth:signUp", { body: { displayName, email, password, locale, requestId: requestId() } });
    await this.signIn(email, password);
  }

  /** End the customer's session, here and at the server. The device keeps its key. */
  async signOut() {
    const refreshToken = sessionStorage.getItem(REFRESH);
    this.#forgetCustomer();
    if (refreshToken) await call("/v1/auth:logOut", { body: { refreshToken } }).catch(() => undefined);
  }

  /**
   * Take an API key for this device, after trying it. Empty: forget the one there is.
   *
   * @param {string} key
   * @throws {ApiError} API_KEY_INVALID
   */
  async useDeviceKey(key) {
    this.#device = null;
    if (key) this.#device = await exchange(key);
    if (key) sessionStorage.setItem(DEVICE, key);
    else sessionStorage.removeItem(DEVICE);
    this.dispatchEvent(new Event("change"));
  }

  /**
   * A valid access token of the customer.
   *
   * @throws {ApiError} TOKEN_MISSING, if nobody is signed in
   */
  async token() {
    if (!this.#customer || this.#customer.expires - MARGIN_MS < serverNow()) await this.#renewCustomer();
    if (!this.#customer) throw new ApiError("TOKEN_MISSING", "nobody is signed in");
    return this.#customer.text;
  }

  /** A valid access token to watch seats with: the customer's, or the device's. */
  async watchToken() {
    const key = sessionStorage.getItem(DEVICE);
    if (this.signedIn || !key) return this.token();
    if (!this.#device || this.#device.expires - MARGIN_MS < serverNow()) this.#device = await exchange(key);
    return this.#device.text;
  }

  /** Have the next call get a new token: the server no longer takes the present one. */
  distrust() {
    if (this.#customer) this.#customer.expires = 0;
    if (this.#device) this.#device.expires = 0;
  }

  /**
   * A call as the customer; with a new token, if the server no longer takes the old one.
   *
   * @param {string} path
   * @param {import("./http.js").CallOptions} [options]
   */
  async call(path, options = {}) {
    try {
      return await call(path, { ...options, token: await this.token() });
    } catch (error) {
      if (!(error instanceof ApiError) || !REASONS_FOR_RENEWAL.has(error.reason) || !this.signedIn) throw error;
      this.distrust();
      return call(path, { ...options, token: await this.token() });
    }
  }

  #renewCustomer() {
    this.#renewal ??= this.#present().finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  async #present() {
    const refreshToken = sessionStorage.getItem(REFRESH);
    if (!refreshToken) return;
    try {
      this.#take(await call("/v1/auth:refreshToken", { body: { refreshToken } }));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.#forgetCustomer();
      throw error;
    }
  }

  /** @param {any} answer */
  #take(answer) {
    const before = this.user?.name;
    this.#customer = { text: answer.accessToken, expires: Date.parse(answer.accessExpireTime) };
    sessionStorage.setItem(REFRESH, answer.refreshToken);
    this.user = answer.user;
    if (before !== this.user.name) this.dispatchEvent(new Event("change"));
  }

  #forgetCustomer() {
    this.user = null;
    this.#customer = null;
    sessionStorage.removeItem(REFRESH);
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * @param {string} apiKey
 * @returns {Promise<Token>}
 */
async function exchange(apiKey) {
  const answer = await call("/v1/auth:exchangeApiKey", { body: { apiKey } });
  return { text: answer.accessToken, expires: Date.parse(answer.accessExpireTime) };
}
