"""Late money: a booking that has run out and was paid after all gets its places back, under a new booking. Pure.

The booking that has run out stays EXPIRED for ever (S6): it may have been shown to its customer, mailed about and
counted as such. What its money buys is a successor of the same customer with the same places, ticket types and prices,
which is CONFIRMED from its first moment; each names the other. Either all places are free and every rule of a sale
still allows it, or nothing happens here and the money goes back (see ``server.payments.collecting``).
"""

from dataclasses import replace

from server import resources
from server.errors import FailedPrecondition, NotFound
from server.seats.booking import Booking
from server.seats.claiming import open_sale, seat_taken, take_quotas
from server.seats.commands import Confirm, TakeBack
from server.seats.rules import SaleRules, TicketTypeRule
from server.seats.state import Decision, PaymentRow, SeatRow, State
from server.states import BookingState, ConfirmedBy, PaymentState, SeatState


def take_back(state: State, command: TakeBack, booking: Booking) -> Decision:
    """Give the places of ``booking`` to its successor, if all of them can be had.

    Args:
        state: what is locked and read: the places, the booking and the payment among it.
        command: what is asked.
        booking: the one that has run out.

    Raises:
        FailedPrecondition: BOOKING_STATE (it has not run out, or has a successor already), PAYMENT_STATE (the payment
            bought something or goes back already, or is not what the booking costs), SEAT_TAKEN, or any refusal of a
            claim: NOT_ON_SALE, SALE_ENDED, PERFORMANCE_CANCELLED, CUSTOMER_LIMIT_REACHED, TICKET_TYPE_SOLD_OUT ….
        NotFound: a ticket type is there no more.
    """
    _require_replaceable(booking)
    _require_pays_for(state.payments.get((command.performance_id, command.payment_id)), booking)
    rules = open_sale(state, command.performance_id)
    taken = [
        rules.hall.places[place].id
        for place in booking.places
        if state.seats[command.performance_id, place].state is not SeatState.AVAILABLE
    ]
    if taken:
        raise seat_taken(taken)
    quotas = take_quotas(state, rules, booking.customer_id, _types(state, rules, booking), unlimited=False)
    successor = replace(
        booking,
        id=command.successor_id,
        state=BookingState.CONFIRMED,
        payment_id=command.payment_id,
        confirmed_by=ConfirmedBy.PROVIDER,
        # It was never held: the clocks of the hold that it follows are not its own.
        hold_start_time=state.now,
        hold_expire_time=state.now,
        create_time=state.now,
        update_time=state.now,
        confirm_time=state.now,
        end_time=None,
        version=1,
        replaces=booking.id,
        replaced_by=None,
    )
    sale = Confirm(
        performance_id=command.performance_id,
        booking_id=successor.id,
        actor_id=command.actor_id,
        staff=command.staff,
        confirmed_by=ConfirmedBy.PROVIDER,
        payment_id=command.payment_id,
        provider_reference=command.provider_reference,
        capture_reference=command.capture_reference,
    )
    row = SeatRow(SeatState.SOLD, successor.id)
    sold = Decision(sale, after=successor, seats=tuple((place, row) for place in booking.places), quotas=quotas)
    replaced = replace(booking, replaced_by=successor.id, update_time=state.now, version=booking.version + 1)
    return Decision(command, booking, replaced, then=sold)


def _require_replaceable(booking: Booking) -> None:
    if booking.state is not BookingState.EXPIRED:
        raise FailedPrecondition("BOOKING_STATE", f"the booking is {booking.state.name}", state=booking.state.name)
    if booking.replaced_by is not None:
        raise FailedPrecondition(
            "BOOKING_STATE", "the booking was replaced by another already", state=booking.state.name
        )
    if not booking.places:
        raise FailedPrecondition("BOOKING_EMPTY", "the booking has no places")


def _require_pays_for(payment: PaymentRow | None, booking: Booking) -> None:
    """Its money came, was used for nothing yet, and is the very price (M4)."""
    if payment is None or payment.booking_id != booking.id:
        raise NotFound.of(resources.booking(booking.performance_id, booking.id))
    if payment.state is PaymentState.SUCCEEDED:
        raise FailedPrecondition("PAYMENT_STATE", "the payment was used already", state=payment.state.name)
    if (payment.amount, payment.currency) != (booking.total, booking.currency):
        raise FailedPrecondition(
            "PAYMENT_STATE", "the booking was changed since this payment was made", state=payment.state.name
        )


def _types(state: State, rules: SaleRules, booking: Booking) -> list[TicketTypeRule]:
    """The booking's ticket types, which must still be on sale."""
    types: list[TicketTypeRule] = []
    for type_id in booking.ticket_type_ids:
        found = rules.ticket_types.get(type_id)
        if found is None:
            raise NotFound.of(resources.ticket_type(booking.performance_id, type_id))
        if not found.is_on_sale(state.now):
            raise FailedPrecondition("NOT_ON_SALE", "a ticket type of the booking is not on sale now")
        types.append(found)
    return types
