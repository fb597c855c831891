/**
 * The hall as square pictures that are painted once and then only moved: what makes panning and zooming smooth.
 *
 * Each zoom has a grid of tiles of its own. In one frame only so much is painted as leaves time for the next one; what
 * is not there yet is covered by the overview, a picture of the whole hall that is always there. When a place changes,
 * the pictures that show it get that place painted anew, nothing else.
 */

import { paint } from "./paint.js";

const SIZE = 256;
const KEPT = 400;
const OVERVIEW_PX = 2048;
/** Along either side: so that painting it anew can be spread over frames, too. */
const OVERVIEW_PARTS = 6;
const BUDGET_MS = 5;
/** From so many changed places on, a tile is painted anew as a whole. */
const MANY = 48;

/** @typedef {{canvas: HTMLCanvasElement, box: import("./plan.js").Box, scale: number, version: number, changed: number[], used: number}} Picture */

/** The pictures of one hall. */
export class Tiles {
  /** @type {Map<string, Picture>} */
  #tiles = new Map();
  /** @type {Picture[]} */
  #overview = [];
  #version = 1;
  #frame = 0;

  /** @param {import("./paint.js").Scene} scene */
  constructor(scene) {
    this.scene = scene;
    const { box, pitch } = scene.plan;
    const [width, height] = [(box.right - box.left) / OVERVIEW_PARTS, (box.bottom - box.top) / OVERVIEW_PARTS];
    const scale = Math.min(OVERVIEW_PX / OVERVIEW_PARTS / Math.max(width, height), 12 / pitch);
    for (let part = 0; part < OVERVIEW_PARTS ** 2; part += 1) {
      const left = box.left + (part % OVERVIEW_PARTS) * width;
      const top = box.top + Math.floor(part / OVERVIEW_PARTS) * height;
      this.#overview.push(picture({ left, top, right: left + width, bottom: top + height }, scale));
    }
  }

  /**
   * Places look different now.
   *
   * @param {number[] | null} changed their indexes; null: all
   */
  changed(changed) {
    if (changed === null || changed.length > 2000) {
      this.#version += 1;
      return;
    }
    const edge = this.scene.plan.pitch / 2;
    for (const one of [...this.#overview, ...this.#tiles.values()]) {
      for (const index of changed) {
        const [x, y] = [this.scene.plan.x[index], this.scene.plan.y[index]];
        const { left, top, right, bottom } = one.box;
        if (x > left - edge && x < right + edge && y > top - edge && y < bottom + edge) one.changed.push(index);
      }
    }
  }

  /**
   * Draw what the camera sees.
   *
   * @param {CanvasRenderingContext2D} context scaled so that one unit is one device pixel
   * @param {import("./camera.js").Camera} camera
   * @param {number} ratio device pixels per CSS pixel
   * @returns {boolean} whether it is all there; if not, another frame is wanted
   */
  draw(context, camera, ratio) {
    this.#frame += 1;
    const deadline = performance.now() + BUDGET_MS;
    const level = Math.ceil(Math.log2(camera.scale * ratio) * 2);
    const side = SIZE / 2 ** (level / 2);
    const { view, plan } = { view: camera.view, plan: this.scene.plan };
    const [left, right] = [Math.max(view.left, plan.box.left), Math.min(view.right, plan.box.right)];
    const [top, bottom] = [Math.max(view.top, plan.box.top), Math.min(view.bottom, plan.box.bottom)];
    /** @type {Picture[]} */
    const ready = [];
    let complete = true;
    for (let line = Math.floor(top / side); line * side < bottom; line += 1) {
      for (let column = Math.floor(left / side); column * side < right; column += 1) {
        const tile = this.#tile(level, column, line, side, deadline);
        if (tile) ready.push(tile);
        if (!tile || tile.version !== this.#version || tile.changed.length) complete = false;
      }
    }
    if (!complete) {
      for (const part of this.#overview) {
        this.#bring(part, deadline);
        if (part.version !== 0) place(context, part, camera, ratio);
      }
      for (const tile of ready) erase(context, tile, camera, ratio);
    }
    for (const tile of ready) place(context, tile, camera, ratio);
    this.#forget();
    return complete;
  }

  /**
   * @param {number} level
   * @param {number} column
   * @param {number} line
   * @param {number} side
   * @param {number} deadline
   */
  #tile(level, column, line, side, deadline) {
    const key = `${level}/${column}/${line}`;
    let tile = this.#tiles.get(key);
    if (!tile) {
      if (performance.now() > deadline) return null;
      const box = { left: column * side, top: line * side, right: (column + 1) * side, bottom: (line + 1) * side };
      tile = picture(box, SIZE / side);
      this.#tiles.set(key, tile);
    }
    tile.used = this.#frame;
    this.#bring(tile, deadline);
    return tile.version === 0 ? null : tile;
  }

  /**
   * Bring a picture up to date, if there is time.
   *
   * @param {Picture} one
   * @param {number} deadline
   */
  #bring(one, deadline) {
    const stale = one.version !== this.#version;
    if (!stale && one.changed.length === 0) return;
    if (performance.now() > deadline) return;
    const context = /** @type {CanvasRenderingContext2D} */ (one.canvas.getContext("2d"));
    if (stale || one.changed.length > MANY) {
      paint(context, this.scene, one.box, one.scale, 0, 0);
      one.version = this.#version;
    } else {
      const edge = this.scene.plan.pitch / 2;
      for (const index of one.changed) {
        const [x, y] = [this.scene.plan.x[index], this.scene.plan.y[index]];
        // Whole pixels, so that no half-painted edge stays.
        const left = Math.floor((x - edge - one.box.left) * one.scale);
        const top = Math.floor((y - edge - one.box.top) * one.scale);
        const width = Math.ceil(2 * edge * one.scale) + 1;
        const box = {
          left: one.box.left + left / one.scale,
          top: one.box.top + top / one.scale,
          right: one.box.left + (left + width) / one.scale,
          bottom: one.box.top + (top + width) / one.scale,
        };
        paint(context, this.scene, box, one.scale, left, top);
      }
    }
    one.changed = [];
  }

  #forget() {
    if (this.#tiles.size <= KEPT) return;
    const oldest = [...this.#tiles].sort(([, a], [, b]) => a.used - b.used);
    for (const [key, tile] of oldest.slice(0, this.#tiles.size - KEPT)) {
      if (tile.used === this.#frame) return;
      tile.canvas.width = tile.canvas.height = 0;
      this.#tiles.delete(key);
    }
  }
}

/**
 * @param {import("./plan.js").Box} box
 * @param {number} scale
 * @returns {Picture}
 */
function picture(box, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round((box.right - box.left) * scale));
  canvas.height = Math.max(1, Math.round((box.bottom - box.top) * scale));
  return { canvas, box, scale, version: 0, changed: [], used: 0 };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Picture} one
 * @param {import("./camera.js").Camera} camera
 * @param {number} ratio
 */
function place(context, one, camera, ratio) {
  const [x, y, width, height] = where(one, camera, ratio);
  context.drawImage(one.canvas, x, y, width, height);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Picture} one
 * @param {import("./camera.js").Camera} camera
 * @param {number} ratio
 */
function erase(context, one, camera, ratio) {
  const [x, y, width, height] = where(one, camera, ratio);
  context.clearRect(x, y, width, height);
}

/**
 * Where a picture is in the window, in whole device pixels, so that neighbours meet without a seam.
 *
 * @param {Picture} one
 * @param {import("./camera.js").Camera} camera
 * @param {number} ratio
 */
function where({ box }, camera, ratio) {
  const { left, top } = camera.view;
  const scale = camera.scale * ratio;
  const [x, y] = [Math.round((box.left - left) * scale), Math.round((box.top - top) * scale)];
  return [x, y, Math.round((box.right - left) * scale) - x, Math.round((box.bottom - top) * scale) - y];
}
