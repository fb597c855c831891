/**
 * Calls to the gateway: JSON in, JSON out, errors as `ApiError`, and repetition where it is harmless.
 *
 * Every call that changes something carries a `requestId`, so that an answer that got lost can be asked for again:
 * the same id has one effect. Tokens travel in the Authorization header and nowhere else.
 */

/** Reasons after which the very same request may be sent again. */
const PASSING = new Set([
  ...[
    "OVERLOADED",
    "SERVER_UNREACHABLE",
    "DATABASE_UNAVAILABLE",
    "DRAINING",
    "CONTENDED",
    "OUTCOME_UNKNOWN",
    "NETWORK",
  ],
]);
const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 200;

/** The server's clock minus this machine's, in milliseconds: a kiosk's clock may be wrong, a countdown must not be. */
let skew = 0;

/** What the server refused, with the reason that programs decide by. */
export class ApiError extends Error {
  /**
   * @param {string} reason a member of ErrorReason, or NETWORK where no answer came
   * @param {string} message for people who run the system
   * @param {Record<string, string>} [metadata] further facts, such as the seats that are taken
   * @param {number} [status] of HTTP; 0: there was no answer
   */
  constructor(reason, message, metadata = {}, status = 0) {
    super(message);
    this.reason = reason;
    this.metadata = metadata;
    this.status = status;
  }
}

/** The time by the server's clock, in milliseconds since 1970. */
export function serverNow() {
  return Date.now() + skew;
}

/** An id by which the server knows a repeated request; also where a page without TLS has no `randomUUID`. */
export function requestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @typedef {object} CallOptions
 * @property {string} [method] GET unless there is a body
 * @property {object} [body] sent as JSON
 * @property {Record<string, string | number | undefined>} [query]
 * @property {string} [token] access token
 * @property {AbortSignal} [signal]
 * @property {RequestCredentials} [credentials] whether cookies go with it: never, where a token does
 * @property {boolean} [repeat] whether it may be repeated: true, unless it changes something without a request id
 */

/**
 * One call, repeated while the trouble is passing.
 *
 * @param {string} path such as "/v1/performances"
 * @param {CallOptions} [options]
 * @returns {Promise<any>} the answer
 * @throws {ApiError}
 */
export async function call(path, options = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await open(path, options);
      return await response.json();
    } catch (error) {
      const passing = error instanceof ApiError && PASSING.has(error.reason) && options.repeat !== false;
      if (!passing || attempt === ATTEMPTS || options.signal?.aborted) throw error;
      await pause(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()), options.signal);
    }
  }
}

/**
 * Send a request and give the answer unread: for streams and documents.
 *
 * @param {string} path
 * @param {CallOptions & {accept?: string}} options
 * @returns {Promise<Response>}
 * @throws {ApiError}
 */
export async function open(path, options = {}) {
  const { method, body, query, token, signal, accept = "application/json", credentials = "omit" } = options;
  /** @type {Record<string, string>} */
  const headers = { Accept: accept };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path + queryText(query), {
      method: method ?? (body ? "POST" : "GET"),
      headers,
      body: body && JSON.stringify(body),
      signal,
      cache: "no-store",
      credentials,
      referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("NETWORK", "no answer");
  }
  noteClock(response);
  if (!response.ok) throw await refusal(response);
  return response;
}

/**
 * The error in a body of google.rpc.Status.
 *
 * @param {any} status
 * @param {number} [httpStatus]
 */
export function errorOf(status, httpStatus = 0) {
  const info = (status?.details ?? []).find((/** @type {any} */ one) => one["@type"]?.endsWith("ErrorInfo"));
  // 14 is UNAVAILABLE: the gateway itself found no server.
  const fallback = status?.code === 14 || httpStatus >= 502 ? "OVERLOADED" : "INTERNAL";
  return new ApiError(info?.reason ?? fallback, status?.message ?? "", info?.metadata ?? {}, httpStatus);
}

/**
 * Wait.
 *
 * @param {number} milliseconds
 * @param {AbortSignal} [signal] ends it early, without an error
 * @returns {Promise<void>}
 */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}

/** @param {Response} response */
async function refusal(response) {
  const status = await response.json().catch(() => undefined);
  return errorOf(status, response.status);
}

/** @param {Response} response */
function noteClock(response) {
  const date = Date.parse(response.headers.get("Date") ?? "");
  // The header has whole seconds; half of one is what it is behind on average.
  if (!Number.isNaN(date)) skew = date + 500 - Date.now();
}

/** @param {Record<string, string | number | undefined>} [query] */
function queryText(query) {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== "");
  return pairs.length ? `?${new URLSearchParams(pairs.map(([key, value]) => [key, String(value)]))}` : "";
}
