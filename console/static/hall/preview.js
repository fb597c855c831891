/** Draws a version of a seat map. */

import { MapView } from "kiosk/hall/map_view.js";
import { Plan } from "kiosk/hall/plan.js";
import { AVAILABLE } from "kiosk/hall/feed.js";
import { read } from "./asking.js";

const { seatMap } = JSON.parse(document.getElementById("settings")?.textContent ?? "{}");
const canvas = /** @type {HTMLCanvasElement} */ (document.getElementById("map"));
const version = /** @type {HTMLSelectElement} */ (document.getElementById("version"));
const said = /** @type {HTMLElement} */ (document.getElementById("said"));
/** @type {MapView | undefined} */
let map;

async function draw() {
  map?.close();
  try {
    const head = await read("/hall/drawing", { seat_map: seatMap, version: version.value });
    const plan = new Plan(head, head.seats);
    map = new MapView(canvas, plan, new Uint8Array(plan.count).fill(AVAILABLE), () => "");
    map.redraw();
    said.textContent = `Version ${head.version}: ${head.placeCount.toLocaleString("en")} places.`;
  } catch (error) {
    said.textContent = /** @type {Error} */ (error).message;
  }
}

version.addEventListener("change", () => void draw());
void draw();
