/**
 * The customer's booking, as chosen on the screen and as the server has it.
 *
 * A choice shows at once; what it changes is sent in the background, one call after the other, and choices made
 * meanwhile go together in the next one. If the server says no, what is shown goes back to what is true, and whoever
 * listens is told why. The first seat makes a booking, others are added to it: its clock goes on.
 */

import { ApiError, requestId } from "../api/http.js";
import { indexesOf } from "../hall/plan.js";

/** Refusals that say that the booking is over. */
const OVER = new Set(["HOLD_EXPIRED", "BOOKING_STATE", "NOT_FOUND", "PERFORMANCE_CANCELLED"]);

/**
 * Emits `change` whenever what is shown changed, `refused` (detail: {error, seats: indexes that are not had}) and
 * `settled` when nothing is under way any more.
 */
export class Cart extends EventTarget {
  /** What the server has said last; null: there is no booking. @type {any} */
  booking = null;
  /** The admission of the waiting room, where there is one. */
  admissionToken = "";
  /** The ticket type for seats that are chosen next; "": the server's choice. */
  ticketType = "";
  /** Seats to be added, with the ticket type each was chosen for. @type {Map<number, string>} */
  #adding = new Map();
  /** @type {Set<number>} */
  #removing = new Set();
  /** @type {Promise<void> | null} */
  #work = null;

  /**
   * @param {import("../api/session.js").Session} session
   * @param {string} performance
   * @param {import("../hall/plan.js").Plan} plan
   */
  constructor(session, performance, plan) {
    super();
    this.session = session;
    this.performance = performance;
    this.plan = plan;
  }

  /** Whether places are held. */
  get held() {
    return this.booking?.state === "HELD";
  }

  /** Whether something is on its way. */
  get busy() {
    return this.#work !== null;
  }

  /** The places as they are shown: those that the server has and those that are being added. @returns {number[]} */
  get shown() {
    const had = this.held ? this.booking.seats.map((/** @type {any} */ seat) => seat.index) : [];
    return [...new Set([...had, ...this.#adding.keys()])].sort((a, b) => a - b);
  }

  /**
   * What the customer has to do with a place.
   *
   * @param {number} index
   * @returns {"" | "mine" | "adding" | "removing"}
   */
  of(index) {
    if (this.#adding.has(index)) return "adding";
    const mine = this.held && this.booking.seats.some((/** @type {any} */ seat) => seat.index === index);
    if (!mine) return "";
    return this.#removing.has(index) ? "removing" : "mine";
  }

  /**
   * Choose a place, or give it back.
   *
   * @param {number} index
   */
  toggle(index) {
    const now = this.of(index);
    if (now === "adding") this.#adding.delete(index);
    else if (now === "removing") this.#removing.delete(index);
    else if (now === "mine") this.#removing.add(index);
    else this.#adding.set(index, this.ticketType);
    this.#begin();
  }

  /**
   * Replace what is held by seats of somebody's choice, in one step where nothing is held yet.
   *
   * @param {object} wish fields of CreateBookingRequest
   * @throws {ApiError}
   */
  async claim(wish) {
    await this.settle();
    await this.#exclusive(async () => {
      if (this.held && this.booking.seats.length) throw new ApiError("ALREADY_HOLDING", "give the booking back first");
      if (this.held) await this.#cancel("other places were chosen");
      await this.#create(wish);
    });
  }

  /** Hold for longer. @throws {ApiError} HOLD_TIME_EXHAUSTED */
  async extend() {
    await this.settle();
    await this.#exclusive(async () => this.#take(await this.#change("extend", {})));
  }

  /** Give everything back. */
  async cancel() {
    this.#adding.clear();
    this.#removing.clear();
    await this.settle();
    if (this.held) await this.#exclusive(() => this.#cancel(""));
  }

  /** Wait until nothing is under way. */
  async settle() {
    while (this.#work) await this.#work;
  }

  /** Ask the server how things are; a hold that has run out meanwhile is told as `refused`, with HOLD_EXPIRED. */
  async refresh() {
    if (!this.booking) return;
    const { held } = this;
    this.#take(await this.session.call(`/v1/${this.booking.name}`));
    if (!held || this.booking.state !== "EXPIRED") return;
    const error = new ApiError("HOLD_EXPIRED", "the hold has run out");
    this.dispatchEvent(new CustomEvent("refused", { detail: { error, seats: [] } }));
  }

  /** Go on with a booking that the customer held before, if there is one. */
  async resume() {
    const query = { customer: this.session.user.name, state: "HELD", pageSize: 1 };
    const { bookings } = await this.session.call(`/v1/${this.performance}/bookings`, { query });
    if (bookings.length && !this.booking) this.#take(bookings[0]);
  }

  /** Forget the booking: it is over, or somebody else's turn. */
  forget() {
    this.#adding.clear();
    this.#removing.clear();
    this.#take(null);
  }

  #begin() {
    this.#changed();
    this.#work ??= this.#flush().finally(() => {
      this.#work = null;
      this.#changed();
      this.dispatchEvent(new Event("settled"));
    });
  }

  async #flush() {
    // A moment, so that quick choices go together, and a second thought costs nothing.
    await Promise.resolve();
    while (this.#adding.size || this.#removing.size) {
      const removed = [...this.#removing];
      const added = new Map(this.#adding);
      try {
        if (removed.length) {
          this.#take(await this.#change("removeSeats", { seats: removed.map((index) => this.plan.ids[index]) }));
          for (const index of removed) this.#removing.delete(index);
        } else {
          const seats = [...added].map(([index, ticketType]) => ({ seat: this.plan.ids[index], ticketType }));
          if (this.held) this.#take(await this.#change("addSeats", { seats }));
          else await this.#create({ seats });
          this.#undoLate(added);
        }
      } catch (error) {
        this.#refuse(error, removed, added);
      }
    }
  }

  /**
   * Seats were chosen, are had now, and were given up again while the answer was on its way.
   *
   * @param {Map<number, string>} added
   */
  #undoLate(added) {
    for (const index of added.keys()) {
      if (!this.#adding.delete(index)) this.#removing.add(index);
    }
    this.#changed();
  }

  /**
   * @param {unknown} error
   * @param {number[]} removed
   * @param {Map<number, string>} added
   */
  #refuse(error, removed, added) {
    const taken = error instanceof ApiError && error.reason === "SEAT_TAKEN";
    const named = taken ? indexesOf(this.plan, error.metadata.seats) : [];
    const lost = removed.length ? [] : named.length ? named : [...added.keys()];
    for (const index of removed) this.#removing.delete(index);
    for (const index of lost) this.#adding.delete(index);
    if (error instanceof ApiError && OVER.has(error.reason)) this.forget();
    this.#changed();
    this.dispatchEvent(new CustomEvent("refused", { detail: { error, seats: lost } }));
  }

  /** @param {object} wish */
  async #create(wish) {
    const body = { ...wish, admissionToken: this.admissionToken, requestId: requestId() };
    this.#take(await this.session.call(`/v1/${this.performance}/bookings`, { body }));
  }

  /**
   * @param {string} verb
   * @param {object} fields
   */
  #change(verb, fields) {
    return this.session.call(`/v1/${this.booking.name}:${verb}`, { body: { ...fields, requestId: requestId() } });
  }

  /** @param {string} reason */
  async #cancel(reason) {
    try {
      await this.#change("cancel", { reason });
    } catch (error) {
      if (!(error instanceof ApiError) || !OVER.has(error.reason)) throw error;
    }
    this.#take(null);
  }

  /** @param {() => Promise<void>} work */
  async #exclusive(work) {
    const done = work();
    this.#work = done.then(
      () => undefined,
      () => undefined,
    );
    this.#changed();
    try {
      await done;
    } catch (error) {
      if (error instanceof ApiError && OVER.has(error.reason)) this.#take(null);
      throw error;
    } finally {
      this.#work = null;
      this.#changed();
      this.dispatchEvent(new Event("settled"));
      if (this.#adding.size || this.#removing.size) this.#begin();
    }
  }

  /** @param {any} booking */
  #take(booking) {
    this.booking = booking;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
