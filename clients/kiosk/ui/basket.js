/** The customer's places, what they cost, how long they are held, and what can be done with them. */

import { serverNow } from "../api/http.js";
import { announce, button, el } from "./dom.js";
import { placeName } from "./place_names.js";
import { money, words } from "../text/language.js";

const WARNING_MS = 60_000;

/** The basket. Emits nothing: it calls what it was given. */
export class Basket {
  #timer = 0;
  #warned = "";

  /**
   * @param {import("../hall/plan.js").Plan} plan
   * @param {import("../booking/cart.js").Cart} cart
   * @param {import("../booking/prices.js").Prices} prices
   * @param {{remove: (index: number) => void, pay: () => void, extend: () => void, cancel: () => void, over: () => void}} acts
   */
  constructor(plan, cart, prices, acts) {
    this.plan = plan;
    this.cart = cart;
    this.prices = prices;
    this.acts = acts;
    this.seats = el("ul", { class: "chosen" });
    this.total = el("p", { class: "total" });
    this.clock = el("p", { class: "clock", role: "timer" });
    this.payButton = button(words.pay, acts.pay, { class: "main pay" });
    this.extendButton = button(words.extend, acts.extend);
    this.cancelButton = button(words.giveUp, acts.cancel);
    this.actions = el("div", { class: "actions" }, this.payButton, this.extendButton, this.cancelButton);
    this.empty = el("p", { class: "note" }, words.nothingYet);
    this.element = el(
      "section",
      { class: "basket", "aria-label": words.yourSeats },
      el("h2", null, words.yourSeats),
      this.empty,
      this.seats,
      this.total,
      this.clock,
      this.actions,
    );
    this.#timer = setInterval(() => this.#tick(), 250);
    this.refresh();
  }

  /** Stop the clock. */
  close() {
    clearInterval(this.#timer);
  }

  /** Show what is so now. */
  refresh() {
    const { cart, plan } = this;
    const shown = cart.shown;
    const booked = new Map((cart.held ? cart.booking.seats : []).map((/** @type {any} */ seat) => [seat.index, seat]));
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.index : undefined;
    this.seats.replaceChildren(
      ...shown.map((index) => {
        const seat = booked.get(index);
        const ours = cart.of(index);
        const type = seat ? null : this.prices.of(plan.places[index].zone, cart.ticketType);
        const name = placeName(plan, index);
        const what = seat ? this.prices.nameOf(seat.ticketType) : (type?.displayName ?? "");
        const price = seat ? seat.price : type?.price;
        const remove = button("×", () => this.acts.remove(index), {
          class: "quiet",
          "aria-label": words.remove(name),
          "data-index": index,
        });
        const note = ours === "mine" ? what : words[/** @type {"adding" | "removing"} */ (ours)];
        return el(
          "li",
          { "data-ours": ours },
          el("span", { class: "name" }, name, el("small", null, note)),
          el("span", null, money(price)),
          remove,
        );
      }),
    );
    if (focused) /** @type {HTMLElement | null} */ (this.seats.querySelector(`[data-index="${focused}"]`))?.focus();
    this.empty.hidden = shown.length > 0;
    const sum = cart.held && cart.booking.seats.length > 0;
    this.total.textContent = sum ? `${words.total}: ${money(cart.booking.total)}` : "";
    this.actions.hidden = !cart.held;
    this.payButton.disabled = !sum || cart.busy;
    this.extendButton.disabled = this.cancelButton.disabled = cart.busy;
    this.#tick();
  }

  #tick() {
    const { cart } = this;
    if (!cart.held) {
      this.clock.textContent = "";
      return;
    }
    const left = Date.parse(cart.booking.holdExpireTime) - serverNow();
    const seconds = Math.max(0, Math.ceil(left / 1000));
    this.clock.textContent = `${words.heldFor} ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    this.clock.classList.toggle("short", left < WARNING_MS);
    const moment = cart.booking.name + cart.booking.holdExpireTime;
    if (left < WARNING_MS && left > 0 && this.#warned !== moment) {
      this.#warned = moment;
      announce(words.nearlyOver, { alarm: true });
    }
    if (left <= 0 && !cart.busy) this.acts.over();
  }
}
