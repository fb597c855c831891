"""What a worker does when the provider says that nothing was taken so far: wait, take it, or make an end.

Here approvals are found that a customer gave at the provider without ever coming back to us: the provider is asked from
time to time while the hold runs, and once more before the payment is given up, so no webhook is needed for it.
"""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.db.clock import database_now
from server.db.models.inventory import Booking, Seat
from server.db.models.payments import Payment
from server.domain.bookings import booking_of
from server.domain.payment_attempts import (
    Attempt,
    Step,
    attempt_of,
    is_approved_elsewhere,
    locked,
    wait_before,
)
from server.domain.payment_rules import BOOKING_ENDED, begin_capture, detach, end_unpaid, is_price_of
from server.payments.port import Open
from server.states import BookingState, PaymentState, SeatState

BOOKING_CHANGED = "BOOKING_CHANGED"
"""The reason of a payment that was approved for a price that is no longer the booking's."""


def opened(session: Session, attempt: Attempt, answer: Open, asked: Step, ask_after: timedelta) -> tuple[Attempt, Step]:
    """Decide what comes next, and write it down.

    Args:
        session: a transaction.
        attempt: the payment as it was taken up.
        answer: what the provider said.
        asked: what it was asked for.
        ask_after: how long to wait before the provider is asked about an approval again; doubled each time.

    Returns:
        The payment as it is now, and what to ask the provider for.
    """
    booking, payment = locked(session, attempt)
    now = database_now(session)
    step = _next(session, booking, payment, answer=answer, asked=asked, now=now)
    if step is Step.NOTHING and payment.state is PaymentState.REQUIRES_ACTION:
        payment.next_attempt_time = _next_look(booking, payment, ask_after, now)
    session.flush()
    return attempt_of(payment), step


def _next(
    session: Session, booking: Booking | None, payment: Payment, *, answer: Open, asked: Step, now: datetime
) -> Step:
    match payment.state:
        case PaymentState.PROCESSING | PaymentState.UNKNOWN:
            return _while_in_flight(booking, payment, answer, asked, now)
        case PaymentState.REQUIRES_ACTION:
            return _while_customers_move(session, booking, payment, answer, now)
        case PaymentState.CANCELLED | PaymentState.FAILED:
            return Step.CANCEL
        case _:
            return Step.NOTHING


def _while_in_flight(booking: Booking | None, payment: Payment, answer: Open, asked: Step, now: datetime) -> Step:
    if asked is Step.CAPTURE and not answer.approved:
        # The customer asked for the capture before approving it; the next move is theirs again.
        payment.state = PaymentState.REQUIRES_ACTION
        payment.capture_time = None
        payment.attempt_count = 0
        payment.update_time = now
        detach(booking, payment.id, now)
        return Step.NOTHING
    return Step.CAPTURE if booking is not None and booking.payment_id == payment.id else Step.CANCEL


def _while_customers_move(
    session: Session, booking: Booking | None, payment: Payment, answer: Open, now: datetime
) -> Step:
    if booking is None:
        return _give_up(payment, BOOKING_ENDED, now)
    if booking.state is BookingState.HELD and not booking_of(booking).has_run_out(now):
        if not answer.approved:
            return Step.NOTHING
        if not is_price_of(payment, booking) or not booking.places:
            return _give_up(payment, BOOKING_CHANGED, now)
        begin_capture(booking, payment, now)
        payment.attempt_count = 1  # this worker is at it
        return Step.CAPTURE
    if answer.approved and _could_be_taken_back(session, booking, payment):
        # Approved in time, most likely, and noticed too late. If somebody is faster now, the money goes back.
        payment.state = PaymentState.PROCESSING
        payment.capture_time = payment.update_time = now
        payment.attempt_count = 1
        return Step.CAPTURE
    return _give_up(payment, BOOKING_ENDED, now)


def _could_be_taken_back(session: Session, booking: Booking, payment: Payment) -> bool:
    """Whether it makes sense to take money for a booking that ran out: all its places are free, or held by itself."""
    ran_out = booking.state in (BookingState.HELD, BookingState.EXPIRED) and booking.replaced_by is None
    if not ran_out or not booking.places or not is_price_of(payment, booking):
        return False
    free = session.scalar(
        select(func.count()).where(
            Seat.performance_id == booking.performance_id,
            Seat.place.in_(booking.places),
            (Seat.state == SeatState.AVAILABLE) | (Seat.booking_id == booking.id),
        )
    )
    return free == len(booking.places)


def _give_up(payment: Payment, reason: str, now: datetime) -> Step:
    payment.error_reason = reason
    end_unpaid(payment, now)
    return Step.CANCEL


def _next_look(booking: Booking | None, payment: Payment, ask_after: timedelta, now: datetime) -> datetime | None:
    """When to ask about the approval again: ever less often, but soon after the hold's end."""
    if not is_approved_elsewhere(payment):
        return None
    look = now + wait_before(payment.attempt_count, ask_after)
    if booking is not None and booking.hold_expire_time > now:
        look = min(look, booking.hold_expire_time + timedelta(seconds=1))
    return look
