/** The kiosk: starts it, and goes from one screen to the other. */

import { Session } from "./api/session.js";
import { Hall } from "./booking/hall.js";
import { announce, button, el, select } from "./ui/dom.js";
import { HallScreen } from "./ui/hall_screen.js";
import { watchIdleness } from "./ui/idle.js";
import { forgetPayment, keptPayment } from "./ui/payment.js";
import { performanceList } from "./ui/performances.js";
import { openSettings, restoreSettings } from "./ui/settings.js";
import { signIn } from "./ui/sign_in.js";
import { forgetLine } from "./ui/waiting.js";
import { LANGUAGES, chooseLanguage, explain, language, speak, words } from "./text/language.js";

const NAME = /^performances\/[1-9]\d{0,18}$/;

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const session = new Session();
/** @type {HallScreen | null} */
let screen = null;

/** The bar on top of every screen. */
function bar() {
  /** @type {[string, string][]} */
  const languages = Object.entries(LANGUAGES).map(([tag, one]) => [tag, one.languageName]);
  const chosen = select(languages, language, (tag) => {
    speak(tag, true);
    render();
  });
  chosen.setAttribute("aria-label", words.language);
  const account = session.signedIn
    ? button(words.signOut, () => void leave(), { title: words.signedInAs(session.user.displayName) })
    : button(words.signIn, () => void signIn(session));
  return el(
    "header",
    { class: "bar" },
    screen ? el("a", { class: "skip", href: "#list" }, words.skip) : null,
    screen
      ? el(
          "button",
          { type: "button", "aria-label": words.back, onclick: () => void back() },
          "‹",
          el("span", { class: "roomy" }, ` ${words.back}`),
        )
      : el("strong", { class: "brand" }, words.title),
    el("span", { class: "gap" }),
    chosen,
    button("⚙", () => openSettings(session, settingsChanged), { "aria-label": words.settings }),
    account,
  );
}

/** Show the screen in the language of now. */
function render() {
  if (!screen) {
    app.replaceChildren(
      bar(),
      performanceList((one) => void go(one.name)),
    );
    return;
  }
  const { hall, feed, cart } = screen;
  screen.detach();
  screen = new HallScreen(session, hall, { feed, cart });
  app.replaceChildren(bar(), screen.element);
}

/**
 * Go to a performance.
 *
 * @param {string} name
 * @param {boolean} [push] as a step that the browser can go back from
 */
async function go(name, push = true) {
  screen?.close();
  screen = null;
  app.replaceChildren(bar(), el("main", { class: "start" }, el("p", { role: "status" }, words.loading)));
  try {
    const hall = await Hall.load(name);
    const address = `?performance=${name}`;
    if (push) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
    screen = new HallScreen(session, hall);
    app.replaceChildren(bar(), screen.element);
  } catch (error) {
    const again = button(words.tryAgain, () => void go(name, push), { class: "main" });
    const home = button(words.back, () => void back());
    app.replaceChildren(bar(), el("main", { class: "start" }, el("p", { role: "alert" }, explain(error)), again, home));
  }
}

/** Back to the list. What is held stays held: whoever comes back finds it. */
async function back() {
  screen?.close();
  screen = null;
  history.pushState(null, "", location.pathname);
  render();
}

/** Sign out, and give back what is held: the next one in front of this screen is somebody else. */
async function leave() {
  try {
    await screen?.cart.cancel();
  } catch {
    // A payment is under way, or there is no connection: the hold runs out by itself.
  }
  forgetPayment();
  forgetLine();
  await session.signOut();
}

/** Nobody is there any more. */
async function reset() {
  await leave();
  chooseLanguage();
  await back();
}

/** Whether there is something to set back when nobody is there; not while money is on its way. */
function inUse() {
  if (document.querySelector("dialog.payment [role=status]")) return false;
  return session.signedIn || screen !== null || document.querySelector("dialog[open]") !== null;
}

function settingsChanged() {
  screen?.map.restyle();
  render();
}

/** What the address says. */
async function follow() {
  const asked = keptPayment()?.performance ?? new URLSearchParams(location.search).get("performance") ?? "";
  if (NAME.test(asked)) await go(asked, false);
  else {
    screen?.close();
    screen = null;
    render();
  }
}

chooseLanguage();
restoreSettings();
session.addEventListener("change", () => app.querySelector(".bar")?.replaceWith(bar()));
addEventListener("popstate", () => {
  // A link within the page is a step in the history, too, and leads nowhere else.
  const here = screen ? `?performance=${screen.hall.performance.name}` : "";
  if (location.search !== here) void follow();
});
watchIdleness(inUse, reset);
await session.restore().catch((error) => announce(explain(error), { alarm: true }));
await follow();
// For those who look after the screen, and for tests: what is on it now.
Object.defineProperty(window, "kiosk", { get: () => ({ session, screen }) });
