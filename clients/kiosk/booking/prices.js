/** What places cost: ticket types by price zone, as they are on sale now. */

import { serverNow } from "../api/http.js";

/** The ticket types of a performance. */
export class Prices {
  /** @param {any[]} types by position */
  constructor(types) {
    this.types = types;
  }

  /** Those that are sold at this moment. @returns {any[]} */
  get onSale() {
    const now = serverNow();
    return this.types.filter((type) => {
      const begun = !type.saleStartTime || Date.parse(type.saleStartTime) <= now;
      const over = type.saleEndTime && Date.parse(type.saleEndTime) <= now;
      const left = type.quantity === undefined || type.quantity === null || type.claimed < type.quantity;
      return begun && !over && left;
    });
  }

  /**
   * The type that a place of a zone is bought with: the wished one where it fits, otherwise the first that does.
   *
   * @param {string} zone
   * @param {string} [wished] its name
   * @returns {any} undefined: it is not on sale
   */
  of(zone, wished) {
    const fitting = this.onSale.filter((type) => !type.zones.length || type.zones.includes(zone));
    return fitting.find((type) => type.name === wished) ?? fitting[0];
  }

  /**
   * @param {string} name
   * @returns {string}
   */
  nameOf(name) {
    return this.types.find((type) => type.name === name)?.displayName ?? "";
  }
}
