/** The live hall: plan, states, selection and what is set aside, and how they work together. */

import { BLOCKED, Feed, HELD, SOLD } from "kiosk/hall/feed.js";
import { MapView } from "kiosk/hall/map_view.js";
import { announce, button } from "kiosk/ui/dom.js";
import { Allocations } from "./allocations.js";
import { read } from "./asking.js";
import { placeName, stateName, tally } from "./names.js";
import { PlacesList } from "./places_list.js";
import { listenForRectangles } from "./rectangle.js";
import { Selected } from "./selected.js";
import { Selection } from "./selection.js";

const ALLOCATIONS_EVERY_MS = 20_000;
/** After places were blocked or put back, perhaps because somebody set them aside: once for many of them. */
const ALLOCATIONS_AFTER_MS = 300;
const CONNECTION = { live: "live", reconnecting: "connecting …", ended: "ended" };
const COLOUR = { live: "bg-green-lt", reconnecting: "bg-yellow-lt", ended: "bg-red-lt" };

/** Who is signed in is known by the page's cookie. */
const BY_COOKIE = { watchToken: () => Promise.resolve(""), distrust: () => undefined };

/** One hall on its page. */
export class Hall {
  /** @type {Map<number, string>} */
  #owners = new Map();
  #stale = 0;
  #asking = 0;

  /**
   * @param {{performance: string, timeZone: string}} settings
   * @param {import("kiosk/hall/plan.js").Plan} plan
   */
  constructor({ performance, timeZone }, plan) {
    this.performance = performance;
    this.timeZone = timeZone;
    this.plan = plan;
    this.selection = new Selection();
    this.feed = new Feed(performance, plan.count, BY_COOKIE, () => ({
      path: "/hall/feed",
      query: { performance },
      credentials: "same-origin",
    }));
    const canvas = /** @type {HTMLCanvasElement} */ (part("map"));
    this.map = new MapView(canvas, plan, this.feed.states, (index) => (this.selection.has(index) ? "mine" : ""));
    this.map.over = (context, at, radius, look) => this.#markOwned(context, at, radius, look);
    this.list = new PlacesList(this);
    this.selected = new Selected(this);
    this.allocations = new Allocations(this);
    part("places").append(this.list.element);
    part("selection").append(this.selected.element);
    part("allocations").append(this.allocations.element);
    this.#listen();
    this.feed.start();
    void this.readAllocations();
    setInterval(() => document.hidden || void this.readAllocations({ unasked: true }), ALLOCATIONS_EVERY_MS);
  }

  /**
   * For whom a place is set aside; "": for nobody.
   *
   * @param {number} index
   */
  owner(index) {
    return this.#owners.get(index) ?? "";
  }

  /**
   * Select these and no others, and bring them into sight.
   *
   * @param {number[]} indexes
   */
  choose(indexes) {
    this.selection.set(indexes);
    const drawn = indexes.filter((index) => this.plan.drawn[index]);
    if (!drawn.length) return;
    const [xs, ys] = [drawn.map((index) => this.plan.x[index]), drawn.map((index) => this.plan.y[index])];
    this.map.show({ left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) });
  }

  /**
   * Ask what is set aside.
   *
   * @param {{unasked?: boolean}} [options] whether nobody is told if that fails, and a form that is open stays so
   */
  async readAllocations({ unasked = false } = {}) {
    if (unasked && this.allocations.element.contains(document.activeElement)) return;
    try {
      const found = await read("/hall/allocations", { performance: this.performance });
      this.#owners.clear();
      for (const one of found) {
        for (const id of one.seats) {
          const index = this.plan.indexOf.get(id);
          if (index !== undefined) this.#owners.set(index, one.owner);
        }
      }
      this.allocations.show(found);
      this.list.refresh();
      this.map.redraw();
    } catch (error) {
      if (!unasked) announce(/** @type {Error} */ (error).message, { alarm: true });
    }
  }

  #listen() {
    const stage = part("stage");
    const tool = () => /** @type {HTMLInputElement} */ (document.querySelector("#tools input:checked")).value;
    const remember = () => (stage.dataset.tool = tool());
    part("tools").addEventListener("change", remember);
    remember();
    listenForRectangles(stage, this.map, (indexes) => this.selection.add(indexes));
    for (const [text, name, move] of /** @type {const} */ ([
      ["+", "Nearer", () => this.map.zoomBy(1.6)],
      ["−", "Farther", () => this.map.zoomBy(1 / 1.6)],
      ["⤢", "The whole hall", () => this.map.fit()],
    ])) {
      part("zoom").append(button(text, move, { class: "btn btn-sm", "aria-label": name }));
    }
    this.map.addEventListener("seat", (event) => {
      const { detail: index } = /** @type {CustomEvent<number>} */ (event);
      this.selection.toggle(tool() === "row" ? this.#rowOf(index) : [index]);
    });
    this.map.addEventListener("area", () => announce("Places without numbers are selected in the list below."));
    this.map.addEventListener("point", (event) => this.#point(/** @type {CustomEvent<number>} */ (event).detail));
    this.selection.addEventListener("change", () => {
      this.map.showOwn(this.selection.indexes);
      this.selected.refresh();
      this.list.refresh();
    });
    this.feed.addEventListener("seats", (event) => this.#changed(/** @type {CustomEvent} */ (event).detail));
    this.feed.addEventListener("connection", () => this.#showConnection());
    this.#showConnection();
  }

  /** @param {number[] | null} changed */
  #changed(changed) {
    const { feed, plan, selection } = this;
    this.map.changed(changed);
    const gone = (changed ?? []).filter((index) => selection.has(index) && [HELD, SOLD].includes(feed.states[index]));
    if (gone.length) {
      this.map.showLost(gone);
      const names = gone.slice(0, 5).map((index) => `${placeName(plan, index)} (${stateName(feed.states[index], "")})`);
      announce(`Taken by a customer meanwhile: ${names.join("; ")}.`, { alarm: true });
    }
    if (changed?.some((index) => feed.states[index] === BLOCKED || this.#owners.has(index))) {
      this.#asking ||= setTimeout(() => {
        this.#asking = 0;
        void this.readAllocations({ unasked: true });
      }, ALLOCATIONS_AFTER_MS);
    }
    this.#stale ||= requestAnimationFrame(() => {
      this.#stale = 0;
      part("totals").textContent = tally(feed.states, feed.states.keys());
      this.selected.refresh();
      this.list.refresh();
    });
  }

  /** @param {number} index */
  #point(index) {
    const { feed, plan } = this;
    const text =
      index < 0 ? "\u00a0" : `${placeName(plan, index)}: ${stateName(feed.states[index], this.owner(index))}`;
    part("pointed").textContent = text;
  }

  #showConnection() {
    const state = /** @type {"live" | "reconnecting" | "ended"} */ (this.feed.connection);
    const badge = part("connection");
    badge.textContent = CONNECTION[state];
    badge.className = `badge ${COLOUR[state]}`;
    badge.dataset.state = state;
    // Ended for good. If that is because nobody is signed in any more, asking for anything shows it.
    if (state === "ended") void this.readAllocations();
  }

  /** @param {number} index */
  #rowOf(index) {
    const place = this.plan.places[index];
    const section = this.plan.sections.find((one) => one.name === place.section);
    return section?.rows.find((row) => row.label === place.row)?.seats ?? [index];
  }

  /**
   * A frame around each place that is set aside.
   *
   * @param {CanvasRenderingContext2D} context
   * @param {(index: number) => [number, number]} at
   * @param {number} radius
   * @param {import("kiosk/hall/look.js").Look} look
   */
  #markOwned(context, at, radius, look) {
    context.beginPath();
    for (const index of this.#owners.keys()) {
      if (!this.plan.drawn[index]) continue;
      const [x, y] = at(index);
      context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
    }
    context.lineWidth = Math.max(1.5, radius * 0.15);
    context.strokeStyle = look.ink;
    context.stroke();
  }
}

/** @param {string} id */
function part(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}
