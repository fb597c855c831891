/** The hall on the screen: one canvas that is drawn when something moves or changes, and never otherwise. */

import { Camera } from "./camera.js";
import { listenForGestures } from "./gestures.js";
import { drawLabels, freeByArea } from "./labels.js";
import { Look } from "./look.js";
import { Near } from "./near.js";
import { areaPath } from "./paint.js";
import { Tiles } from "./tiles.js";

const LARGEST_RATIO = 2;
/** A finger needs 44 px: nearer seats than that are zoomed in on before one is chosen. */
const FINGER_PX = 22;
const EASY_SEAT_PX = { touch: 20, mouse: 7 };
const FLIGHT_MS = 350;
const LOST_MS = 2500;

/**
 * @callback Over
 * @param {CanvasRenderingContext2D} context
 * @param {(index: number) => [number, number]} at where a place is in the window
 * @param {number} radius of a place there
 * @param {Look} look
 */

/**
 * Emits `seat` (detail: its index) when one is chosen, `area` (detail: the area), and `point` (detail: an index, or -1)
 * when the mouse rests on another one.
 */
export class MapView extends EventTarget {
  #drawn = 0;
  #flight = 0;
  #hovered = -1;
  /** @type {Map<number, number>} */
  #lost = new Map();
  #free = new Map();
  #stop = new AbortController();

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./plan.js").Plan} plan
   * @param {Uint8Array} states kept by the feed
   * @param {(index: number) => "" | "mine" | "adding" | "removing"} ours what the customer has to do with a place
   */
  constructor(canvas, plan, states, ours) {
    super();
    this.canvas = canvas;
    this.ours = ours;
    /** @type {number[]} */
    this.own = [];
    /** What else is drawn over the places, by who shows more than customers see. @type {Over | null} */
    this.over = null;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.scene = { plan, near: new Near(plan), states, look: new Look(plan, theme()) };
    this.camera = new Camera(plan);
    this.tiles = new Tiles(this.scene);
    this.#free = freeByArea(plan, states);
    const resized = new ResizeObserver(() => this.#resize());
    resized.observe(canvas);
    this.#stop.signal.addEventListener("abort", () => resized.disconnect());
    for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
      matchMedia(query).addEventListener("change", () => this.restyle(), { signal: this.#stop.signal });
    }
    listenForGestures(canvas, this, this.#stop.signal);
  }

  /** Take nothing in any more. */
  close() {
    this.#stop.abort();
    cancelAnimationFrame(this.#drawn);
  }

  /**
   * Places have other states now.
   *
   * @param {number[] | null} changed null: all
   */
  changed(changed) {
    this.tiles.changed(changed);
    const { plan, states } = this.scene;
    if (plan.placesOfArea.size && (changed === null || changed.some((index) => !plan.drawn[index]))) {
      this.#free = freeByArea(plan, states);
    }
    this.redraw();
  }

  /**
   * The customer's places are these now.
   *
   * @param {number[]} own
   */
  showOwn(own) {
    this.own = own;
    this.redraw();
  }

  /**
   * Mark places that somebody else had first, for a moment.
   *
   * @param {number[]} indexes
   */
  showLost(indexes) {
    const until = performance.now() + LOST_MS;
    for (const index of indexes) this.#lost.set(index, until);
    setTimeout(() => this.redraw(), LOST_MS + 20);
    this.redraw();
  }

  /** Colours were changed. */
  restyle() {
    this.scene.look = new Look(this.scene.plan, theme());
    this.tiles.changed(null);
    this.redraw();
  }

  /** Show the whole hall. */
  fit() {
    this.#fly(() => this.camera.fit());
  }

  /** @param {number} factor */
  zoomBy(factor) {
    this.#fly(() => this.camera.zoom(factor));
  }

  /**
   * @param {import("./plan.js").Box} box
   */
  show(box) {
    this.#fly(() => this.camera.show(box));
  }

  /** Draw before the next frame. */
  redraw() {
    if (!this.#drawn) this.#drawn = requestAnimationFrame((now) => this.#draw(now));
  }

  /**
   * Somebody pressed at a point of the canvas.
   *
   * @param {number} px
   * @param {number} py
   * @param {"touch" | "mouse"} kind
   */
  press(px, py, kind) {
    const { plan, near } = this.scene;
    const { x, y } = this.camera.toPlan(px, py);
    const reach = Math.max(plan.pitch * 0.6, (kind === "touch" ? FINGER_PX : 6) / this.camera.scale);
    const index = near.nearest(x, y, reach);
    if (index >= 0 && plan.pitch * this.camera.scale < EASY_SEAT_PX[kind]) {
      const target = (EASY_SEAT_PX[kind] * 1.6) / plan.pitch / this.camera.scale;
      this.#fly(() => {
        this.camera.zoom(target, px, py);
      });
    } else if (index >= 0) this.dispatchEvent(new CustomEvent("seat", { detail: index }));
    else {
      const area = this.#areaAt(x, y);
      if (area) this.dispatchEvent(new CustomEvent("area", { detail: area }));
    }
  }

  /**
   * The mouse is at a point of the canvas.
   *
   * @param {number} px
   * @param {number} py
   */
  point(px, py) {
    const { x, y } = this.camera.toPlan(px, py);
    const index = this.scene.near.nearest(x, y, this.scene.plan.pitch * 0.5);
    if (index === this.#hovered) return;
    this.#hovered = index;
    this.canvas.style.cursor = index >= 0 ? "pointer" : "grab";
    this.dispatchEvent(new CustomEvent("point", { detail: index }));
    this.redraw();
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #areaAt(x, y) {
    return this.scene.plan.standing.find((area) => {
      const turn = (-(area.rotation || 0) * Math.PI) / 180;
      const [dx, dy] = [x - area.x, y - area.y];
      const path = areaPath(area);
      const [ax, ay] = [dx * Math.cos(turn) - dy * Math.sin(turn), dx * Math.sin(turn) + dy * Math.cos(turn)];
      this.context.save();
      this.context.resetTransform();
      const inside = path !== null && this.context.isPointInPath(path, ax, ay);
      this.context.restore();
      return inside;
    });
  }

  /** @param {() => void} move what the camera is to be moved by */
  #fly(move) {
    const { camera } = this;
    const from = [camera.x, camera.y, Math.log(camera.scale)];
    move();
    const to = [camera.x, camera.y, Math.log(camera.scale)];
    cancelAnimationFrame(this.#flight);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.redraw();
    const begin = performance.now();
    const step = (/** @type {number} */ now) => {
      const part = Math.min(Math.max((now - begin) / FLIGHT_MS, 0), 1);
      const eased = 1 - (1 - part) ** 3;
      [camera.x, camera.y] = [from[0] + (to[0] - from[0]) * eased, from[1] + (to[1] - from[1]) * eased];
      camera.scale = Math.exp(from[2] + (to[2] - from[2]) * eased);
      this.redraw();
      if (part < 1) this.#flight = requestAnimationFrame(step);
    };
    this.#flight = requestAnimationFrame(step);
  }

  #resize() {
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth || !clientHeight) return;
    this.ratio = Math.min(window.devicePixelRatio || 1, LARGEST_RATIO);
    this.canvas.width = Math.round(clientWidth * this.ratio);
    this.canvas.height = Math.round(clientHeight * this.ratio);
    this.camera.resize(clientWidth, clientHeight);
    this.redraw();
  }

  /** @param {number} now */
  #draw(now) {
    this.#drawn = 0;
    if (!this.ratio) return;
    const { context, scene, camera, ratio } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const complete = this.tiles.draw(context, camera, ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#drawOwn(now);
    drawLabels(context, scene, camera, this.#free);
    if (!complete) this.redraw();
  }

  /** @param {number} now */
  #drawOwn(now) {
    const { context, camera, scene } = this;
    const { plan, look } = scene;
    const view = camera.view;
    const radius = Math.max(plan.radius * camera.scale * 1.15, 4);
    const at = (/** @type {number} */ index) =>
      /** @type {[number, number]} */ ([
        (plan.x[index] - view.left) * camera.scale,
        (plan.y[index] - view.top) * camera.scale,
      ]);
    this.over?.(context, at, radius, look);
    for (const index of this.own) {
      if (plan.drawn[index]) drawMark(context, at(index), radius, look, this.ours(index));
    }
    for (const [index, until] of this.#lost) {
      if (until < now) this.#lost.delete(index);
      else ring(context, at(index), radius * 1.2, look.lost, 3);
    }
    if (this.#hovered >= 0) ring(context, at(this.#hovered), radius, look.ink, 2);
  }
}

/**
 * One of the customer's own places: a tick on a dark disc; hollow while the server has not answered yet.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {[number, number]} at
 * @param {number} radius
 * @param {import("./look.js").Look} look
 * @param {string} ours
 */
export function drawMark(context, at, radius, look, ours) {
  const [x, y] = at;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = ours === "mine" ? look.mine : look.paper;
  context.fill();
  ring(context, at, radius, look.mine, 2);
  if (ours === "removing") return;
  context.beginPath();
  context.moveTo(x - radius * 0.5, y);
  context.lineTo(x - radius * 0.1, y + radius * 0.4);
  context.lineTo(x + radius * 0.5, y - radius * 0.4);
  context.lineWidth = Math.max(1.5, radius * 0.22);
  context.strokeStyle = ours === "mine" ? look.mineInk : look.mine;
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {[number, number]} at
 * @param {number} radius
 * @param {string} color
 * @param {number} width
 */
function ring(context, [x, y], radius, color, width) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.lineWidth = width;
  context.strokeStyle = color;
  context.stroke();
}

function theme() {
  return {
    dark: matchMedia("(prefers-color-scheme: dark)").matches && document.documentElement.dataset.contrast !== "more",
    contrast: matchMedia("(prefers-contrast: more)").matches || document.documentElement.dataset.contrast === "more",
  };
}
