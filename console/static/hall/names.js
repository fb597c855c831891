/** What places and states are called. */

const STATES = ["not known", "free", "held", "sold", "blocked"];

/**
 * @param {import("kiosk/hall/plan.js").Plan} plan
 * @param {number} index
 */
export function placeName(plan, index) {
  const place = plan.places[index];
  if (!plan.drawn[index]) {
    const area = plan.areas.find((one) => one.id === place.area);
    return `${area?.label || place.area}, ${place.id}`;
  }
  const row = place.row ? `row ${place.row}` : "";
  return [place.section, row, `seat ${place.number || place.id}`].filter(Boolean).join(", ");
}

/**
 * @param {number} state
 * @param {string} owner for whom it is set aside; "": for nobody
 */
export function stateName(state, owner) {
  return owner ? `${STATES[state]}, set aside for ${owner}` : STATES[state];
}

/**
 * How many places are in which state: `3 free, 1 sold`.
 *
 * @param {Uint8Array} states
 * @param {Iterable<number>} indexes
 */
export function tally(states, indexes) {
  const counts = [0, 0, 0, 0, 0];
  for (const index of indexes) counts[states[index]] += 1;
  return counts
    .map((count, state) => (count ? `${count.toLocaleString("en")} ${STATES[state]}` : ""))
    .filter(Boolean)
    .join(", ");
}
