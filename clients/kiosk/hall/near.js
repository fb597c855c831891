/** Which seats are near a point or in a box: a grid over the drawing. */

/** Seats by where they are. */
export class Near {
  /** @param {import("./plan.js").Plan} plan */
  constructor(plan) {
    this.plan = plan;
    this.cell = plan.pitch * 8;
    this.columns = Math.max(1, Math.ceil((plan.box.right - plan.box.left) / this.cell));
    this.lines = Math.max(1, Math.ceil((plan.box.bottom - plan.box.top) / this.cell));
    /** @type {number[][]} */
    this.cells = Array.from({ length: this.columns * this.lines }, () => []);
    for (let index = 0; index < plan.count; index += 1) {
      if (plan.drawn[index])
        this.cells[this.#line(plan.y[index]) * this.columns + this.#column(plan.x[index])].push(index);
    }
  }

  /**
   * Call with each seat whose middle is in the box.
   *
   * @param {import("./plan.js").Box} box
   * @param {(index: number) => void} visit
   */
  within(box, visit) {
    const { plan } = this;
    if (box.right < plan.box.left || box.left > plan.box.right) return;
    if (box.bottom < plan.box.top || box.top > plan.box.bottom) return;
    const [left, right] = [this.#column(box.left), this.#column(box.right)];
    for (let line = this.#line(box.top); line <= this.#line(box.bottom); line += 1) {
      for (let column = left; column <= right; column += 1) {
        for (const index of this.cells[line * this.columns + column]) {
          const [x, y] = [plan.x[index], plan.y[index]];
          if (x >= box.left && x <= box.right && y >= box.top && y <= box.bottom) visit(index);
        }
      }
    }
  }

  /**
   * The seat nearest to a point and not farther than `reach`; -1: there is none.
   *
   * @param {number} x
   * @param {number} y
   * @param {number} reach
   */
  nearest(x, y, reach) {
    let found = -1;
    let least = reach;
    this.within({ left: x - reach, top: y - reach, right: x + reach, bottom: y + reach }, (index) => {
      const distance = Math.hypot(this.plan.x[index] - x, this.plan.y[index] - y);
      if (distance <= least) [found, least] = [index, distance];
    });
    return found;
  }

  /** @param {number} x */
  #column(x) {
    return clamp(Math.floor((x - this.plan.box.left) / this.cell), this.columns - 1);
  }

  /** @param {number} y */
  #line(y) {
    return clamp(Math.floor((y - this.plan.box.top) / this.cell), this.lines - 1);
  }
}

/**
 * @param {number} value
 * @param {number} most
 */
function clamp(value, most) {
  return Math.min(Math.max(value, 0), most);
}
