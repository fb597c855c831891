/**
 * The live states of a performance's places: one byte a place, kept by the seat feed.
 *
 * A message is applied only if it follows what is known; anything else would be a silent gap, and the feed begins anew
 * with a snapshot. See docs/seat-feed.md.
 */

import { follow } from "../api/stream.js";

export const AVAILABLE = 1;
export const HELD = 2;
export const SOLD = 3;
export const BLOCKED = 4;

/** @type {Record<string, number>} */
const NUMBERS = {
  SEAT_STATE_AVAILABLE: AVAILABLE,
  SEAT_STATE_HELD: HELD,
  SEAT_STATE_SOLD: SOLD,
  SEAT_STATE_BLOCKED: BLOCKED,
};

/**
 * Emits `seats` (detail: the indexes that changed, or null for all) and `connection` (detail: "live", "reconnecting" or
 * "ended").
 */
export class Feed extends EventTarget {
  #stop = new AbortController();

  /**
   * @param {string} performance its name
   * @param {number} count of places
   * @param {Pick<import("../api/session.js").Session, "watchToken" | "distrust">} session
   * @param {(revision: number) => import("../api/stream.js").Where} [where] from where it is read, after a revision
   */
  constructor(performance, count, session, where) {
    super();
    this.performance = performance;
    this.session = session;
    this.where =
      where ?? ((resumeRevision) => ({ path: `/v1/${this.performance}:watchSeats`, query: { resumeRevision } }));
    this.states = new Uint8Array(count);
    this.revision = 0;
    this.connection = "reconnecting";
  }

  /** Begin to watch; ends with `stop`. */
  start() {
    void follow({
      where: () => this.where(this.revision),
      token: () => this.session.watchToken(),
      distrust: () => this.session.distrust(),
      receive: (message) => this.take(message),
      state: (state, error) => this.#say(state, error),
      signal: this.#stop.signal,
    });
  }

  /** End. */
  stop() {
    this.#stop.abort();
  }

  /**
   * Apply one message.
   *
   * @param {any} message
   * @throws {Error} it does not follow on, or is of another hall
   */
  take(message) {
    const revision = Number(message.revision);
    if (message.snapshot) {
      const states = bytes(message.snapshot.states);
      if (states.length !== this.states.length) throw this.#anew("a snapshot of another length");
      this.states.set(states);
      this.revision = revision;
      this.dispatchEvent(new CustomEvent("seats", { detail: null }));
    } else if (message.changes) {
      const first = Number(message.changes.firstRevision) || revision;
      if (first !== this.revision + 1 || revision < first) throw this.#anew("a gap");
      const changed = message.changes.changes.map((/** @type {any} */ change) => {
        this.states[change.index] = NUMBERS[change.state] ?? BLOCKED;
        return change.index;
      });
      this.revision = revision;
      this.dispatchEvent(new CustomEvent("seats", { detail: changed }));
    } else if (message.reconnect) {
      // 0 where the database was set back: what is known here never happened.
      this.revision = revision;
    } else if (revision !== this.revision) {
      throw this.#anew("a heartbeat of another revision");
    }
  }

  /** @param {string} why */
  #anew(why) {
    this.revision = 0;
    return new Error(`the seat feed begins anew: ${why}`);
  }

  /**
   * @param {"live" | "reconnecting" | "ended"} state
   * @param {any} [error]
   */
  #say(state, error) {
    if (error?.reason === "REVISION_IN_FUTURE") this.revision = 0;
    this.connection = state;
    this.dispatchEvent(new CustomEvent("connection", { detail: state }));
  }
}

/**
 * @param {string} base64
 * @returns {Uint8Array}
 */
function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
