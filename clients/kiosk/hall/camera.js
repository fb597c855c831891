/** Where one looks at the drawing from: a point and a zoom, kept so that the hall stays in sight. */

const CLOSEST_SEAT_PX = 52;

/** What of the plane is in the window. Units of the drawing are turned into CSS pixels by `scale`. */
export class Camera {
  x = 0;
  y = 0;
  scale = 1;
  width = 1;
  height = 1;

  /** @param {import("./plan.js").Plan} plan */
  constructor(plan) {
    this.plan = plan;
  }

  /** The zoom at which the whole hall is in sight. */
  get smallest() {
    const { box } = this.plan;
    return Math.min(this.width / (box.right - box.left), this.height / (box.bottom - box.top)) * 0.96;
  }

  /** The zoom at which a seat is as large as it gets. */
  get largest() {
    return Math.max(CLOSEST_SEAT_PX / this.plan.pitch, this.smallest * 2);
  }

  /**
   * The window has this size, in CSS pixels. What was in the middle stays there.
   *
   * @param {number} width
   * @param {number} height
   */
  resize(width, height) {
    const whole = this.scale <= this.smallest * 1.001 || this.width === 1;
    this.width = Math.max(width, 1);
    this.height = Math.max(height, 1);
    if (whole) this.fit();
    else this.#keep();
  }

  /** Show the whole hall. */
  fit() {
    const { box } = this.plan;
    this.scale = this.smallest;
    this.x = (box.left + box.right) / 2;
    this.y = (box.top + box.bottom) / 2;
  }

  /**
   * @param {number} dx to the right, in CSS pixels
   * @param {number} dy downwards
   */
  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.#keep();
  }

  /**
   * Zoom around a point of the window, which stays where it is.
   *
   * @param {number} factor
   * @param {number} [px] CSS pixels from the left; the middle unless said
   * @param {number} [py]
   */
  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const at = this.toPlan(px, py);
    this.scale = Math.min(Math.max(this.scale * factor, this.smallest), this.largest);
    const now = this.toPlan(px, py);
    this.x += at.x - now.x;
    this.y += at.y - now.y;
    this.#keep();
  }

  /**
   * Bring a box into sight, as large as fits but no larger than one can use.
   *
   * @param {import("./plan.js").Box} box
   */
  show(box) {
    const edge = this.plan.pitch * 3;
    const [width, height] = [box.right - box.left + edge, box.bottom - box.top + edge];
    this.scale = Math.min(this.width / width, this.height / height, this.largest * 0.7);
    this.scale = Math.max(this.scale, this.smallest);
    this.x = (box.left + box.right) / 2;
    this.y = (box.top + box.bottom) / 2;
    this.#keep();
  }

  /**
   * @param {number} px
   * @param {number} py
   */
  toPlan(px, py) {
    return { x: this.x + (px - this.width / 2) / this.scale, y: this.y + (py - this.height / 2) / this.scale };
  }

  /** The part of the plane that is in sight. @returns {import("./plan.js").Box} */
  get view() {
    const [halfWidth, halfHeight] = [this.width / 2 / this.scale, this.height / 2 / this.scale];
    return {
      left: this.x - halfWidth,
      top: this.y - halfHeight,
      right: this.x + halfWidth,
      bottom: this.y + halfHeight,
    };
  }

  #keep() {
    const { box } = this.plan;
    this.x = Math.min(Math.max(this.x, box.left), box.right);
    this.y = Math.min(Math.max(this.y, box.top), box.bottom);
  }
}
