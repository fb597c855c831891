/** What is written over the hall: sections from afar, rows from nearer, and how many standing places are left. */

import { AVAILABLE } from "./feed.js";
import { shapeBox } from "./plan.js";

const ROWS_FROM_PX = 4;
const SECTIONS_UNTIL_PX = 6;
const FONT = "system-ui, sans-serif";

/**
 * @param {CanvasRenderingContext2D} context in CSS pixels
 * @param {import("./paint.js").Scene} scene
 * @param {import("./camera.js").Camera} camera
 * @param {Map<string, number>} freeByArea how many places are free in each standing area
 */
export function drawLabels(context, scene, camera, freeByArea) {
  const { plan, look } = scene;
  const view = camera.view;
  const radius = plan.radius * camera.scale;
  const toX = (/** @type {number} */ x) => (x - view.left) * camera.scale;
  const toY = (/** @type {number} */ y) => (y - view.top) * camera.scale;
  const write = (/** @type {string} */ text, /** @type {number} */ x, /** @type {number} */ y) => {
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  };
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = look.paper;
  const texts = plan.areas.filter((area) => area.text);
  const written = new Set(texts.map((area) => area.text.text));
  for (const area of plan.areas) {
    const [x, y] = middleOf(area);
    const size = area.text?.size ? area.text.size * camera.scale : 14;
    if (size < 7) continue;
    context.font = `600 ${Math.min(Math.max(size, 11), 40)}px ${FONT}`;
    context.fillStyle = (!look.contrast && area.text?.color) || look.ink;
    if (area.text) write(area.text.text, toX(area.x), toY(area.y));
    else if (area.capacity > 0) {
      const under = texts.some(
        (one) => Math.abs(one.y - y) * camera.scale < 24 && Math.abs(one.x - x) * camera.scale < 60,
      );
      write(`${area.label} · ${freeByArea.get(area.id) ?? 0}`, toX(x), toY(y) + (under ? 24 : 0));
    } else if (area.label) write(area.label, toX(x), toY(y));
  }
  context.fillStyle = look.ink;
  if (radius < SECTIONS_UNTIL_PX) {
    context.font = `700 14px ${FONT}`;
    for (const { name, box, seats } of plan.sections) {
      if (!seats.length || !name || written.has(name) || (box.right - box.left) * camera.scale < 16) continue;
      write(name, toX((box.left + box.right) / 2), toY((box.top + box.bottom) / 2));
    }
  }
  if (radius < ROWS_FROM_PX) return;
  context.font = `600 ${Math.min(Math.max(radius * 1.1, 10), 16)}px ${FONT}`;
  for (const section of plan.sections) {
    if (section.box.right < view.left || section.box.left > view.right) continue;
    if (section.box.bottom < view.top || section.box.top > view.bottom) continue;
    for (const { label, seats } of section.rows) {
      const [first, second] = [seats[0], seats[1] ?? seats[0]];
      // One place before the first, in the row's own direction.
      const [x, y] = [2 * plan.x[first] - plan.x[second], 2 * plan.y[first] - plan.y[second]];
      if (x < view.left || x > view.right || y < view.top || y > view.bottom) continue;
      write(label, toX(first === second ? x - plan.pitch : x), toY(y));
    }
  }
}

/**
 * How many places are free in each standing area.
 *
 * @param {import("./plan.js").Plan} plan
 * @param {Uint8Array} states
 * @returns {Map<string, number>}
 */
export function freeByArea(plan, states) {
  const free = new Map();
  for (const [area, places] of plan.placesOfArea) {
    free.set(
      area,
      places.reduce((sum, index) => sum + (states[index] === AVAILABLE ? 1 : 0), 0),
    );
  }
  return free;
}

/**
 * @param {any} area
 * @returns {[number, number]}
 */
function middleOf(area) {
  const box = shapeBox(area);
  return box ? [area.x + (box.left + box.right) / 2, area.y + (box.top + box.bottom) / 2] : [area.x, area.y];
}
