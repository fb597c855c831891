/** What is set aside, for whom and until when: seen, changed and released. */

import { announce, button, el } from "kiosk/ui/dom.js";
import { change } from "./asking.js";
import { act, labelled } from "./selected.js";

/** The list beside the map. */
export class Allocations {
  /** @param {import("./hall.js").Hall} hall */
  constructor(hall) {
    this.hall = hall;
    // While somebody fills one of the forms in, nothing is drawn anew under their hands.
    this.changing = false;
    const name = "What is set aside";
    this.element = el("div", { class: "hall-scroll", tabIndex: 0, role: "group", "aria-label": name });
  }

  /** @param {any[]} allocations those that are live */
  show(allocations) {
    if (this.changing) return;
    const made = allocations.map((one) => this.#item(one));
    const list = el("ul", { class: "list-group list-group-flush" }, ...made);
    this.element.replaceChildren(made.length ? list : el("p", { class: "card-body mb-0" }, "Nothing."));
  }

  /** @param {any} one */
  #item(one) {
    const { hall } = this;
    const indexes = one.seats.flatMap((/** @type {string} */ id) => hall.plan.indexOf.get(id) ?? []);
    const facts = [
      `${one.seats.length} places, ${one.blocked} of them still kept`,
      one.releases ? `back on sale ${one.releases}` : "",
      one.note,
    ];
    const item = el(
      "li",
      { class: "list-group-item" },
      el("strong", null, one.owner),
      ...facts.filter(Boolean).map((fact) => el("div", { class: "small" }, fact)),
      el(
        "div",
        { class: "btn-list mt-2" },
        button("Select", () => hall.choose(indexes), { class: "btn btn-sm", "aria-label": `Select: ${one.owner}` }),
        button(
          "Change",
          () => {
            this.changing = true;
            item.replaceChildren(this.#form(one));
          },
          { class: "btn btn-sm", "aria-label": `Change: ${one.owner}` },
        ),
        small("Release", one, () => this.#attempt("/hall/release", { name: one.name }, `${one.owner}: released.`)),
      ),
    );
    return item;
  }

  /** @param {any} one */
  #form(one) {
    const field = (
      /** @type {string} */ name,
      /** @type {string} */ label,
      /** @type {string} */ value,
      type = "text",
    ) => el("input", { id: `change-${name}-${one.etag}`, class: "form-control", type, value, "data-label": label });
    const owner = field("owner", "For whom", one.owner);
    const note = field("note", "Note", one.note);
    const time = `Back on sale at (${this.hall.timeZone || "UTC"})`;
    const release = field("release", time, one.releaseLocal, "datetime-local");
    const save = act("Save", () => {
      const fields = { owner: owner.value, note: note.value, release_time: release.value };
      return this.#attempt(
        "/hall/reallocate",
        { name: one.name, etag: one.etag, ...fields },
        `${owner.value}: changed.`,
      );
    });
    const back = button("Leave it", () => void this.#drawAnew(), { class: "btn" });
    return el(
      "div",
      null,
      labelled(owner),
      labelled(note),
      labelled(release),
      el("div", { class: "btn-list" }, save, back),
    );
  }

  /**
   * @param {string} path
   * @param {Record<string, string>} fields
   * @param {string} done
   */
  async #attempt(path, fields, done) {
    try {
      await change(path, fields);
      announce(done);
    } catch (error) {
      const { message, reason } = /** @type {any} */ (error);
      const late = "Somebody else changed this meanwhile. Nothing was saved; here is how it is now.";
      announce(reason === "ETAG_MISMATCH" ? late : message, { alarm: true });
    }
    await this.#drawAnew();
  }

  #drawAnew() {
    this.changing = false;
    return this.hall.readAllocations();
  }
}

/**
 * @param {string} text
 * @param {any} one
 * @param {() => Promise<void>} work
 */
function small(text, one, work) {
  const made = act(text, work);
  made.className = "btn btn-sm btn-outline-danger";
  made.setAttribute("aria-label", `${text}: ${one.owner}`);
  return made;
}
