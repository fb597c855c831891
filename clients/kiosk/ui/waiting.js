/** The waiting room: joining the line, watching one's place in it, and being admitted. */

import { requestId } from "../api/http.js";
import { follow } from "../api/stream.js";
import { announce, button, el } from "./dom.js";
import { clockTime, explain, words } from "../text/language.js";

const KEPT = "rowlock.line";

/** Forget places in line that this tab kept: somebody else's turn. */
export function forgetLine() {
  sessionStorage.removeItem(KEPT);
}

/**
 * The panel of a waiting room. It gives the cart its admission.
 *
 * @param {import("../api/session.js").Session} session
 * @param {string} performance
 * @param {import("../booking/cart.js").Cart} cart
 * @param {() => Promise<boolean>} signedIn have somebody sign in
 * @param {AbortSignal} signal ends it
 */
export function waitingPanel(session, performance, cart, signedIn, signal) {
  const text = el("div", { role: "status", "aria-live": "polite" });
  const join = button(words.joinQueue, () => void enter(), { class: "main" });
  const leave = button(words.leaveQueue, () => void giveUp(), { hidden: true });
  const element = el(
    "section",
    { class: "wish waiting", "aria-label": words.waitingRoom },
    el("h2", null, words.waitingRoom),
    el("p", null, words.waitingHelp),
    text,
    el("div", { class: "actions" }, join, leave),
  );
  /** @type {AbortController | null} */
  let watching = null;
  let entry = "";
  signal.addEventListener("abort", () => watching?.abort());

  async function enter() {
    if (!(await signedIn())) return;
    join.disabled = true;
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
      const body = { entryToken: kept[performance] ?? "", requestId: requestId() };
      const path = `/v1/${performance}/queueEntries:join`;
      // A token of somebody else's, kept from before, is refused; then one joins without.
      const joined = await session.call(path, { body }).catch((error) => {
        if (!body.entryToken) throw error;
        return session.call(path, { body: { requestId: requestId() } });
      });
      sessionStorage.setItem(KEPT, JSON.stringify({ ...kept, [performance]: joined.entryToken }));
      entry = joined.name;
      show(joined);
      watch();
    } catch (error) {
      announce(explain(error), { alarm: true });
    }
    join.disabled = false;
  }

  async function giveUp() {
    watching?.abort();
    try {
      show(await session.call(`/v1/${entry}:leave`, { body: { requestId: requestId() } }));
    } catch (error) {
      announce(explain(error), { alarm: true });
    }
    forgetLine();
  }

  function watch() {
    watching?.abort();
    watching = new AbortController();
    void follow({
      where: () => ({ path: `/v1/${entry}:watch` }),
      token: () => session.token(),
      distrust: () => session.distrust(),
      receive: (message) => {
        if (message.queueEntry) show(message.queueEntry);
      },
      state: () => undefined,
      signal: watching.signal,
    });
  }

  /** @param {any} one the entry as it is now */
  function show(one) {
    const waits = one.state === "WAITING";
    const admitted = one.state === "ADMITTED";
    cart.admissionToken = admitted ? one.admissionToken : "";
    join.hidden = waits || admitted;
    leave.hidden = !waits && !admitted;
    const position = Number(one.position);
    const lines = waits ? [position ? words.position(position) : words.drawPending] : [];
    if (waits && one.estimatedWait) {
      lines.push(words.wait(words.minutes(Math.max(1, Math.round(parseFloat(one.estimatedWait) / 60)))));
    }
    if (admitted) lines.push(words.admitted, words.admissionUntil(clockTime(one.admissionExpireTime)));
    if (one.state === "EXPIRED") lines.push(words.refusal.ADMISSION_EXPIRED);
    element.hidden = one.state === "USED";
    text.replaceChildren(...lines.map((line) => el("p", null, line)));
    if (admitted) announce(words.admitted);
  }

  // Who was in line before a reload still is: joining again gives the same place.
  if (session.signedIn && sessionStorage.getItem(KEPT)?.includes(`"${performance}"`)) void enter();
  return element;
}
