/** Takes places that nobody pointed at: the best seats, and standing places. */

import { ApiError } from "../api/http.js";
import { sideBySide } from "../hall/choose.js";

const ATTEMPTS = 3;

/** @typedef {{quantity: number, zone: string}} Best */
/** @typedef {{area: any, quantity: number, type: any}} Standing */
/** @typedef {{area: string, quantity: number, ticketType: string}} Claim */

/**
 * The best seats: chosen by the server for a new booking, and here for one that exists, to which only seats that are
 * named can be added. If somebody is faster, others are tried.
 *
 * @param {import("./cart.js").Cart} cart
 * @param {Uint8Array} states of the places
 * @param {Best} wish
 * @throws {ApiError} SOLD_OUT, and what a claim may be refused for
 */
export async function takeBest(cart, states, { quantity, zone }) {
  if (!cart.held) return cart.claim({ bestAvailable: { quantity, zone, ticketType: cart.ticketType } });
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const chosen = sideBySide(cart.plan, states, quantity, zone, (index) => cart.of(index) !== "");
    if (!chosen) throw new ApiError("SOLD_OUT", "there are not so many side by side");
    for (const index of chosen) cart.toggle(index);
    await cart.settle();
    if (chosen.some((index) => cart.of(index))) return;
  }
}

/**
 * Standing places belong to a booking from its beginning: they are taken together with what is held, in a new one.
 *
 * @param {import("./cart.js").Cart} cart
 * @param {boolean} admitted whether a booking needs an admission, which serves for one alone
 * @param {Standing} wish
 * @throws {ApiError} STANDING_FIRST, and what a claim may be refused for
 */
export async function takeStanding(cart, admitted, { area, quantity, type }) {
  const { plan } = cart;
  const wanted = { area: area.id, quantity, ticketType: type.name };
  const had = { seats: /** @type {object[]} */ ([]), generalAdmission: /** @type {Claim[]} */ ([]) };
  for (const one of cart.held ? cart.booking.seats : []) {
    if (plan.drawn[one.index]) had.seats.push({ seat: one.seat, ticketType: one.ticketType });
    else had.generalAdmission.push({ area: plan.places[one.index].area, quantity: 1, ticketType: one.ticketType });
  }
  const hadSome = had.seats.length + had.generalAdmission.length > 0;
  if (hadSome && admitted) throw new ApiError("STANDING_FIRST", "the admission was used");
  if (hadSome) await cart.cancel();
  try {
    await cart.claim({ seats: had.seats, generalAdmission: joined([...had.generalAdmission, wanted]) });
  } catch (error) {
    // Nobody shall lose what they had because they wished for more.
    if (hadSome) await cart.claim({ ...had, generalAdmission: joined(had.generalAdmission) });
    throw error;
  }
}

/**
 * Claims of the same area and type together.
 *
 * @param {Claim[]} claims
 */
function joined(claims) {
  const found = new Map();
  for (const claim of claims) {
    const key = `${claim.area}\n${claim.ticketType}`;
    found.set(key, { ...claim, quantity: claim.quantity + (found.get(key)?.quantity ?? 0) });
  }
  return [...found.values()];
}
