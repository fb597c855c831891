/** Paying: with the simulator on this page, or at PayPal and back. */

import { ApiError, pause, requestId } from "../api/http.js";
import { openDialog } from "./dialog.js";
import { button, el } from "./dom.js";
import { explain, money, words } from "../text/language.js";

const KEPT = "rowlock.payment";
const ASK_MS = 700;

/** @typedef {{payment: string, performance: string}} Kept */

/** A payment that the customer was sent away for, if there is one. @returns {Kept | null} */
export function keptPayment() {
  return JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
}

/** Somebody else's turn. */
export function forgetPayment() {
  sessionStorage.removeItem(KEPT);
}

/**
 * Pay a booking in a dialog.
 *
 * @param {import("../api/session.js").Session} session
 * @param {any} booking
 * @param {string} [returned] the payment that the customer approved at a provider
 * @returns {Promise<string>} the booking that is paid now; "": none
 */
export function pay(session, booking, returned = "") {
  return new Promise((resolve) => {
    let bought = "";
    let done = false;
    const content = el("div", null);
    const dialog = openDialog(words.payment, [content], {
      class: "payment",
      onclose: () => {
        done = true;
        resolve(bought);
      },
    });
    const change = (/** @type {string} */ name, /** @type {string} */ verb, fields = {}) =>
      session.call(`/v1/${name}:${verb}`, { body: { ...fields, requestId: requestId() } });

    const wait = (/** @type {string} */ text) => content.replaceChildren(el("p", { role: "status" }, text));

    const choose = (trouble = "") => {
      content.replaceChildren(
        el("p", { class: "total" }, `${words.total}: ${money(booking.total)}`),
        el("p", { class: "trouble", role: "alert" }, trouble),
        el("p", null, words.chooseProvider),
        el(
          "div",
          { class: "actions" },
          button(words.simulator, () => void begin("SIMULATOR"), { class: "main" }),
          button(words.paypal, () => void begin("PAYPAL")),
        ),
      );
    };

    const begin = async (/** @type {string} */ provider) => {
      wait(words.paying);
      try {
        await giveUpOthers();
        const here = location.protocol === "https:" ? `${location.origin}${location.pathname}` : undefined;
        const body = { payment: { provider }, requestId: requestId(), returnUri: here, cancelUri: here };
        const payment = await session.call(`/v1/${booking.name}/payments`, { body });
        if (payment.state === "SUCCEEDED") return await settle(payment.name);
        if (provider === "SIMULATOR") simulate(payment.name);
        else await leave(payment.name);
      } catch (error) {
        choose(explain(error));
      }
    };

    /** A payment that was begun before and not finished would be in the way. */
    const giveUpOthers = async () => {
      const { payments } = await session.call(`/v1/${booking.name}/payments`);
      for (const one of payments) {
        if (one.state === "CREATED" || one.state === "REQUIRES_ACTION") await change(one.name, "cancel");
      }
    };

    const simulate = (/** @type {string} */ name) => {
      const play = async (/** @type {string} */ outcome) => {
        wait(words.paying);
        try {
          await change(name, "simulate", { outcome });
        } catch (error) {
          // Unreachable: the money may have been taken. The server finds out.
          if (!(error instanceof ApiError) || error.reason !== "PROVIDER_UNREACHABLE") return choose(explain(error));
        }
        await settle(name);
      };
      content.replaceChildren(
        el("p", { class: "total" }, `${words.total}: ${money(booking.total)}`),
        el(
          "div",
          { class: "actions" },
          button(words.approve, () => void play("APPROVE"), { class: "main" }),
          button(words.decline, () => void play("DECLINE")),
        ),
      );
    };

    const leave = async (/** @type {string} */ name) => {
      wait(words.toProvider);
      for (;;) {
        const payment = await session.call(`/v1/${name}`);
        if (done) return;
        if (payment.state === "REQUIRES_ACTION" && payment.approvalUri) {
          sessionStorage.setItem(KEPT, JSON.stringify({ payment: name, performance: booking.performance }));
          location.assign(payment.approvalUri);
          return;
        }
        if (payment.state !== "CREATED") return void (await settle(name));
        await pause(ASK_MS);
      }
    };

    /** Wait until the payment has ended, whatever comes of it. */
    const settle = async (/** @type {string} */ name) => {
      wait(words.paying);
      for (;;) {
        try {
          const payment = await session.call(`/v1/${name}`);
          if (payment.state === "SUCCEEDED") {
            bought = payment.boughtBooking || payment.booking;
            return dialog.close();
          }
          if (payment.state === "FAILED") return choose(words.refusal.PAYMENT_FAILED);
          if (payment.state === "CANCELLED" || payment.state === "REQUIRES_ACTION") return choose();
        } catch (error) {
          if (!(error instanceof ApiError) || error.reason !== "NETWORK") return choose(explain(error));
        }
        if (done) return;
        await pause(ASK_MS);
      }
    };

    const capture = async () => {
      wait(words.paying);
      forgetPayment();
      try {
        await change(returned, "capture");
      } catch (error) {
        if (error instanceof ApiError && error.reason !== "PROVIDER_UNREACHABLE") return choose(explain(error));
      }
      await settle(returned);
    };

    if (returned) void capture();
    else choose();
  });
}
