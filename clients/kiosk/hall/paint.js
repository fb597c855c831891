/** Paints a part of the hall, areas and places as they are, onto any canvas. */

import { AVAILABLE, BLOCKED, HELD, SOLD } from "./feed.js";
import { shapeOf } from "./look.js";

/** Below this radius in pixels a seat is a plain square: more cannot be seen. */
const SHAPED_PX = 2.4;
const NUMBERED_PX = 9;
const MARKED_PX = 4;

/**
 * @typedef {object} Scene
 * @property {import("./plan.js").Plan} plan
 * @property {import("./near.js").Near} near
 * @property {Uint8Array} states
 * @property {import("./look.js").Look} look
 */

/**
 * Paint what is in a box of the plane, so that its top left corner comes to (left, top) of the canvas.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {import("./plan.js").Box} box
 * @param {number} scale pixels of the canvas per unit of the plane
 * @param {number} left
 * @param {number} top
 */
export function paint(context, scene, box, scale, left, top) {
  const [width, height] = [(box.right - box.left) * scale, (box.bottom - box.top) * scale];
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.clearRect(left, top, width, height);
  context.translate(left - box.left * scale, top - box.top * scale);
  paintAreas(context, scene, scale);
  paintSeats(context, scene, box, scale);
  context.restore();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {number} scale
 */
function paintAreas(context, { plan, look }, scale) {
  plan.areas.forEach((area) => {
    const path = areaPath(area);
    if (!path) return;
    const zone = area.capacity > 0 ? plan.zones.findIndex((one) => one.zone === area.zone) : -1;
    context.save();
    context.scale(scale, scale);
    context.translate(area.x, area.y);
    context.rotate(((area.rotation || 0) * Math.PI) / 180);
    context.fillStyle = look.contrast ? look.paper : zone >= 0 ? look.zones[zone] : area.color || look.floor;
    context.globalAlpha = zone >= 0 && !look.contrast ? 0.25 : 1;
    context.fill(path);
    context.globalAlpha = 1;
    context.lineWidth = 1.5 / scale;
    context.strokeStyle = zone >= 0 ? look.zones[zone] : area.borderColor || look.faint;
    context.stroke(path);
    context.restore();
  });
}

/**
 * The outline of an area around its own place; null for a text.
 *
 * @param {any} area
 */
export function areaPath(area) {
  const path = new Path2D();
  if (area.rectangle) path.rect(0, 0, area.rectangle.width, area.rectangle.height);
  else if (area.circle) path.arc(0, 0, area.circle.radius, 0, 2 * Math.PI);
  else if (area.ellipse) path.ellipse(0, 0, area.ellipse.radiusX, area.ellipse.radiusY, 0, 0, 2 * Math.PI);
  else if (area.polygon) {
    for (const point of area.polygon.points) path.lineTo(point.x, point.y);
    path.closePath();
  } else return null;
  return path;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {import("./plan.js").Box} box
 * @param {number} scale
 */
function paintSeats(context, { plan, near, states, look }, box, scale) {
  const edge = plan.pitch / 2;
  const radius = plan.radius * scale;
  /** Seats by zone and state: each group is one path. @type {number[][]} */
  const groups = [];
  const wide = { left: box.left - edge, top: box.top - edge, right: box.right + edge, bottom: box.bottom + edge };
  near.within(wide, (index) => {
    const group = plan.zoneOf[index] * 8 + states[index];
    (groups[group] ??= []).push(index);
  });
  groups.forEach((seats, group) => {
    const [zone, state] = [group >> 3, group & 7];
    if (radius < SHAPED_PX) paintDots(context, plan, look, seats, zone, state, radius, scale);
    else paintShapes(context, plan, look, seats, zone, state, radius, scale);
  });
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./plan.js").Plan} plan
 * @param {import("./look.js").Look} look
 * @param {number[]} seats
 * @param {number} zone
 * @param {number} state
 * @param {number} radius
 * @param {number} scale
 */
function paintDots(context, plan, look, seats, zone, state, radius, scale) {
  // Free is large, held half of it, the rest a point: sizes, too, and not only colours.
  const half = state === AVAILABLE ? Math.max(radius, 0.5) : state === HELD ? radius * 0.6 : radius * 0.35;
  context.fillStyle = state === AVAILABLE ? look.zones[zone] : look.faint;
  for (const index of seats) {
    context.fillRect(plan.x[index] * scale - half, plan.y[index] * scale - half, 2 * half, 2 * half);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./plan.js").Plan} plan
 * @param {import("./look.js").Look} look
 * @param {number[]} seats
 * @param {number} zone
 * @param {number} state
 * @param {number} radius
 * @param {number} scale
 */
function paintShapes(context, plan, look, seats, zone, state, radius, scale) {
  const shape = shapeOf(zone);
  context.beginPath();
  for (const index of seats) {
    const [x, y] = [plan.x[index] * scale, plan.y[index] * scale];
    if (state === AVAILABLE) shape(context, x, y, radius);
    else if (state === SOLD) cross(context, x, y, radius * 0.55);
    else if (state === BLOCKED || state === 0) dash(context, x, y, radius * 0.5);
    else {
      shape(context, x, y, radius * 0.85);
      context.moveTo(x + radius * 0.25, y);
      context.arc(x, y, radius * 0.25, 0, 2 * Math.PI);
    }
  }
  context.lineWidth = Math.max(1, radius * 0.14);
  if (state !== AVAILABLE) {
    context.strokeStyle = look.faint;
    context.stroke();
    return;
  }
  context.fillStyle = look.zones[zone];
  context.fill();
  if (radius < MARKED_PX) return;
  context.fillStyle = look.onZones[zone];
  context.strokeStyle = look.onZones[zone];
  if (radius >= NUMBERED_PX) {
    context.font = `600 ${Math.round(radius * 0.8)}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
  }
  for (const index of seats) {
    const [x, y] = [plan.x[index] * scale, plan.y[index] * scale];
    if (plan.accessible[index]) wheelchair(context, x, y, radius);
    else if (radius >= NUMBERED_PX) context.fillText(plan.places[index].number, x, y, radius * 1.7);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} y
 * @param {number} arm
 */
function cross(context, x, y, arm) {
  context.moveTo(x - arm, y - arm);
  context.lineTo(x + arm, y + arm);
  context.moveTo(x + arm, y - arm);
  context.lineTo(x - arm, y + arm);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} y
 * @param {number} arm
 */
function dash(context, x, y, arm) {
  context.moveTo(x - arm, y);
  context.lineTo(x + arm, y);
}

/**
 * A head, a back, a seat and a wheel.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} y
 * @param {number} radius of the place
 */
function wheelchair(context, x, y, radius) {
  const unit = radius / 10;
  context.beginPath();
  context.arc(x - unit, y - 6 * unit, 1.4 * unit, 0, 2 * Math.PI);
  context.fill();
  context.lineWidth = Math.max(1, 1.4 * unit);
  context.beginPath();
  context.moveTo(x - unit, y - 4 * unit);
  context.lineTo(x - unit, y);
  context.lineTo(x + 3 * unit, y);
  context.lineTo(x + 5 * unit, y + 4.5 * unit);
  context.moveTo(x + 2.4 * unit, y + 3.4 * unit);
  context.arc(x - unit, y + 2.2 * unit, 3.6 * unit, 0.3, 4);
  context.stroke();
}
