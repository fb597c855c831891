/**
 * Streams of the gateway: newline-delimited JSON, read as it comes, opened again when it ends or breaks off.
 */

import { ApiError, errorOf, open, pause } from "./http.js";

/** The server sends something at least every 15 s; after twice that a stream counts as dead. */
const SILENCE_MS = 30_000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

/** Reasons after which coming back is of no use. */
const FINAL = new Set(["NOT_FOUND", "PERMISSION_DENIED", "INVALID_FIELD", "TOKEN_MISSING", "ACCOUNT_DISABLED"]);
const TOKEN = new Set(["TOKEN_EXPIRED", "TOKEN_INVALID", "TOKEN_REVOKED"]);

/** @typedef {{path: string, query?: Record<string, string | number>, credentials?: RequestCredentials}} Where */

/**
 * @typedef {object} Follower
 * @property {() => Where} where asked at each opening
 * @property {() => Promise<string>} token a valid one; "": who asks is known by a cookie
 * @property {() => void} [distrust] the token was refused: get another one
 * @property {(message: any) => void} receive one message; what it throws counts as a broken stream
 * @property {(state: "live" | "reconnecting" | "ended", error?: unknown) => void} state
 * @property {AbortSignal} signal ends it
 */

/**
 * Read a stream until the server says FINISHED, an error is final, or the signal ends it.
 *
 * @param {Follower} follower
 */
export async function follow(follower) {
  let failures = 0;
  while (!follower.signal.aborted) {
    let heard = false;
    /** @type {unknown} */
    let trouble;
    try {
      const reason = await readOnce(follower, () => {
        if (!heard) follower.state("live");
        heard = true;
        failures = 0;
      });
      if (reason === "FINISHED") {
        follower.state("ended");
        return;
      }
      if (reason === "TOKEN") follower.distrust?.();
    } catch (error) {
      if (follower.signal.aborted) return;
      const reason = error instanceof ApiError ? error.reason : "";
      if (FINAL.has(reason)) {
        follower.state("ended", error);
        return;
      }
      if (TOKEN.has(reason)) follower.distrust?.();
      trouble = error;
      failures += 1;
    }
    if (follower.signal.aborted) return;
    if (failures > 0 || !heard) {
      follower.state("reconnecting", trouble);
      // Spread out, so that a thousand screens do not come back in the same moment.
      const longest = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
      await pause(longest * (0.5 + Math.random() / 2), follower.signal);
    }
  }
}

/**
 * One opening. Returns why the server ended it; "" if it did not say.
 *
 * @param {Follower} follower
 * @param {() => void} heard called with each message
 * @returns {Promise<string>}
 */
async function readOnce(follower, heard) {
  const limited = new AbortController();
  const stop = () => limited.abort();
  follower.signal.addEventListener("abort", stop);
  let watchdog = setTimeout(stop, SILENCE_MS);
  try {
    const token = await follower.token();
    const { path, ...where } = follower.where();
    const response = await open(path, { ...where, token, signal: limited.signal, accept: "application/x-ndjson" });
    for await (const line of lines(response)) {
      clearTimeout(watchdog);
      watchdog = setTimeout(stop, SILENCE_MS);
      const chunk = JSON.parse(line);
      if (chunk.error) throw errorOf(chunk.error);
      heard();
      follower.receive(chunk.result);
      if (chunk.result.reconnect) return chunk.result.reconnect.reason;
    }
    throw new ApiError("NETWORK", "the stream broke off");
  } catch (error) {
    if (limited.signal.aborted && !follower.signal.aborted) throw new ApiError("NETWORK", "the stream fell silent");
    throw error;
  } finally {
    clearTimeout(watchdog);
    follower.signal.removeEventListener("abort", stop);
    stop();
  }
}

/**
 * The lines of a body, without empty ones.
 *
 * @param {Response} response
 * @returns {AsyncGenerator<string>}
 */
async function* lines(response) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part) yield part;
  }
}
