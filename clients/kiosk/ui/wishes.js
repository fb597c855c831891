/** Ways to get places without pointing at each: the best ones, by number and price zone, and standing places. */

import { freeByArea } from "../hall/labels.js";
import { button, el, field, select } from "./dom.js";
import { money, words } from "../text/language.js";

/**
 * @param {number} most
 * @param {number} chosen
 */
function quantities(most, chosen) {
  /** @type {[string, string][]} */
  const options = Array.from({ length: most }, (_, at) => [String(at + 1), String(at + 1)]);
  return select(options, String(Math.min(chosen, most)), () => undefined);
}

/**
 * @param {import("../hall/plan.js").Plan} plan
 * @param {import("../booking/prices.js").Prices} prices
 * @param {number} limit places that one customer may have
 * @param {(best: import("../booking/wishes.js").Best) => void} choose
 */
export function bestForm(plan, prices, limit, choose) {
  const seated = new Set(plan.places.filter((_, index) => plan.drawn[index]).map((place) => place.zone));
  const zones = plan.zones.filter(({ zone }) => seated.has(zone) && prices.of(zone));
  const quantity = quantities(Math.min(limit, 10), 2);
  quantity.name = "best-quantity";
  /** @type {[string, string][]} */
  const options = zones.map(({ zone }) => [zone, `${zone} · ${money(prices.of(zone).price)}`]);
  const zone = select([["", words.anyZone], ...options], "", () => undefined);
  zone.name = "best-zone";
  return el(
    "section",
    { class: "wish best", "aria-label": words.best },
    el("h2", null, words.best),
    el(
      "div",
      { class: "line" },
      field(words.quantity, quantity),
      field(words.zone, zone),
      button(words.choose, () => choose({ quantity: Number(quantity.value), zone: zone.value }), { class: "main" }),
    ),
  );
}

/**
 * Standing areas, each with how many places are left.
 *
 * @param {import("../hall/plan.js").Plan} plan
 * @param {Uint8Array} states
 * @param {import("../booking/prices.js").Prices} prices
 * @param {number} limit
 * @param {(wish: import("../booking/wishes.js").Standing) => void} take
 */
export function standingForm(plan, states, prices, limit, take) {
  /** @type {{area: any, left: HTMLElement}[]} */
  const shown = [];
  const rows = plan.standing.map((area) => {
    const type = prices.of(area.zone);
    const quantity = quantities(Math.min(limit, 10), 1);
    quantity.name = `standing-${area.id}`;
    const left = el("small", null);
    shown.push({ area, left });
    const label = `${area.label} · ${type ? money(type.price) : words.noPrice}`;
    const add = button(words.add, () => take({ area, quantity: Number(quantity.value), type }), {
      "aria-label": `${words.add}: ${area.label}`,
      disabled: !type,
    });
    return el("div", { class: "line", "data-area": area.id }, field(label, quantity, left), add);
  });
  const element = el(
    "section",
    { class: "wish", "aria-label": words.standing },
    el("h2", null, words.standing),
    ...rows,
  );
  element.hidden = rows.length === 0;
  const refresh = () => {
    const free = freeByArea(plan, states);
    for (const { area, left } of shown) left.textContent = words.freeOf(free.get(area.id) ?? 0, area.capacity);
  };
  refresh();
  return { element, refresh };
}

/**
 * Which kind of ticket seats are chosen with, where there is more than one for some seat.
 *
 * @param {import("../booking/prices.js").Prices} prices
 * @param {string} chosen
 * @param {(type: string) => void} change
 */
export function typeForm(prices, chosen, change) {
  /** @type {[string, string][]} */
  const options = prices.onSale.map((type) => [type.name, `${type.displayName} · ${money(type.price)}`]);
  const made = select([["", words.anyType], ...options], chosen, change);
  made.name = "ticket-type";
  const element = el("section", { class: "wish" }, field(words.ticketType, made));
  element.hidden = options.length < 2;
  return element;
}
