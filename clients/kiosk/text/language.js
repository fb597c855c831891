/** In which language the kiosk speaks, and how it writes money and times in it. */

import { ApiError } from "../api/http.js";
import de from "./de.js";
import en from "./en.js";
import fr from "./fr.js";

const KEPT = "rowlock.language";

/** @type {Record<string, typeof en>} */
export const LANGUAGES = { en, de, fr };

/** The words of the language that was chosen: `words.pay`. Bound anew by `speak`. */
export let words = en;
/** Its tag, such as "de". */
export let language = "en";
/** The same as the browser has it, such as "en-GB", whose days and amounts are written in another way than others'. */
let region = "en";

/** Speak the language chosen in this tab before, or the browser's. */
export function chooseLanguage() {
  const kept = sessionStorage.getItem(KEPT);
  const wanted = [kept ?? "", ...navigator.languages].map((tag) => tag.slice(0, 2).toLowerCase());
  speak(wanted.find((tag) => tag in LANGUAGES) ?? "en");
}

/**
 * @param {string} tag of one of LANGUAGES
 * @param {boolean} [keep] for the next reload
 */
export function speak(tag, keep = false) {
  language = tag;
  region = navigator.languages.find((one) => one.toLowerCase().startsWith(`${tag}-`)) ?? tag;
  words = LANGUAGES[tag];
  document.documentElement.lang = tag;
  document.title = words.title;
  if (keep) sessionStorage.setItem(KEPT, tag);
}

/**
 * An amount as people write it.
 *
 * @param {any} amount google.type.Money
 */
export function money(amount) {
  if (!amount?.currencyCode) return "";
  const value = Number(amount.units) + amount.nanos / 1e9;
  return new Intl.NumberFormat(region, { style: "currency", currency: amount.currencyCode }).format(value);
}

/**
 * A moment in the time zone of its place.
 *
 * @param {string} time
 * @param {string} [timeZone]
 */
export function moment(time, timeZone) {
  return new Intl.DateTimeFormat(region, {
    dateStyle: "full",
    timeStyle: "short",
    timeZone: timeZone || undefined,
  }).format(new Date(time));
}

/**
 * A time of today.
 *
 * @param {string} time
 */
export function clockTime(time) {
  return new Intl.DateTimeFormat(region, { timeStyle: "short" }).format(new Date(time));
}

/**
 * What an error means to who stands before the screen.
 *
 * @param {unknown} error
 */
export function explain(error) {
  if (!(error instanceof ApiError)) return words.refused;
  const text = words.refusal[error.reason] ?? words.refused;
  return text.replace(/\{(\w+)\}/g, (_, name) => error.metadata[name] ?? "");
}
