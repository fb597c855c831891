/** Sets the screen back when nobody is there any more: a warning first, then everything goes back. */

import { openDialog } from "./dialog.js";
import { button, el } from "./dom.js";
import { idleSeconds } from "./settings.js";
import { words } from "../text/language.js";

const WARNING_SECONDS = 20;
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"];

/**
 * Watch for signs of somebody.
 *
 * @param {() => boolean} inUse whether there is anything to set back, and nothing that must not be disturbed
 * @param {() => Promise<void>} reset
 */
export function watchIdleness(inUse, reset) {
  let last = performance.now();
  /** @type {HTMLDialogElement | null} */
  let warning = null;
  const sign = () => {
    if (!warning) last = performance.now();
  };
  for (const kind of SIGNS) addEventListener(kind, sign, { capture: true, passive: true });

  const look = () => {
    const limit = idleSeconds();
    if (!limit || !inUse()) {
      last = performance.now();
      warning?.close();
      return;
    }
    const left = limit - (performance.now() - last) / 1000;
    if (left <= 0) {
      last = performance.now();
      for (const dialog of document.querySelectorAll("dialog")) dialog.close();
      void reset();
    } else if (left <= Math.min(WARNING_SECONDS, limit / 2)) warn(Math.ceil(left));
  };

  const warn = (/** @type {number} */ seconds) => {
    if (!warning) {
      const stay = () => {
        last = performance.now();
        warning?.close();
      };
      warning = openDialog(
        words.stillThere,
        [
          el("p", { class: "countdown", role: "timer" }),
          el("div", { class: "actions" }, button(words.stay, stay, { class: "main" })),
        ],
        {
          onclose: () => {
            warning = null;
            last = performance.now();
          },
        },
      );
    }
    const text = warning.querySelector(".countdown");
    if (text) text.textContent = words.resetIn(seconds);
  };

  setInterval(look, 500);
}
