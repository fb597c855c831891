"""Payments of which it is in doubt whose money was taken: they wait for staff, and staff decide.

Such a payment keeps its ``discrepancy`` and is in nobody's schedule. A payment whose outcome was open stays UNKNOWN, as
nobody knows what came of it, and its booking is left to its own clock. One that was over stays as it was. What staff
decide is written down with who and why; a worker then asks the provider once more, and does to the money that is there
*then* what was decided (``payment_judging``). So nothing rests on an answer of earlier, and a kill loses nothing.
"""

from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.payments import Payment
from server.domain.bookings import lock_booking
from server.domain.payment_attempts import Attempt, locked, tell_declined
from server.domain.payment_rows import lock_payment
from server.domain.payment_rules import detach
from server.errors import FailedPrecondition, NotFound
from server.states import OPEN_STATES, PaymentState, Resolution

IN_DOUBT: Final = "REFERENCE_MISMATCH"
"""The reason of a payment that is in doubt: all that its customer is told, since the rest is about somebody else."""

_LONGEST: Final = 500


def wait_for_staff(session: Session, attempt: Attempt, doubt: str) -> bool:
    """Have a payment wait until staff say whose money was taken.

    Args:
        session: a transaction.
        attempt: the payment as a worker has it.
        doubt: why it is in doubt.

    Returns:
        Whether it waits; not if its money is used by now, or if staff decided after the worker had taken it up.
    """
    booking, payment = locked(session, attempt)
    if payment.state is PaymentState.SUCCEEDED or payment.resolution is not attempt.resolution:
        return False
    now = database_now(session)
    if payment.state in OPEN_STATES:
        payment.state = PaymentState.UNKNOWN
        payment.error_reason = IN_DOUBT
        detach(booking, payment.id, now)
    payment.discrepancy = doubt[:_LONGEST]
    payment.next_attempt_time = payment.compare_after_time = None
    payment.update_time = now
    return True


def put_aside(session: Session, attempt: Attempt) -> None:
    """The money is there, and staff have said that it is not this payment's: it is not looked at any more."""
    _, payment = locked(session, attempt)
    if payment.state is not PaymentState.SUCCEEDED and payment.resolution is Resolution.NOT_OURS:
        payment.next_attempt_time = payment.compare_after_time = None


def resolve(
    session: Session,
    performance_id: int,
    booking_id: UUID,
    payment_id: UUID,
    *,
    resolution: Resolution,
    reason: str,
    actor_id: UUID,
) -> Payment:
    """Decide about a payment that waits for staff.

    Args:
        session: a transaction.
        performance_id: the booking's performance.
        booking_id: the payment's booking.
        payment_id: the payment.
        resolution: what is decided.
        reason: why, for the record.
        actor_id: who decides.

    Raises:
        NotFound: no such payment.
        FailedPrecondition: PAYMENT_STATE, nothing waits to be decided.
    """
    lock_booking(session, performance_id, booking_id)
    payment = lock_payment(session, performance_id, payment_id)
    if payment is None or payment.booking_id != booking_id:
        raise NotFound.of(resources.payment(performance_id, booking_id, payment_id))
    if payment.discrepancy is None or payment.state is PaymentState.SUCCEEDED:
        raise FailedPrecondition(
            "PAYMENT_STATE",
            f"the payment is {payment.state.name}, and it is not in doubt whose money was taken",
            state=payment.state.name,
        )
    now = database_now(session)
    payment.resolution, payment.resolution_reason = resolution, reason
    payment.resolver_id, payment.resolve_time = actor_id, now
    payment.discrepancy = None
    payment.update_time = now
    if resolution is Resolution.NOT_OURS:
        if payment.state in OPEN_STATES:
            payment.state = PaymentState.FAILED
            payment.complete_time = now
            tell_declined(session, payment)
    else:
        # The next attempt is not the first: it asks what became of the money, instead of taking it.
        payment.attempt_count = 1
        payment.next_attempt_time = now
    session.flush()
    return payment
