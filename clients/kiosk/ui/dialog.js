/** Dialogs: the browser's own, which keep the focus inside and close with Escape. */

import { button, el } from "./dom.js";
import { words } from "../text/language.js";

let made = 0;

/**
 * Open a dialog. It is gone when it closes.
 *
 * @param {string} title
 * @param {import("./dom.js").Child[]} children
 * @param {{stays?: boolean, class?: string, onclose?: () => void}} [options] stays: only the program closes it
 */
export function openDialog(title, children, { stays = false, class: name = "", onclose } = {}) {
  made += 1;
  const id = `dialog-${made}`;
  const close = stays ? null : button("×", () => dialog.close(), { class: "quiet close", "aria-label": words.close });
  const dialog = el(
    "dialog",
    { class: name, "aria-labelledby": id },
    el("header", null, el("h2", { id }, title), close),
    el("div", { class: "content" }, ...children),
  );
  dialog.addEventListener("cancel", (event) => {
    if (stays) event.preventDefault();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    onclose?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Ask something that can be answered with yes.
 *
 * @param {string} title
 * @param {string} question
 * @returns {Promise<boolean>}
 */
export function confirmed(title, question) {
  return new Promise((resolve) => {
    let answer = false;
    const agree = () => {
      answer = true;
      dialog.close();
    };
    const dialog = openDialog(
      title,
      [
        el("p", null, question),
        el(
          "div",
          { class: "actions" },
          button(words.yes, agree, { class: "main" }),
          button(words.no, () => dialog.close()),
        ),
      ],
      { onclose: () => resolve(answer) },
    );
  });
}
