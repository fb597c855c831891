/** What is selected, and what can be done with it: blocking, putting back, setting aside. */

import { AVAILABLE, BLOCKED } from "kiosk/hall/feed.js";
import { indexesOf } from "kiosk/hall/plan.js";
import { announce, button, el } from "kiosk/ui/dom.js";
import { change } from "./asking.js";
import { placeName, tally } from "./names.js";

/** As many places as one call takes. */
const MOST = 1000;
const NAMED = 12;

/** The panel beside the map. */
export class Selected {
  /** @param {import("./hall.js").Hall} hall */
  constructor(hall) {
    this.hall = hall;
    this.summary = el("p", { class: "mb-1", role: "status" });
    this.names = el("p", { class: "text-secondary small" });
    this.reason = input("reason", "Why, for colleagues");
    this.owner = input("owner", "For whom, such as Sponsor X");
    this.note = input("note", "What colleagues should know");
    this.release = input("release", `Back on sale at (${hall.timeZone || "UTC"})`, "datetime-local");
    this.block = act("Block", () => this.#change("/hall/block", AVAILABLE, "blocked"));
    this.unblock = act("Put back on sale", () => this.#change("/hall/unblock", BLOCKED, "back on sale"));
    this.allocate = act("Set aside", () => this.#allocate());
    this.clear = button("Select none", () => hall.selection.set([]), { class: "btn btn-sm" });
    this.element = el(
      "div",
      { class: "card-body" },
      this.summary,
      this.names,
      this.clear,
      el("hr", { class: "my-3" }),
      labelled(this.reason),
      el("div", { class: "btn-list mb-3" }, this.block, this.unblock),
      el("hr", { class: "my-3" }),
      labelled(this.owner),
      labelled(this.note),
      labelled(this.release, "Empty: when the performance begins."),
      this.allocate,
    );
    this.refresh();
  }

  /** Something was selected, or changed. */
  refresh() {
    const { feed, plan, selection } = this.hall;
    const indexes = selection.indexes;
    this.summary.textContent = indexes.length ? `${indexes.length}: ${tally(feed.states, indexes)}` : "Nothing.";
    const names = indexes.slice(0, NAMED).map((index) => placeName(plan, index));
    const more = indexes.length - names.length;
    this.names.textContent = names.join("; ") + (more > 0 ? `; and ${more} more` : "");
    const has = (/** @type {number} */ state) => indexes.some((index) => feed.states[index] === state);
    this.block.disabled = this.allocate.disabled = !has(AVAILABLE);
    this.unblock.disabled = !has(BLOCKED);
    this.clear.disabled = indexes.length === 0;
  }

  /**
   * @param {string} path
   * @param {number} state of the places that are meant
   * @param {string} done what they are afterwards
   */
  async #change(path, state, done) {
    const meant = this.#meant(state);
    await this.#attempt(meant, done, (seats) =>
      change(path, { performance: this.hall.performance, seats, reason: this.reason.value }),
    );
    // What was set aside may have lost some of its places.
    await this.hall.readAllocations();
  }

  async #allocate() {
    if (!this.owner.value.trim()) {
      announce("Say for whom.", { alarm: true });
      this.owner.focus();
      return;
    }
    const done = await this.#attempt(this.#meant(AVAILABLE), `set aside for ${this.owner.value.trim()}`, (seats) =>
      change("/hall/allocate", {
        performance: this.hall.performance,
        seats,
        owner: this.owner.value,
        note: this.note.value,
        release_time: this.release.value,
      }),
    );
    if (done) for (const field of [this.owner, this.note, this.release]) field.value = "";
    await this.hall.readAllocations();
  }

  /** @param {number} state */
  #meant(state) {
    const { feed, selection } = this.hall;
    return selection.indexes.filter((index) => feed.states[index] === state);
  }

  /**
   * Do it, and say what came of it. All are changed or none.
   *
   * @param {number[]} indexes
   * @param {string} done
   * @param {(seats: string) => Promise<unknown>} act
   * @returns {Promise<boolean>} whether it was done
   */
  async #attempt(indexes, done, act) {
    const { map, plan, selection } = this.hall;
    if (indexes.length > MOST) {
      announce(`At most ${MOST.toLocaleString("en")} places at once; ${indexes.length} are selected.`, { alarm: true });
      return false;
    }
    try {
      await act(JSON.stringify(indexes.map((index) => plan.ids[index])));
    } catch (error) {
      const { message = "", metadata = {} } = /** @type {any} */ (error);
      const lost = indexesOf(plan, metadata.seats);
      // Those that somebody was faster with: seen, and no longer selected. What they are now, the feed says.
      map.showLost(lost);
      selection.set(selection.indexes.filter((index) => !lost.includes(index)));
      const names = lost.slice(0, NAMED).map((index) => placeName(plan, index));
      announce(names.length ? `Nothing was changed. Somebody was faster: ${names.join("; ")}.` : message, {
        alarm: true,
      });
      return false;
    }
    selection.set([]);
    announce(`${indexes.length} ${indexes.length === 1 ? "place is" : "places are"} ${done}.`);
    return true;
  }
}

/**
 * @param {string} id
 * @param {string} label
 * @param {string} [type]
 */
function input(id, label, type = "text") {
  return el("input", { id: `selected-${id}`, class: "form-control", type, "data-label": label, autocomplete: "off" });
}

/**
 * @param {HTMLInputElement} field
 * @param {string} [hint]
 */
export function labelled(field, hint) {
  return el(
    "div",
    { class: "mb-2" },
    el("label", { class: "form-label", for: field.id }, field.dataset.label ?? ""),
    field,
    hint ? el("small", { class: "form-hint" }, hint) : null,
  );
}

/**
 * A button that does one thing at a time.
 *
 * @param {string} text
 * @param {() => Promise<void>} work
 */
export function act(text, work) {
  const made = button(
    text,
    async () => {
      if (made.ariaBusy === "true") return;
      made.ariaBusy = "true";
      try {
        await work();
      } finally {
        made.ariaBusy = "false";
      }
    },
    { class: "btn" },
  );
  return made;
}
