"""The decision core of the seat ledger: pure functions over the locked state of a batch.

``decide`` says what one command does, or raises a ``RowlockError``; it changes nothing. ``State.apply`` carries a
decision over to the working copy, so that the next command of the batch sees it. No I/O, no clock, no randomness:
the time is in the state, identifiers come with the commands. Model tests drive exactly these functions.

Kept here: a place has at most one live claim (S1), all of a command or none of it (S7), only listed transitions
(S6), the longest time of a hold (S5), the limits per customer and type (S8), the sale window (S9), an admission
where there is a waiting room (Q3).
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from server import resources
from server.domain.etags import require_current
from server.errors import Aborted, FailedPrecondition, FieldFault, InvalidArgument, NotFound
from server.seats.admitting import used_admission
from server.seats.booking import Booking
from server.seats.claiming import (
    claimed_seats,
    claimed_types,
    give_back_quotas,
    given_up_seats,
    held_seats,
    open_sale,
    seat_taken,
    take_quotas,
)
from server.seats.commands import (
    Add,
    Block,
    Cancel,
    Claim,
    Command,
    Confirm,
    Expire,
    Extend,
    Hold,
    OnBooking,
    Release,
    Remove,
    Return,
    TakeBack,
    Unblock,
)
from server.seats.state import BLOCKED, FREE, Decision, Replay, SeatRow, State
from server.seats.taking_back import take_back
from server.states import AllocationState, BookingState, SeatState


def decide(state: State, command: Command, chosen: tuple[Claim, ...] = ()) -> Decision | Replay:
    """Decide one command against ``state``.

    Args:
        state: what is locked and read; not changed.
        command: what is asked.
        chosen: for a ``Hold`` with wants, the places that were picked for it.

    Raises:
        RowlockError: the command is refused and has no effect.
    """
    earlier = replay(state, command)
    if earlier is not None:
        return earlier
    if isinstance(command, Hold | Add | Remove | Block | Unblock):
        _require_same_hall(state, command)
    if isinstance(command, Hold):
        return _hold(state, command, (*command.claims, *chosen))
    if isinstance(command, Block | Unblock):
        return _block(state, command)
    if isinstance(command, Release):
        return _release(state, command)
    if isinstance(command, TakeBack):
        return take_back(state, command, _booking(state, command))
    return _on_booking(state, command)


def _require_same_hall(state: State, command: Hold | Add | Remove | Block | Unblock) -> None:
    """The places of a command are numbers, and mean nothing in another hall."""
    rules = state.rules.get(command.performance_id)
    if rules is not None and command.hall is not None and command.hall is not rules.hall:
        raise Aborted("CONTENDED", "the seat map of the performance was changed; choose again")


def _on_booking(state: State, command: Add | Remove | Extend | Confirm | Cancel | Return | Expire) -> Decision | Replay:
    match command:
        case Add():
            return _add(state, command)
        case Remove():
            return _remove(state, command)
        case Extend():
            return _extend(state, command)
        case Confirm():
            return _confirm(state, command)
        case Cancel() | Return():
            return _cancel(state, command) if isinstance(command, Cancel) else _return(state, command)
        case Expire():
            return _expire(state, command)


def replay(state: State, command: Command) -> Replay | None:
    """The first answer to the command's request, if it was carried out before; None: it was not.

    Raises:
        InvalidArgument: REQUEST_ID_REUSED, it was another request.
    """
    request = command.request
    if request is None or command.actor_id is None:
        return None
    answered = state.answers.get((command.performance_id, command.actor_id, request.request_id))
    if answered is None:
        return None
    if answered.fingerprint != request.fingerprint:
        said = "this request_id was used for another request"
        raise InvalidArgument(
            "REQUEST_ID_REUSED", said, fields=[FieldFault("request_id", said)], request_id=request.request_id
        )
    return Replay(answered.booking)


def _hold(state: State, command: Hold, claims: tuple[Claim, ...]) -> Decision:
    rules = open_sale(state, command.performance_id)
    admission = used_admission(state, rules, command)
    types = claimed_types(state, rules, claims, command.allocation_id)
    quotas = take_quotas(state, rules, command.customer_id, types, unlimited=command.unlimited)
    booking = Booking(
        performance_id=command.performance_id,
        id=command.booking_id,
        customer_id=command.customer_id,
        state=BookingState.HELD,
        places=tuple(claim.place for claim in claims),
        ticket_type_ids=tuple(kind.id for kind in types),
        prices=tuple(kind.price for kind in types),
        currency=types[0].currency,
        hold_start_time=state.now,
        hold_expire_time=state.now + rules.hold_duration,
        create_time=state.now,
        update_time=state.now,
        note=command.note,
    )
    seats = held_seats(state, claims, booking)
    return Decision(command, after=booking, seats=seats, quotas=quotas, admission=admission)


def _add(state: State, command: Add) -> Decision:
    booking = _held(state, command)
    rules = open_sale(state, command.performance_id)
    types = claimed_types(state, rules, command.claims)
    if booking.places and types[0].currency != booking.currency:
        raise FailedPrecondition("MIXED_CURRENCIES", "a booking is paid in one currency")
    quotas = take_quotas(state, rules, booking.customer_id, types, unlimited=command.staff)
    after = replace(
        _changed(booking, state.now),
        places=booking.places + tuple(claim.place for claim in command.claims),
        ticket_type_ids=booking.ticket_type_ids + tuple(kind.id for kind in types),
        prices=booking.prices + tuple(kind.price for kind in types),
        currency=types[0].currency,
    )
    return Decision(command, booking, after, held_seats(state, command.claims, booking), quotas)


def _booking(state: State, command: OnBooking) -> Booking:
    booking = state.bookings.get((command.performance_id, command.booking_id))
    if booking is None or not (command.staff or booking.customer_id == command.actor_id):
        raise NotFound.of(resources.booking(command.performance_id, command.booking_id))
    require_current(command.etag, booking.version)
    return booking


def _held(state: State, command: OnBooking) -> Booking:
    """The booking, if its places can still be changed: held, in time, and no payment under way."""
    booking = _booking(state, command)
    _require_state(booking, BookingState.HELD)
    if booking.has_run_out(state.now):
        raise FailedPrecondition("HOLD_EXPIRED", "the hold of this booking has run out")
    if booking.payment_id is not None:
        raise FailedPrecondition("PAYMENT_IN_FLIGHT", "a payment of this booking is under way")
    return booking


def _require_state(booking: Booking, *allowed: BookingState) -> None:
    if booking.state in allowed:
        return
    if booking.state is BookingState.EXPIRED:
        raise FailedPrecondition("HOLD_EXPIRED", "the hold of this booking has run out")
    raise FailedPrecondition("BOOKING_STATE", f"the booking is {booking.state.name}", state=booking.state.name)


def _changed(booking: Booking, now: datetime) -> Booking:
    return replace(booking, update_time=now, version=booking.version + 1)


def _remove(state: State, command: Remove) -> Decision:
    booking = _held(state, command)
    hall = state.rules[command.performance_id].hall
    strange = [hall.places[place].id for place in command.places if place not in booking.places]
    if strange:
        raise FailedPrecondition("SEAT_NOT_IN_BOOKING", f"not in this booking: {', '.join(strange)}")
    return _without(state, command, booking)


def _without(state: State, command: Remove | Return, booking: Booking) -> Decision:
    """The booking without the places of the command."""
    gone = set(command.places)
    kept = [n for n, place in enumerate(booking.places) if place not in gone]
    dropped = [n for n, place in enumerate(booking.places) if place in gone]
    after = replace(
        _changed(booking, state.now),
        places=tuple(booking.places[n] for n in kept),
        ticket_type_ids=tuple(booking.ticket_type_ids[n] for n in kept),
        prices=tuple(booking.prices[n] for n in kept),
    )
    quotas = give_back_quotas(state, booking, [booking.ticket_type_ids[n] for n in dropped])
    seats = given_up_seats(state, booking.performance_id, (booking.places[n] for n in dropped))
    return Decision(command, booking, after, seats, quotas)


def _extend(state: State, command: Extend) -> Decision:
    booking = _held(state, command)
    rules = state.rules[command.performance_id]
    until = min(state.now + rules.hold_duration, booking.hold_start_time + rules.max_hold_time)
    if until <= booking.hold_expire_time:
        raise FailedPrecondition("HOLD_TIME_EXHAUSTED", "this booking cannot be held any longer")
    return Decision(command, booking, replace(_changed(booking, state.now), hold_expire_time=until))


def _confirm(state: State, command: Confirm) -> Decision | Replay:
    booking = _booking(state, command)
    if booking.state is BookingState.CONFIRMED and booking.payment_id == command.payment_id is not None:
        return Replay(booking)
    _require_state(booking, BookingState.HELD)
    if booking.payment_id != command.payment_id:
        raise FailedPrecondition("PAYMENT_IN_FLIGHT", "another payment of this booking is under way")
    if booking.has_run_out(state.now):
        raise FailedPrecondition("HOLD_EXPIRED", "the hold of this booking has run out")
    if not booking.places:
        raise FailedPrecondition("BOOKING_EMPTY", "the booking has no places")
    after = replace(
        _changed(booking, state.now),
        state=BookingState.CONFIRMED,
        confirmed_by=command.confirmed_by,
        confirm_time=state.now,
    )
    return Decision(command, booking, after, claimed_seats(state, booking.places, booking, SeatState.SOLD))


def _cancel(state: State, command: Cancel) -> Decision:
    booking = _booking(state, command)
    _require_state(booking, BookingState.HELD, BookingState.CONFIRMED)
    if booking.state is BookingState.HELD and booking.payment_id is not None:
        raise FailedPrecondition("PAYMENT_IN_FLIGHT", "cancel or finish the payment first")
    if booking.state is BookingState.CONFIRMED:
        _require_unused(state, booking, booking.places)
        _require_returnable(state, command)
    return _end(state, command, booking, BookingState.CANCELLED)


def _return(state: State, command: Return) -> Decision:
    booking = _booking(state, command)
    _require_state(booking, BookingState.CONFIRMED)
    if not set(command.places).issubset(booking.places):
        raise FailedPrecondition("TICKET_VOID", "a ticket was returned before")
    _require_unused(state, booking, command.places)
    _require_returnable(state, command)
    if set(command.places) == set(booking.places):
        return _end(state, command, booking, BookingState.CANCELLED)
    return _without(state, command, booking)


def _require_unused(state: State, booking: Booking, places: Iterable[int]) -> None:
    if any((booking.performance_id, place) in state.checked_in for place in places):
        raise FailedPrecondition("ALREADY_CHECKED_IN", "a ticket of this booking was used at the door")


def _require_returnable(state: State, command: Cancel | Return) -> None:
    """The policy: customers until the deadline, staff at any time, after it with a reason."""
    deadline = state.rules[command.performance_id].refund_deadline
    if state.now < deadline or (command.staff and command.reason):
        return
    said = f"tickets could be returned until {deadline.isoformat()}"
    if command.staff:
        said += "; staff may still take them back, and say why"
    raise FailedPrecondition("REFUND_DEADLINE_PASSED", said, refund_deadline=deadline.isoformat())


def _expire(state: State, command: Expire) -> Decision | Replay:
    booking = _booking(state, command)
    if not booking.has_run_out(state.now):
        return Replay(booking)
    return _end(state, command, booking, BookingState.EXPIRED)


def _end(state: State, command: OnBooking, booking: Booking, to: BookingState) -> Decision:
    after = replace(_changed(booking, state.now), state=to, end_time=state.now)
    quotas = give_back_quotas(state, booking, booking.ticket_type_ids)
    return Decision(command, booking, after, given_up_seats(state, booking.performance_id, booking.places), quotas)


def _block(state: State, command: Block | Unblock) -> Decision:
    rules = state.rules.get(command.performance_id)
    if rules is None:
        raise NotFound.of(resources.performance(command.performance_id))
    rows = [(place, state.seats[command.performance_id, place]) for place in command.places]
    aside = isinstance(command, Block) and command.aside is not None
    taken = [
        rules.hall.places[place].id
        for place, row in rows
        if row.booking_id is not None or (aside and row.allocation_id is not None)
    ]
    if taken:
        raise seat_taken(taken)
    if isinstance(command, Unblock):
        return Decision(command, seats=tuple((place, FREE) for place, row in rows if row != FREE))
    if command.aside is not None:
        if command.aside.release_time <= state.now:
            raise InvalidArgument.of("allocation.release_time", "is over")
        row = SeatRow(SeatState.BLOCKED, None, command.action_id)
        return Decision(command, seats=tuple((place, row) for place, _ in rows))
    return Decision(command, seats=tuple((place, BLOCKED) for place, row in rows if row == FREE))


def _release(state: State, command: Release) -> Decision | Replay:
    performance_id = command.performance_id
    allocation = state.allocations.get((performance_id, command.allocation_id))
    if allocation is None:
        raise NotFound.of(resources.allocation(performance_id, command.allocation_id))
    require_current(command.etag, allocation.version)
    is_over = allocation.state is AllocationState.RELEASED
    if is_over or (command.due and state.now < allocation.release_time):
        return Replay(None)
    return Decision(
        command,
        seats=tuple(
            (place, FREE if row.booking_id is None else replace(row, allocation_id=None))
            for (owner, place), row in state.seats.items()
            if owner == performance_id and row.allocation_id == command.allocation_id
        ),
    )
