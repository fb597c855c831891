/**
 * Chooses seats side by side on the screen, for a booking that exists: the server chooses for new ones, and adds only
 * seats that are named. It need not be perfect, for the server says whether they are still free.
 */

import { AVAILABLE } from "./feed.js";

/**
 * The best free seats side by side, or null.
 *
 * @param {import("./plan.js").Plan} plan
 * @param {Uint8Array} states
 * @param {number} quantity
 * @param {string} zone only in this one; "": any
 * @param {(index: number) => boolean} excluded seats that must not be chosen
 * @returns {number[] | null}
 */
export function sideBySide(plan, states, quantity, zone, excluded) {
  const middle = (plan.box.left + plan.box.right) / 2;
  let best = null;
  let least = Infinity;
  for (const section of plan.sections) {
    for (const { seats } of section.rows) {
      let run = 0;
      seats.forEach((index, at) => {
        const fits = states[index] === AVAILABLE && !excluded(index) && !plan.accessible[index];
        const wanted = !zone || plan.places[index].zone === zone;
        if (plan.places[index].aisleBefore) run = 0;
        run = fits && wanted ? run + 1 : 0;
        if (run < quantity) return;
        const chosen = seats.slice(at - quantity + 1, at + 1);
        const x = (plan.x[chosen[0]] + plan.x[index]) / 2;
        const distance = Math.hypot(x - middle, plan.y[index] - plan.box.top);
        if (distance < least) [best, least] = [chosen, distance];
      });
    }
  }
  return best;
}
