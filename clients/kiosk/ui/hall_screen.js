/** The hall: plan, list, basket and wishes of one performance, and how they work together. */

import { Cart } from "../booking/cart.js";
import { takeBest, takeStanding } from "../booking/wishes.js";
import { AVAILABLE, Feed } from "../hall/feed.js";
import { MapView } from "../hall/map_view.js";
import { Basket } from "./basket.js";
import { announce, button, el } from "./dom.js";
import { legend } from "./legend.js";
import { ListView } from "./list_view.js";
import { forgetPayment, keptPayment, pay } from "./payment.js";
import { houseName, whyNotOnSale } from "./performances.js";
import { placeName, stateName } from "./place_names.js";
import { signIn } from "./sign_in.js";
import { showTickets } from "./tickets.js";
import { waitingPanel } from "./waiting.js";
import { bestForm, standingForm, typeForm } from "./wishes.js";
import { explain, money, moment, words } from "../text/language.js";

const ZOOM = 1.6;
const PATIENCE_MS = 3000;

/** The screen of one hall. Made anew when the language changes; feed and cart live on. */
export class HallScreen {
  #stop = new AbortController();

  /**
   * @param {import("../api/session.js").Session} session
   * @param {import("../booking/hall.js").Hall} hall
   * @param {{feed: Feed, cart: Cart}} [kept] of the screen before, in another language
   */
  constructor(session, hall, kept) {
    const { performance, plan, prices } = hall;
    this.session = session;
    this.hall = hall;
    this.feed = kept?.feed ?? new Feed(performance.name, plan.count, session);
    this.cart = kept?.cart ?? new Cart(session, performance.name, plan);
    this.canvas = el("canvas", {
      class: "map",
      tabIndex: 0,
      role: "application",
      "aria-label": words.map,
      "aria-describedby": "map-help",
    });
    this.map = new MapView(this.canvas, plan, this.feed.states, (index) => this.cart.of(index));
    this.list = new ListView(
      plan,
      this.feed.states,
      this.cart,
      prices,
      (index) => void this.choose(index),
      (box) => {
        this.map.show(box);
      },
    );
    this.basket = new Basket(plan, this.cart, prices, {
      remove: (index) => void this.choose(index),
      pay: () => void this.pay(),
      extend: () => void this.#try(() => this.cart.extend(), words.extended),
      cancel: () => void this.#try(() => this.cart.cancel(), words.givenUp),
      over: () => this.#over(),
    });
    this.standing = standingForm(
      plan,
      this.feed.states,
      prices,
      performance.customerLimit,
      (wish) => void this.stand(wish),
    );
    this.badge = el("span", { class: "badge", role: "status" });
    this.pointed = el("p", { class: "pointed" });
    this.ticketsButton = button(words.tickets, () => void this.showTickets(`${performance.name}/bookings/-`));
    this.element = this.#layout();
    this.#listen();
    this.#showConnection();
    if (!kept) this.feed.start();
    if (session.signedIn) void this.#welcome();
    else this.#showSignedIn();
  }

  /** Leave for good. */
  close() {
    this.feed.stop();
    this.detach();
  }

  /** Leave the screen, but let feed and cart live. */
  detach() {
    this.#stop.abort();
    this.map.close();
    this.basket.close();
  }

  /**
   * Choose a seat or give it back; that somebody has it is said before anything is asked.
   *
   * @param {number} index
   */
  async choose(index) {
    const state = this.feed.states[index];
    const ours = this.cart.of(index);
    // Before somebody signed in, nothing is known where the device has no key.
    if (!ours && state > AVAILABLE) {
      announce(`${placeName(this.hall.plan, index)}: ${stateName(state, "")}`);
      return;
    }
    if (!(await this.#signedIn())) return;
    this.cart.toggle(index);
  }

  /** @param {import("../booking/wishes.js").Best} wish */
  async best(wish) {
    if (await this.#signedIn()) await this.#try(() => takeBest(this.cart, this.feed.states, wish));
  }

  /** @param {import("../booking/wishes.js").Standing} wish */
  async stand(wish) {
    if (await this.#signedIn()) await this.#try(() => takeStanding(this.cart, this.hall.room.enabled, wish));
  }

  /** Pay what is held. */
  async pay(returned = "") {
    await this.cart.settle();
    if (!this.cart.held) return;
    const bought = await pay(this.session, this.cart.booking, returned);
    await this.#try(async () => {
      if (!bought) return this.cart.refresh();
      this.cart.forget();
      announce(words.paid);
      await this.showTickets(bought);
    });
  }

  /** @param {string} booking */
  async showTickets(booking) {
    if (!(await this.#signedIn())) return;
    await this.#try(() => showTickets(this.session, this.hall.plan, this.hall.performance, booking));
  }

  #layout() {
    const { performance, plan, prices, room } = this.hall;
    const limit = performance.customerLimit;
    const tools = el(
      "div",
      { class: "tools" },
      button("+", () => this.map.zoomBy(ZOOM), { "aria-label": words.zoomIn }),
      button("−", () => this.map.zoomBy(1 / ZOOM), { "aria-label": words.zoomOut }),
      button("⤢", () => this.map.fit(), { "aria-label": words.showAll }),
    );
    this.hint = el(
      "div",
      { class: "hint" },
      el("span", null, words.signInToSee),
      button(words.signIn, () => void this.#signedIn(), { class: "main" }),
    );
    this.line = room.enabled
      ? waitingPanel(this.session, performance.name, this.cart, () => this.#signedIn(), this.#stop.signal)
      : null;
    return el(
      "main",
      { class: "hall" },
      el(
        "div",
        { class: "about" },
        el("h1", null, performance.eventTitle),
        el("p", null, moment(performance.startTime, performance.timeZone), " · ", houseName(performance)),
        this.badge,
        this.ticketsButton,
      ),
      el(
        "div",
        { class: "plan" },
        this.canvas,
        el("p", { id: "map-help", class: "unseen" }, words.mapHelp),
        this.hint,
        tools,
        this.pointed,
      ),
      el(
        "div",
        { class: "side" },
        whyNotOnSale(performance),
        this.line,
        this.basket.element,
        typeForm(prices, this.cart.ticketType, (type) => {
          this.cart.ticketType = type;
          this.list.refresh();
        }),
        plan.sections.some((section) => section.seats.length)
          ? bestForm(plan, prices, limit, (wish) => void this.best(wish))
          : null,
        this.standing.element,
        el(
          "section",
          { class: "wish signs", "aria-label": words.legend },
          el("h2", null, words.legend),
          legend(plan, prices, this.map.scene.look),
        ),
        this.list.element,
      ),
    );
  }

  #listen() {
    const signal = this.#stop.signal;
    const { plan, prices } = this.hall;
    const on = (
      /** @type {EventTarget} */ target,
      /** @type {string} */ type,
      /** @type {(event: any) => void} */ act,
    ) => target.addEventListener(type, act, { signal });
    on(this.feed, "seats", ({ detail }) => {
      this.map.changed(detail);
      this.list.refresh();
      this.standing.refresh();
    });
    on(this.feed, "connection", () => this.#showConnection(true));
    let before = new Set(this.cart.shown.filter((index) => this.cart.of(index) === "mine"));
    on(this.cart, "change", () => {
      const { shown } = this.cart;
      this.map.showOwn(shown);
      this.list.refresh();
      this.basket.refresh();
      const mine = new Set(shown.filter((index) => this.cart.of(index) === "mine"));
      for (const index of mine) if (!before.has(index)) announce(words.seatHeld(placeName(plan, index)));
      if (this.cart.held)
        for (const index of before)
          if (!mine.has(index) && !shown.includes(index)) announce(words.seatGiven(placeName(plan, index)));
      before = mine;
    });
    on(this.cart, "refused", ({ detail: { error, seats } }) => {
      const lost = error.reason === "SEAT_TAKEN" && seats.length > 0;
      if (lost) this.map.showLost(seats);
      const names = seats.map((/** @type {number} */ index) => placeName(plan, index)).join("; ");
      announce(lost ? words.lost(names) : explain(error), { alarm: true });
    });
    on(this.map, "seat", ({ detail }) => void this.choose(detail));
    on(this.map, "area", ({ detail }) => {
      const field = this.standing.element.querySelector(`[data-area="${CSS.escape(detail.id)}"] select`);
      if (field instanceof HTMLElement) field.focus();
      field?.scrollIntoView({ block: "center" });
    });
    on(this.map, "point", ({ detail: index }) => {
      const type = index >= 0 && prices.of(plan.places[index].zone, this.cart.ticketType);
      const state = index >= 0 && stateName(this.feed.states[index], this.cart.of(index));
      const marks = index >= 0 && plan.accessible[index] ? `, ${words.accessible}` : "";
      this.pointed.textContent =
        index < 0 ? "" : `${placeName(plan, index)} · ${type ? money(type.price) : words.noPrice} · ${state}${marks}`;
    });
    on(this.session, "change", () => {
      if (this.session.signedIn) void this.#welcome();
      else {
        this.cart.forget();
        this.#showSignedIn();
      }
    });
    // A page that was hidden may have slept through the end of a hold.
    on(document, "visibilitychange", () => {
      if (!document.hidden && this.session.signedIn) void this.#try(() => this.cart.refresh());
    });
  }

  async #welcome() {
    this.#showSignedIn();
    await this.#try(async () => {
      if (!this.cart.booking) await this.cart.resume();
      this.map.showOwn(this.cart.shown);
      const kept = keptPayment();
      if (!kept || kept.performance !== this.hall.performance.name) return;
      if (this.cart.held) return this.pay(kept.payment);
      // It was found out without us: the booking is paid, or its time is up.
      forgetPayment();
      const payment = await this.session.call(`/v1/${kept.payment}`);
      if (payment.state === "SUCCEEDED") await this.showTickets(payment.boughtBooking || payment.booking);
    });
  }

  #showSignedIn() {
    const watching = this.session.signedIn || this.session.hasDevice;
    if (this.hint) this.hint.hidden = watching;
    this.ticketsButton.hidden = !this.session.signedIn;
    if (watching && this.feed.connection === "ended") {
      this.feed.connection = "reconnecting";
      this.feed.start();
    }
  }

  #connected = true;

  #showConnection(aloud = false) {
    const state = /** @type {"live" | "reconnecting" | "ended"} */ (this.feed.connection);
    const watching = this.session.signedIn || this.session.hasDevice;
    this.badge.hidden = !watching;
    this.badge.textContent = words[state];
    this.badge.dataset.state = state;
    const connected = state === "live";
    if (aloud && watching && connected !== this.#connected && this.feed.revision) {
      announce(connected ? words.connectionBack : words.connectionLost, { alarm: !connected });
      if (connected) void this.#try(() => this.cart.refresh());
    }
    this.#connected = connected;
  }

  #askedAt = -Infinity;

  /** By the clock the hold is over. The server knows: a payment under way holds longer, and a clock may be wrong. */
  #over() {
    if (performance.now() - this.#askedAt < PATIENCE_MS) return;
    this.#askedAt = performance.now();
    void this.#try(() => this.cart.refresh());
  }

  async #signedIn() {
    return this.session.signedIn || signIn(this.session);
  }

  /**
   * Do something, and say why if it fails.
   *
   * @param {() => Promise<unknown>} work
   * @param {string} [done] said if it does not
   */
  async #try(work, done) {
    try {
      await work();
      if (done) announce(done);
    } catch (error) {
      announce(explain(error), { alarm: true });
    }
  }
}
