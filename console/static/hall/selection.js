/** The places that are selected. Emits `change`. */
export class Selection extends EventTarget {
  /** @type {Set<number>} */
  #chosen = new Set();

  /** Their indexes, in order. */
  get indexes() {
    return [...this.#chosen].sort((a, b) => a - b);
  }

  get size() {
    return this.#chosen.size;
  }

  /** @param {number} index */
  has(index) {
    return this.#chosen.has(index);
  }

  /**
   * Select these; if all of them are, give them up.
   *
   * @param {number[]} indexes
   */
  toggle(indexes) {
    const all = indexes.every((index) => this.#chosen.has(index));
    for (const index of indexes) {
      if (all) this.#chosen.delete(index);
      else this.#chosen.add(index);
    }
    this.#changed();
  }

  /** @param {number[]} indexes */
  add(indexes) {
    for (const index of indexes) this.#chosen.add(index);
    this.#changed();
  }

  /** @param {number[]} indexes these and no others */
  set(indexes) {
    this.#chosen = new Set(indexes);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
