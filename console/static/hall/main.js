/** Opens the live hall. */

import { loadPlan } from "kiosk/hall/plan.js";
import { announce } from "kiosk/ui/dom.js";
import { read } from "./asking.js";
import { Hall } from "./hall.js";

const settings = JSON.parse(document.getElementById("settings")?.textContent ?? "{}");

try {
  const plan = await loadPlan(() => read("/hall/drawing", { performance: settings.performance }), settings.performance);
  // For who looks closer, and for the tests.
  Object.assign(window, { hall: new Hall(settings, plan) });
} catch (error) {
  announce(/** @type {Error} */ (error).message, { alarm: true });
}
