/** The hall as a list: the same places and the same selection, for keyboards and screen readers. */

import { AVAILABLE, BLOCKED } from "kiosk/hall/feed.js";
import { button, el } from "kiosk/ui/dom.js";
import { placeName, stateName, tally } from "./names.js";

/** Sections with rows with places. What is in a part is made when somebody opens it. */
export class PlacesList {
  /** @type {Map<number, {box: HTMLInputElement, text: HTMLElement}>} */
  #places = new Map();
  /** @type {{node: HTMLElement, seats: number[]}[]} */
  #counters = [];
  #pending = 0;

  /**
   * @param {import("./hall.js").Hall} hall
   */
  constructor(hall) {
    this.hall = hall;
    const { sections } = hall.plan;
    this.element = el(
      "div",
      { class: "card-body hall-scroll", tabIndex: 0, role: "group", "aria-label": "Places as a list" },
      ...sections.map((section) => this.#section(section)),
    );
  }

  /** Something changed: show it before the next frame. */
  refresh() {
    this.#pending ||= requestAnimationFrame(() => {
      this.#pending = 0;
      for (const { node, seats } of this.#counters) this.#count(node, seats);
      for (const index of this.#places.keys()) this.#paint(index);
    });
  }

  /** @param {import("kiosk/hall/plan.js").Section} section */
  #section(section) {
    const standing = section.areas.flatMap((area) => this.hall.plan.placesOfArea.get(area.id) ?? []);
    return this.#part(section.name || "Hall", [...section.seats, ...standing], (content) => {
      for (const area of section.areas) content.append(this.#standing(area));
      for (const row of section.rows) content.append(this.#row(row));
    });
  }

  /** @param {import("kiosk/hall/plan.js").Row} row */
  #row(row) {
    return this.#part(row.label ? `Row ${row.label}` : "Seats", row.seats, (content, closed) => {
      const list = el("ul", { class: "hall-seats" });
      for (const index of row.seats) {
        const box = el("input", {
          type: "checkbox",
          class: "form-check-input me-1",
          onchange: () => this.hall.selection.toggle([index]),
        });
        const text = el("span", null);
        list.append(el("li", null, el("label", null, box, text)));
        this.#places.set(index, { box, text });
        this.#paint(index);
      }
      const whole = button(`Select row ${row.label}`, () => this.hall.selection.toggle(row.seats), {
        class: "btn btn-sm my-1",
      });
      content.append(whole, list);
      closed(() => {
        for (const index of row.seats) this.#places.delete(index);
      });
    });
  }

  /** @param {any} area places that are alike: they are selected by number */
  #standing(area) {
    const number = el("input", { type: "number", class: "form-control form-control-sm w-auto", min: "1", value: "1" });
    const take = (/** @type {number} */ state) => {
      const { feed, plan, selection } = this.hall;
      const places = plan.placesOfArea.get(area.id) ?? [];
      const found = places.filter((index) => feed.states[index] === state && !selection.has(index));
      selection.add(found.slice(0, Number(number.value)));
    };
    return el(
      "div",
      { class: "d-flex gap-2 align-items-center py-1" },
      el("label", { class: "d-flex gap-2 align-items-center" }, area.label || area.id, number),
      button("Select free", () => take(AVAILABLE), { class: "btn btn-sm" }),
      button("Select blocked", () => take(BLOCKED), { class: "btn btn-sm" }),
    );
  }

  /**
   * @param {string} name
   * @param {number[]} seats
   * @param {(content: HTMLElement, closed: (undo: () => void) => void) => void} fill
   */
  #part(name, seats, fill) {
    const counter = el("span", { class: "text-secondary ms-2" });
    const content = el("div", { class: "hall-part" });
    const part = el("details", { class: "hall-part" }, el("summary", null, name, counter), content);
    /** @type {() => void} */
    let undo = () => undefined;
    part.addEventListener("toggle", () => {
      undo();
      undo = () => undefined;
      content.replaceChildren();
      this.#counters = this.#counters.filter(({ node }) => node === counter || node.isConnected);
      if (part.open) fill(content, (after) => (undo = after));
    });
    this.#counters.push({ node: counter, seats });
    this.#count(counter, seats);
    return part;
  }

  /**
   * @param {HTMLElement} node
   * @param {number[]} seats
   */
  #count(node, seats) {
    const text = tally(this.hall.feed.states, seats);
    if (node.textContent !== text) node.textContent = text;
  }

  /** @param {number} index */
  #paint(index) {
    const one = this.#places.get(index);
    if (!one) return;
    const { feed, plan, selection } = this.hall;
    const state = stateName(feed.states[index], this.hall.owner(index));
    one.box.checked = selection.has(index);
    one.box.setAttribute("aria-label", `${placeName(plan, index)}: ${state}`);
    const text = `${plan.places[index].number || plan.places[index].id} · ${state}`;
    if (one.text.textContent !== text) one.text.textContent = text;
  }
}
