/**
 * The hall as a list: sections, in them rows, in them seats, each with its state and price. Everything that the plan
 * can do can be done here with a keyboard, by ear or with a switch. A row is only made when it is opened, so a hall of
 * 20,000 is quick; and only what is open is kept up to date.
 */

import { AVAILABLE } from "../hall/feed.js";
import { button, el } from "./dom.js";
import { placeName, stateName } from "./place_names.js";
import { money, words } from "../text/language.js";

/** The list. */
export class ListView {
  /** Buttons of places that are shown now, by index. @type {Map<number, HTMLButtonElement>} */
  #buttons = new Map();
  /** Counters of sections and rows that are shown now. @type {{node: HTMLElement, seats: number[]}[]} */
  #counters = [];
  #pending = 0;

  /**
   * @param {import("../hall/plan.js").Plan} plan
   * @param {Uint8Array} states
   * @param {import("../booking/cart.js").Cart} cart
   * @param {import("../booking/prices.js").Prices} prices
   * @param {(index: number) => void} choose
   * @param {(box: import("../hall/plan.js").Box) => void} show bring a section into sight on the plan
   */
  constructor(plan, states, cart, prices, choose, show) {
    Object.assign(this, { plan, states, cart, prices, choose, show });
    this.plan = plan;
    this.states = states;
    this.cart = cart;
    this.prices = prices;
    this.choose = choose;
    this.show = show;
    this.onlyFree = el("input", { type: "checkbox", onchange: () => this.refresh() });
    this.element = el(
      "section",
      { class: "list", id: "list", tabIndex: -1, "aria-label": words.list },
      el("h2", null, words.list),
      el("label", { class: "check" }, this.onlyFree, words.onlyFree),
      ...plan.sections.filter((section) => section.seats.length).map((section) => this.#section(section)),
    );
  }

  /** Something changed: show it, soon. */
  refresh() {
    this.#pending ||= requestAnimationFrame(() => {
      this.#pending = 0;
      this.#counters = this.#counters.filter(({ node }) => node.isConnected);
      for (const { node, seats } of this.#counters) this.#count(node, seats);
      for (const [index, one] of this.#buttons) this.#paint(index, one);
    });
  }

  /** @param {import("../hall/plan.js").Section} section */
  #section(section) {
    const only = this.plan.sections.filter(({ seats }) => seats.length).length === 1;
    return this.#part(section.name || words.hall, section.seats, only, (content) => {
      if (!only) this.show(section.box);
      content.append(...section.rows.map((row) => this.#row(row)));
    });
  }

  /** @param {import("../hall/plan.js").Row} row */
  #row(row) {
    return this.#part(row.label ? words.row(row.label) : words.hall, row.seats, false, (content, closed) => {
      const list = el("ul", { class: "seats" });
      for (const index of row.seats) {
        const one = button("", () => this.choose(index));
        this.#buttons.set(index, one);
        this.#paint(index, one);
        list.append(el("li", null, one));
      }
      content.append(list);
      closed(() => {
        for (const index of row.seats) this.#buttons.delete(index);
      });
    });
  }

  /**
   * A part that opens and closes; what is in it is made when it opens.
   *
   * @param {string} name
   * @param {number[]} seats
   * @param {boolean} open
   * @param {(content: HTMLElement, closed: (undo: () => void) => void) => void} fill
   */
  #part(name, seats, open, fill) {
    const counter = el("span", { class: "count" });
    const content = el("div", { class: "inside" });
    /** @type {() => void} */
    let undo = () => undefined;
    const part = el("details", { open }, el("summary", null, el("span", null, name), counter), content);
    part.addEventListener("toggle", () => {
      undo();
      undo = () => undefined;
      content.replaceChildren();
      if (part.open) fill(content, (after) => (undo = after));
    });
    this.#counters.push({ node: counter, seats });
    this.#count(counter, seats);
    // It is not in the document yet, and the next refresh would forget it otherwise.
    requestAnimationFrame(() => {
      if (!this.#counters.some(({ node }) => node === counter)) this.#counters.push({ node: counter, seats });
    });
    return part;
  }

  /**
   * @param {HTMLElement} node
   * @param {number[]} seats
   */
  #count(node, seats) {
    const free = seats.reduce((sum, index) => sum + (this.states[index] === AVAILABLE ? 1 : 0), 0);
    const text = words.freeOf(free, seats.length);
    if (node.textContent !== text) node.textContent = text;
  }

  /**
   * @param {number} index
   * @param {HTMLButtonElement} one
   */
  #paint(index, one) {
    const ours = this.cart.of(index);
    const state = this.states[index];
    const place = this.plan.places[index];
    const type = this.prices.of(place.zone, this.cart.ticketType);
    const price = type ? money(type.price) : words.noPrice;
    const marks = [stateName(state, ours), place.accessible ? words.accessible : ""].filter(Boolean).join(", ");
    const text = `${place.number || placeName(this.plan, index)}\n${price}\n${marks}`;
    if (one.dataset.shown !== text + ours) {
      one.dataset.shown = text + ours;
      one.dataset.state = ours || String(state);
      one.replaceChildren(el("b", null, place.number), el("span", null, price), el("span", null, marks));
      one.setAttribute("aria-label", `${placeName(this.plan, index)}, ${price}, ${marks}`);
      one.setAttribute("aria-pressed", String(ours === "mine" || ours === "adding"));
      one.setAttribute("aria-disabled", String(!ours && state !== AVAILABLE));
    }
    const hidden = this.onlyFree.checked && state !== AVAILABLE && !ours;
    if (one.parentElement) one.parentElement.hidden = hidden;
  }
}
