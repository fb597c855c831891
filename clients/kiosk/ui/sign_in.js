/** Signing in, or opening an account, in one dialog. */

import { openDialog } from "./dialog.js";
import { button, el, field } from "./dom.js";
import { explain, language, words } from "../text/language.js";

/**
 * Have somebody sign in.
 *
 * @param {import("../api/session.js").Session} session
 * @returns {Promise<boolean>} whether somebody did
 */
export function signIn(session) {
  return new Promise((resolve) => {
    let isNew = false;
    const name = el("input", { name: "name", autocomplete: "name", maxLength: 100 });
    const email = el("input", { name: "email", type: "email", autocomplete: "email", required: true, maxLength: 254 });
    const password = el("input", {
      name: "password",
      type: "password",
      autocomplete: "current-password",
      required: true,
      minLength: 8,
      maxLength: 128,
    });
    const trouble = el("p", { class: "trouble", role: "alert" });
    const send = el("button", { type: "submit", class: "main" }, words.signIn);
    const nameField = field(words.displayName, name);
    const other = button(words.needAccount, () => {
      isNew = !isNew;
      nameField.hidden = !isNew;
      name.required = isNew;
      password.autocomplete = isNew ? "new-password" : "current-password";
      send.textContent = isNew ? words.signUp : words.signIn;
      other.textContent = isNew ? words.haveAccount : words.needAccount;
    });
    nameField.hidden = true;
    const form = el(
      "form",
      {
        onsubmit: async (/** @type {Event} */ event) => {
          event.preventDefault();
          send.disabled = true;
          trouble.textContent = "";
          try {
            if (isNew) await session.signUp(name.value, email.value, password.value, language);
            else await session.signIn(email.value, password.value);
            dialog.close();
          } catch (error) {
            trouble.textContent = explain(error);
          }
          send.disabled = false;
        },
      },
      nameField,
      field(words.email, email),
      field(words.password, password),
      trouble,
      el("div", { class: "actions" }, send, other),
    );
    const dialog = openDialog(words.signIn, [form], { onclose: () => resolve(session.signedIn) });
    email.focus();
  });
}
