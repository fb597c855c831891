/** What whoever looks after the screen can set. */

import { openDialog } from "./dialog.js";
import { el, field } from "./dom.js";
import { explain, words } from "../text/language.js";

const IDLE = "rowlock.idle";
const CONTRAST = "rowlock.contrast";
const IDLE_SECONDS = 120;

/** After how many seconds without a touch the screen is reset; 0: never. */
export function idleSeconds() {
  const kept = sessionStorage.getItem(IDLE);
  return kept === null ? IDLE_SECONDS : Number(kept) || 0;
}

/** Take up what was set before, in this tab or by the page's address (`?idle=30`). */
export function restoreSettings() {
  const idle = new URLSearchParams(location.search).get("idle");
  if (idle !== null && /^\d{1,5}$/.test(idle)) sessionStorage.setItem(IDLE, idle);
  showContrast(sessionStorage.getItem(CONTRAST) === "more");
}

/** @param {boolean} more */
function showContrast(more) {
  if (more) document.documentElement.dataset.contrast = "more";
  else delete document.documentElement.dataset.contrast;
}

/**
 * @param {import("../api/session.js").Session} session
 * @param {() => void} changed
 */
export function openSettings(session, changed) {
  const key = el("input", { type: "password", autocomplete: "off", name: "device-key", maxLength: 512 });
  const idle = el("input", { type: "number", min: "0", max: "86400", name: "idle", value: String(idleSeconds()) });
  const contrast = el("input", { type: "checkbox", name: "contrast" });
  contrast.checked = sessionStorage.getItem(CONTRAST) === "more";
  const trouble = el("p", { class: "trouble", role: "alert" });
  const form = el(
    "form",
    {
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        try {
          if (key.value) await session.useDeviceKey(key.value);
        } catch (error) {
          trouble.textContent = explain(error);
          return;
        }
        sessionStorage.setItem(IDLE, idle.value);
        sessionStorage.setItem(CONTRAST, contrast.checked ? "more" : "");
        showContrast(contrast.checked);
        dialog.close();
        changed();
      },
    },
    field(words.contrast, contrast),
    field(words.idleAfter, idle),
    field(words.deviceKey, key, words.deviceKeyHint),
    trouble,
    el("div", { class: "actions" }, el("button", { type: "submit", class: "main" }, words.save)),
  );
  const dialog = openDialog(words.settings, [form]);
}
