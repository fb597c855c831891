/** What is known of a performance before anybody chooses: read once, so that a change of language need not read it. */

import { call } from "../api/http.js";
import { loadPlan } from "../hall/plan.js";
import { Prices } from "./prices.js";

/** A performance with its plan, prices and waiting room. */
export class Hall {
  /**
   * @param {any} performance
   * @param {import("../hall/plan.js").Plan} plan
   * @param {any[]} types
   * @param {any} room the waiting room
   */
  constructor(performance, plan, types, room) {
    this.performance = performance;
    this.plan = plan;
    this.prices = new Prices(types);
    this.room = room;
  }

  /**
   * @param {string} name of the performance
   * @returns {Promise<Hall>}
   */
  static async load(name) {
    const [performance, plan, types, room] = await Promise.all([
      call(`/v1/${name}`),
      loadPlan(call, name),
      call(`/v1/${name}/ticketTypes`, { query: { pageSize: 1000 } }),
      call(`/v1/${name}/waitingRoom`),
    ]);
    return new Hall(performance, plan, types.ticketTypes, room);
  }
}
