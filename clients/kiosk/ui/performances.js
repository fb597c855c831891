/** The list of what is on sale, and what is said of a performance wherever it is shown. */

import { call, serverNow } from "../api/http.js";
import { button, el } from "./dom.js";
import { explain, moment, money, words } from "../text/language.js";

const PAGE = 24;

/**
 * @param {(performance: any) => void} choose
 * @returns {HTMLElement}
 */
export function performanceList(choose) {
  const list = el("ul", { class: "performances" });
  const more = button(words.more, () => void load(), { class: "more", hidden: true });
  const note = el("p", { class: "note", role: "status" }, words.loading);
  let next = "";

  async function load() {
    try {
      const query = { pageSize: PAGE, pageToken: next, startTimeFrom: new Date(serverNow()).toISOString() };
      // A page token belongs to one question: its time must stay the same.
      const page = await call("/v1/performances", { query: next ? { ...query, startTimeFrom: asked } : query });
      asked = next ? asked : query.startTimeFrom;
      next = page.nextPageToken;
      for (const one of page.performances) list.append(el("li", null, card(one, choose)));
      note.textContent = list.childElementCount ? "" : words.noPerformances;
      more.hidden = !next;
    } catch (error) {
      note.replaceChildren(
        explain(error),
        " ",
        button(words.tryAgain, () => void load()),
      );
    }
  }
  let asked = "";
  void load();
  return el("main", { class: "start" }, el("h1", null, words.performances), note, list, more);
}

/**
 * Where a performance is: its venue and hall, or the hall alone if that has the venue's name in its own.
 *
 * @param {any} performance
 */
export function houseName({ venueDisplayName: venue, hall }) {
  return hall.startsWith(venue) ? hall || venue : [venue, hall].filter(Boolean).join(", ");
}

/**
 * What is to be known before anybody tries to choose; nothing while it is on sale.
 *
 * @param {any} performance
 */
export function whyNotOnSale({ state, saleStartTime, saleEndTime, timeZone }) {
  const now = serverNow();
  const reason =
    (state === "CANCELLED" && "PERFORMANCE_CANCELLED") ||
    (Date.parse(saleEndTime) <= now && "SALE_ENDED") ||
    (Date.parse(saleStartTime) > now && "SALE_NOT_STARTED");
  if (!reason) return null;
  const begins = reason === "SALE_NOT_STARTED" && ` ${words.saleBegins(moment(saleStartTime, timeZone))}`;
  return el("p", { class: "notice" }, words.refusal[reason], begins);
}

/**
 * @param {any} performance
 * @param {(performance: any) => void} choose
 */
function card(performance, choose) {
  const { counts } = performance;
  const cancelled = performance.state === "CANCELLED";
  const left = cancelled ? words.cancelledPerformance : words.left(counts.available);
  return el(
    "button",
    { type: "button", class: "card", disabled: cancelled, onclick: () => choose(performance) },
    el("strong", null, performance.eventTitle),
    el("span", null, moment(performance.startTime, performance.timeZone)),
    el("span", null, houseName(performance)),
    el(
      "span",
      { class: "facts" },
      performance.lowestPrice ? el("span", null, words.from(money(performance.lowestPrice))) : null,
      el("span", null, left),
    ),
  );
}
