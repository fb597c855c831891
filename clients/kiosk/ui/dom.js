/** Makes elements. Text is always set as text, so nothing that the server or a customer wrote can become markup. */

/**
 * @typedef {Node | string | null | false | undefined} Child
 * @typedef {Record<string, unknown>} Properties
 */

/**
 * An element.
 *
 * Properties that are functions and begin with "on" are listeners, `class` and those with a hyphen are attributes, and
 * the rest are the element's own properties.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Properties | null} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on") && typeof value === "function") {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (name === "class" || name === "for" || name === "role" || name.includes("-")) {
      element.setAttribute(name, String(value));
    } else Object.assign(element, { [name]: value });
  }
  element.append(.../** @type {(Node | string)[]} */ (children.filter((child) => child || child === "")));
  return element;
}

/**
 * A button.
 *
 * @param {string} text
 * @param {(event: Event) => void} onclick
 * @param {Properties} [properties]
 */
export function button(text, onclick, properties) {
  return el("button", { type: "button", onclick, ...properties }, text);
}

/**
 * A field with its label.
 *
 * @param {string} label
 * @param {HTMLElement} input
 * @param {Child} [hint]
 */
export function field(label, input, hint) {
  return el("label", { class: "field" }, el("span", null, label), input, hint ? el("small", null, hint) : null);
}

/**
 * A choice.
 *
 * @param {[string, string][]} options value and text
 * @param {string} chosen
 * @param {(value: string) => void} onchange
 */
export function select(options, chosen, onchange) {
  const made = el("select", {
    onchange: () => onchange(made.value),
  });
  for (const [value, text] of options) made.append(el("option", { value, selected: value === chosen }, text));
  return made;
}

/**
 * Say something to who listens to the screen rather than looks at it, and show it for a while.
 *
 * @param {string} text
 * @param {{alarm?: boolean}} [options]
 */
export function announce(text, { alarm = false } = {}) {
  const announcer = /** @type {HTMLElement} */ (document.getElementById("announcer"));
  // The same words again would not be read out: a new node is.
  announcer.replaceChildren(el("p", null, text));
  for (const old of document.querySelectorAll(".toast")) old.remove();
  const toast = el("div", { class: alarm ? "toast alarm" : "toast", "aria-hidden": "true" }, text);
  // An open dialog covers everything outside of it.
  const dialogs = [...document.querySelectorAll("dialog[open]")];
  (dialogs.at(-1) ?? document.body).append(toast);
  setTimeout(() => toast.remove(), alarm ? 8000 : 4000);
}
