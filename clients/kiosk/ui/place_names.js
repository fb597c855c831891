/** What a place is called on the screen. */

import { words } from "../text/language.js";

/**
 * @param {import("../hall/plan.js").Plan} plan
 * @param {number} index
 * @returns {string} such as "Stalls, Row A, seat 12"
 */
export function placeName(plan, index) {
  const place = plan.places[index];
  if (!plan.drawn[index]) {
    const area = plan.areas.find((one) => one.id === place.area);
    return words.place(area?.label || place.area);
  }
  return [place.section, words.seat(place.row, place.number)].filter(Boolean).join(", ");
}

/**
 * Whether and how one can have a place, in words.
 *
 * @param {number} state of the feed
 * @param {string} ours of the cart
 */
export function stateName(state, ours) {
  if (ours) return words[/** @type {"mine" | "adding" | "removing"} */ (ours)];
  return words.state[/** @type {0 | 1 | 2 | 3 | 4} */ (state)];
}
