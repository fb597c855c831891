"""What workers read and write of payments: take one up, and write down what the provider said.

A payment is taken up by moving its `next_attempt_time` into the future: if the worker dies, another takes over at that
time. Everything said to the provider carries the payment's id as its key, so saying it twice has one effect; and each
answer is written down under the locks of the booking and the payment, and only if it is still news. So any number of
workers may be at the same payment, stopped for a minute or killed at any line.

Kept here: M1 (captured money has a confirmed booking or a refund), M5 (an unknown outcome is asked for, with the same
key), M6. What captured money is to do is decided in ``payment_judging`` (M4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.inventory import Booking
from server.db.models.payments import Payment
from server.domain import payment_rows
from server.domain.bookings import booking_of, lock_booking
from server.domain.books import enter_vain_payment
from server.domain.due import take_up
from server.domain.notifications import notify
from server.domain.payment_orders import order_of
from server.domain.payment_rows import lock_payment
from server.domain.payment_rules import BOOKING_ENDED, attach, detach, is_price_of
from server.domain.refunds import request_rest
from server.payments.port import Captured, Created, PaymentOrder
from server.states import OPEN_STATES, BookingState, NotificationKind, PaymentState, Provider, Resolution

_LONGEST_WAIT: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A payment as one worker has taken it up.

    ``number`` counts the attempts since the customer's last move. ``abandoned``: it was given up because its booking
    had ended, and not because the customer wished it. ``resolution``: what staff decided about its money.
    """

    performance_id: int
    booking_id: UUID
    provider: Provider
    state: PaymentState
    order: PaymentOrder
    number: int
    capture_time: datetime | None
    abandoned: bool = False
    resolution: Resolution | None = None


class Step(Enum):
    """What a worker has to ask the provider for next."""

    CREATE = "create"
    CAPTURE = "capture"
    FIND = "find"
    CANCEL = "cancel"
    NOTHING = "nothing"


def next_step(attempt: Attempt) -> Step:
    """What to ask for, by what is known. Pure.

    A capture is asked for once; if its outcome is unknown, or may be (another worker was at it), the provider is first
    asked what became of it. While the customer has the next move, the provider is asked whether they made it there. A
    payment that failed is looked at again only if somebody says that it did not, and one about whose money staff have
    decided only to see whether that money is there.
    """
    if attempt.state is PaymentState.CREATED:
        return Step.CREATE
    was_resolved = attempt.resolution is not None
    if attempt.state is PaymentState.CANCELLED and not was_resolved:
        return Step.CANCEL if attempt.order.reference is not None else Step.CREATE
    if attempt.state in (PaymentState.PROCESSING, PaymentState.UNKNOWN):
        if attempt.order.reference is None:
            return Step.CREATE
        return Step.CAPTURE if attempt.number == 1 and not was_resolved else Step.FIND
    if attempt.state is not PaymentState.SUCCEEDED and attempt.order.reference is not None:
        return Step.FIND
    return Step.NOTHING


def wait_before(number: int, first: timedelta) -> timedelta:
    """How long to wait after the ``number``-th attempt without an answer: ``first``, doubled each time, to 5 min."""
    return min(first * (1 << min(max(number - 1, 0), 20)), _LONGEST_WAIT)


def take_due(session: Session, limit: int, lease: timedelta) -> Sequence[Attempt]:
    """Take up payments that are due; nobody else does for the length of ``lease``."""
    return [attempt_of(payment) for payment in take_up(session, Payment, limit, lease)]


def look_now(session: Session, performance_id: int, payment_id: UUID) -> bool:
    """Have the provider asked about a payment at once, because of a hint that something happened there.

    Returns:
        Whether there is anything left to learn: a payment that succeeded is not asked about again.
    """
    payment = lock_payment(session, performance_id, payment_id)
    if payment is None or payment.state is PaymentState.SUCCEEDED:
        return False
    if payment.state is PaymentState.FAILED and payment.provider_reference is None:
        return False
    payment.next_attempt_time = database_now(session)
    return True


def created(session: Session, answers: Sequence[tuple[Attempt, Created]], ask_after: timedelta) -> list[Attempt]:
    """The provider knows these payments: what comes next is the customer's move, or the capture that they asked for.

    Where the customer makes that move at the provider, the provider is asked about it after ``ask_after``. The number
    of statements does not depend on the number of payments.
    """
    keys = {(attempt.performance_id, attempt.order.payment_id) for attempt, _ in answers}
    payments = payment_rows.lock_named(session, sorted(keys))
    now = database_now(session)
    for attempt, answer in answers:
        payment = payments[attempt.performance_id, attempt.order.payment_id]
        payment.provider_reference = answer.reference
        payment.approval_uri = answer.approval_uri
        payment.client_secret = answer.client_secret
        payment.update_time = now
        if payment.state is PaymentState.CREATED:
            payment.state = PaymentState.REQUIRES_ACTION
            payment.next_attempt_time = now + ask_after if is_approved_elsewhere(payment) else None
            payment.attempt_count = 0
    payment_rows.write_created(session, list(payments.values()))
    return [attempt_of(payments[attempt.performance_id, attempt.order.payment_id]) for attempt, _ in answers]


def declined(session: Session, attempt: Attempt, reason: str) -> None:
    """No money was taken and none will be: the booking's own clock runs again, and the customer may try again."""
    booking, payment = locked(session, attempt)
    now = database_now(session)
    if payment.state in OPEN_STATES:
        payment.state = PaymentState.FAILED
        payment.error_reason = reason[:200]
        _end(payment, now)
        detach(booking, payment.id, now)
        tell_declined(session, payment)
    payment.next_attempt_time = None
    payment.update_time = now


def cancelled(session: Session, attempt: Attempt) -> None:
    """The provider takes nothing any more."""
    booking, payment = locked(session, attempt)
    now = database_now(session)
    if payment.state in OPEN_STATES:
        payment.state = PaymentState.CANCELLED
        _end(payment, now)
        detach(booking, payment.id, now)
    if payment.state is not PaymentState.SUCCEEDED:
        payment.next_attempt_time = None
        payment.update_time = now


def unknown(
    session: Session,
    attempt: Attempt,
    *,
    pending: bool = False,
    first_wait: timedelta,
    longest_hold: timedelta,
    retry_after: timedelta,
) -> None:
    """The provider did not say: ask again later, and let the booking wait no longer than ``longest_hold``.

    Args:
        session: a transaction.
        attempt: the payment as it was taken up.
        pending: whether the provider says that it is at it, and has not decided.
        first_wait: before it is asked again for the first time; doubled each time.
        longest_hold: for how long a booking waits for its payment.
        retry_after: the shortest wait that the provider asked for.
    """
    booking, payment = locked(session, attempt)
    if payment.attempt_count != attempt.number or payment.state is PaymentState.SUCCEEDED:
        return  # another worker is at it, or knows by now
    now = database_now(session)
    if payment.state in (PaymentState.PROCESSING, PaymentState.UNKNOWN):
        payment.state = PaymentState.PROCESSING if pending else PaymentState.UNKNOWN
    if payment.capture_time is not None and now >= payment.capture_time + longest_hold:
        detach(booking, payment.id, now)
    payment.next_attempt_time = now + max(wait_before(attempt.number, first_wait), retry_after)
    payment.update_time = now


def hold_again(session: Session, attempt: Attempt) -> bool:
    """Have a booking that was left to its own clock, and is still held, wait for the payment that has come in.

    Returns:
        Whether the ledger may be asked again to confirm it.
    """
    booking, payment = locked(session, attempt)
    now = database_now(session)
    if payment.state not in OPEN_STATES:
        return False  # another worker has given its money back by now
    if booking is None or booking.payment_id is not None or booking_of(booking).has_run_out(now):
        return False
    if booking.state is not BookingState.HELD or not is_price_of(payment, booking):
        return False
    payment.state = PaymentState.PROCESSING
    attach(booking, payment.id, now)
    return True


def came_in_vain(session: Session, attempt: Attempt, answer: Captured, refusal: str) -> None:
    """The money was taken and buys nothing: all of it goes back, asked for in this transaction (M1).

    Args:
        session: a transaction.
        attempt: the payment, in whatever state it is by now.
        answer: what was taken.
        refusal: why the booking is not confirmed by it. A booking that is still held is left to its own clock, and
            may be paid anew.
    """
    booking, payment = locked(session, attempt)
    if payment.state is PaymentState.SUCCEEDED:
        return  # it bought the booking, or goes back already
    now = database_now(session)
    payment.state = PaymentState.SUCCEEDED
    payment.provider_reference = answer.reference
    payment.capture_reference = answer.capture_reference
    payment.error_reason = refusal
    # What was really taken, lest less or more goes back.
    payment.amount, payment.currency = answer.amount, answer.currency
    payment.next_attempt_time = None
    _end(payment, now)
    payment.update_time = now
    detach(booking, payment.id, now)
    session.flush()
    enter_vain_payment(session, payment)
    request_rest(session, payment, reason=f"the money bought nothing: {refusal}")


def settled(session: Session, attempt: Attempt) -> None:
    """There is nothing to ask any more: whoever had it looked at once more came too late to know."""
    payment = _locked_payment(session, attempt)
    if payment.state not in OPEN_STATES:
        payment.next_attempt_time = None


def is_approved_elsewhere(payment: Payment) -> bool:
    """Whether the customer's move is made at the provider, who then has to be asked whether it was."""
    return payment.approval_uri is not None or payment.client_secret is not None


def put_off(session: Session, attempt: Attempt, wait: timedelta) -> None:
    """Something of ours failed: try again soon, sooner than after the lease."""
    session.execute(
        update(Payment)
        .where(
            Payment.performance_id == attempt.performance_id,
            Payment.id == attempt.order.payment_id,
            Payment.attempt_count == attempt.number,
            Payment.next_attempt_time.is_not(None),
        )
        .values(next_attempt_time=func.clock_timestamp() + wait, update_time=Payment.update_time),
        execution_options={"synchronize_session": False},
    )


def attempt_of(payment: Payment) -> Attempt:
    """The payment as a worker goes on with it."""
    return Attempt(
        performance_id=payment.performance_id,
        booking_id=payment.booking_id,
        provider=payment.provider,
        state=payment.state,
        order=order_of(payment),
        number=payment.attempt_count,
        capture_time=payment.capture_time,
        abandoned=payment.state is PaymentState.CANCELLED and payment.error_reason == BOOKING_ENDED,
        resolution=payment.resolution,
    )


def locked(session: Session, attempt: Attempt) -> tuple[Booking | None, Payment]:
    """The booking and the payment, locked in this order."""
    booking = lock_booking(session, attempt.performance_id, attempt.booking_id)
    return booking, _locked_payment(session, attempt)


def _locked_payment(session: Session, attempt: Attempt) -> Payment:
    payment = lock_payment(session, attempt.performance_id, attempt.order.payment_id)
    assert payment is not None, "payments are never deleted"  # noqa: S101
    return payment


def _end(payment: Payment, now: datetime) -> None:
    """A payment is over, and in no doubt; some time later it is compared with the provider's books."""
    payment.complete_time = payment.compare_after_time = now
    payment.discrepancy = None


def tell_declined(session: Session, payment: Payment) -> None:
    """Tell the customer that the payment failed."""
    name = resources.payment(payment.performance_id, payment.booking_id, payment.id)
    notify(
        session,
        NotificationKind.PAYMENT_FAILED,
        recipient_id=payment.customer_id,
        email=None,
        performance_id=payment.performance_id,
        subject=name,
        key=f"declined/{payment.id}",
        data={},
    )
