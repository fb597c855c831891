/** The customer's tickets: each with its code as a QR symbol, to print, or to give back. */

import { open, requestId } from "../api/http.js";
import { qrCode } from "../qr/symbol.js";
import { confirmed, openDialog } from "./dialog.js";
import { announce, button, el } from "./dom.js";
import { placeName } from "./place_names.js";
import { explain, moment, words } from "../text/language.js";

const QUIET = 4;
const MODULE_PX = 4;

/**
 * Show tickets in a dialog.
 *
 * @param {import("../api/session.js").Session} session
 * @param {import("../hall/plan.js").Plan} plan
 * @param {any} performance
 * @param {string} booking its name; or one that ends with "-": of all bookings
 */
export async function showTickets(session, plan, performance, booking) {
  const { tickets } = await session.call(`/v1/${booking}/tickets`, { query: { pageSize: 100 } });
  const good = tickets.filter((/** @type {any} */ ticket) => ticket.state !== "VOID");
  const list = el("ul", { class: "tickets" }, ...good.map((/** @type {any} */ one) => ticketCard(session, plan, one)));
  const bookings = [...new Set(good.map((/** @type {any} */ ticket) => ticket.booking))];
  const back = bookings.map((one) => button(words.cancelBooking, () => void giveBack(String(one))));
  const dialog = openDialog(
    words.tickets,
    [
      el("p", null, `${performance.eventTitle}, ${moment(performance.startTime, performance.timeZone)}`),
      good.length ? list : el("p", { class: "note" }, words.noTickets),
      el("div", { class: "actions" }, ...back),
    ],
    { class: "wide" },
  );

  async function giveBack(/** @type {string} */ name) {
    if (!(await confirmed(words.cancelBooking, words.cancelSure))) return;
    try {
      await session.call(`/v1/${name}:cancel`, { body: { requestId: requestId() } });
      dialog.close();
      announce(words.cancelled);
    } catch (error) {
      announce(explain(error), { alarm: true });
    }
  }
}

/**
 * @param {import("../api/session.js").Session} session
 * @param {import("../hall/plan.js").Plan} plan
 * @param {any} ticket
 */
function ticketCard(session, plan, ticket) {
  const name = placeName(plan, ticket.index);
  const canvas = el("canvas", { class: "qr", role: "img", "aria-label": `${words.ticketCode}: ${ticket.code}` });
  drawCode(canvas, ticket.code);
  return el(
    "li",
    { class: "ticket" },
    canvas,
    el("strong", null, name),
    ticket.state === "CHECKED_IN" ? el("span", null, words.ticketUsed) : null,
    el("code", null, ticket.code),
    button(words.download, () => void download(session, ticket.name), { "aria-label": `${words.download}: ${name}` }),
  );
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {string} text
 */
function drawCode(canvas, text) {
  const rows = qrCode(text);
  const side = (rows.length + 2 * QUIET) * MODULE_PX;
  canvas.width = canvas.height = side;
  canvas.dataset.text = text;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, side, side);
  context.fillStyle = "#000000";
  rows.forEach((row, y) =>
    row.forEach((dark, x) => {
      if (dark) context.fillRect((x + QUIET) * MODULE_PX, (y + QUIET) * MODULE_PX, MODULE_PX, MODULE_PX);
    }),
  );
}

/**
 * The document needs the token, which must not be in an address: so it is fetched, and then handed over.
 *
 * @param {import("../api/session.js").Session} session
 * @param {string} ticket
 */
async function download(session, ticket) {
  try {
    const response = await open(`/v1/${ticket}:document`, { token: await session.token() });
    const address = URL.createObjectURL(await response.blob());
    const link = el("a", { href: address, download: "ticket.pdf" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  } catch (error) {
    announce(explain(error), { alarm: true });
  }
}
