"""What workers read and write of refunds: take one up, and write down what the provider said.

What a provider does not answer is asked again, with the same key. What it refuses for good stays as FAILED with its
reason, and so does what it takes back after it had made it: that is owed again, which the books say by an entry of its
own, and waits for staff like any refund that failed (M6).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.payments import Payment, Refund
from server.domain import books
from server.domain.due import take_up
from server.domain.notifications import notify, when_told
from server.domain.payment_orders import order_of
from server.payments.port import PaymentOrder
from server.states import NotificationKind, Provider, RefundState

PAID_TWICE: Final = "PAID_TWICE: the provider gave the money back as well"
"""The discrepancy of a refund that was done, and that its provider made after all, or once more."""


_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RefundAttempt:
    """A refund as one worker has taken it up, and the payment that it is of."""

    performance_id: int
    refund_id: UUID
    customer_id: UUID
    provider: Provider
    key: UUID
    order: PaymentOrder
    amount: int
    number: int


def look_now(session: Session, performance_id: int, refund_id: UUID) -> bool:
    """Have the provider asked about a refund at once, with its key as before, because of a hint that it was done.

    Returns:
        Whether there is anything left to learn: a refund that succeeded is not asked about again.
    """
    refund = session.get(Refund, (performance_id, refund_id), with_for_update={"key_share": True})
    if refund is None or refund.state is RefundState.SUCCEEDED:
        return False
    refund.state = RefundState.PROCESSING
    refund.next_attempt_time = database_now(session)
    refund.complete_time = None
    return True


def take_due(
    session: Session, limit: int, lease: timedelta, *, provider: Provider | None = None
) -> Sequence[RefundAttempt]:
    """Take up refunds that are due, of one provider or of all; nobody else does for the length of ``lease``."""
    only = None if provider is None else Refund.provider == provider
    taken = take_up(session, Refund, limit, lease, only=only, state=RefundState.PROCESSING)
    keys = {(refund.performance_id, refund.payment_id) for refund in taken}
    paid = session.scalars(select(Payment).where(tuple_(Payment.performance_id, Payment.id).in_(keys))) if keys else ()
    payments = {payment.id: payment for payment in paid}
    return [_attempt(refund, payments[refund.payment_id]) for refund in taken]


def done(session: Session, answers: Sequence[tuple[RefundAttempt, str]]) -> None:
    """Money went back: of each attempt the provider's name for the refund. Any number, locked in one order."""
    said = {(attempt.performance_id, attempt.refund_id): (attempt, reference) for attempt, reference in answers}
    refunds = session.scalars(
        select(Refund)
        .where(tuple_(Refund.performance_id, Refund.id).in_(said))
        .order_by(Refund.performance_id, Refund.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    news = [refund for refund in refunds if refund.state is not RefundState.SUCCEEDED]
    now = database_now(session)
    with session.no_autoflush:
        for refund in refunds:
            attempt, reference = said[refund.performance_id, refund.id]
            once_more = refund.provider_key != attempt.key and refund.provider_reference != reference
            if refund not in news and (is_settled(refund) or once_more):
                _done_as_well(session, refund, reference, now)
        told = when_told(session, [_cancellation(refund) for refund in news])
        for refund in news:
            attempt, reference = said[refund.performance_id, refund.id]
            refund.state = RefundState.SUCCEEDED
            # Under which it was done: an answer to an earlier key may come after a retry.
            refund.provider_key = attempt.key
            refund.provider_reference = reference
            refund.error_reason = None
            refund.next_attempt_time = None
            refund.update_time = refund.complete_time = now
            books.enter_refund_done(session, refund)
            _tell(session, refund, attempt.customer_id, told_time=told.get(_cancellation(refund)))


def is_settled(refund: Refund) -> bool:
    """Whether the house paid it back in another way, and its provider is not known to have done so as well."""
    return refund.settle_method is not None and refund.provider_reference is None


def done_as_well(session: Session, performance_id: int, refund_id: UUID, reference: str) -> None:
    """The provider gave back after all what was settled in another way; ``reference`` is its name for that."""
    refund = session.get_one(Refund, (performance_id, refund_id), with_for_update={"key_share": True})
    if is_settled(refund):
        _done_as_well(session, refund, reference, database_now(session))


def _done_as_well(session: Session, refund: Refund, reference: str, now: datetime) -> None:
    name = resources.refund(refund.performance_id, refund.booking_id, refund.payment_id, refund.id)
    _log.error("refund.paid_twice", refund=name, reference=reference)
    if refund.discrepancy is None:
        books.enter_refund_done(session, refund, twice=True)
    refund.provider_reference = reference
    refund.discrepancy = PAID_TWICE
    refund.update_time = now


def failed(session: Session, attempt: RefundAttempt, reason: str) -> None:
    """The provider refused for good: staff have to act."""
    refund = _locked(session, attempt)
    if refund.state is not RefundState.SUCCEEDED and refund.provider_key == attempt.key:
        refund.state = RefundState.FAILED
        refund.error_reason = reason[:200]
        refund.next_attempt_time = None
        refund.update_time = refund.complete_time = database_now(session)


def not_yet(session: Session, attempt: RefundAttempt, reason: str | None, wait: timedelta) -> None:
    """Nobody knows whether the money went back, or it is being reviewed (no ``reason``): ask again after ``wait``."""
    refund = _locked(session, attempt)
    if refund.attempt_count == attempt.number and refund.next_attempt_time is not None:
        now = database_now(session)
        refund.error_reason = None if reason is None else reason[:200]
        refund.next_attempt_time = now + wait
        refund.update_time = now


def tell_settled(session: Session, refund: Refund, customer_id: UUID) -> None:
    """Tell the customer that a refund was paid back in another way, which no message before has said."""
    _tell(session, refund, customer_id, told_time=None)


def _tell(session: Session, refund: Refund, customer_id: UUID, *, told_time: datetime | None) -> None:
    notify(
        session,
        NotificationKind.REFUND,
        recipient_id=customer_id,
        email=None,
        performance_id=refund.performance_id,
        subject=resources.refund(refund.performance_id, refund.booking_id, refund.payment_id, refund.id),
        key=f"refund/{refund.id}",
        data={},
        # Whoever was told of a cancellation was told of this money in the same mail: one mail each.
        inbox_only=told_time is not None and told_time >= refund.create_time,
    )


def _cancellation(refund: Refund) -> tuple[int, str]:
    """The occasion of the message that the refund's booking was cancelled."""
    return refund.performance_id, f"cancelled/{refund.returned_booking_id or refund.booking_id}"


def _locked(session: Session, attempt: RefundAttempt) -> Refund:
    refund = session.get(Refund, (attempt.performance_id, attempt.refund_id), with_for_update={"key_share": True})
    assert refund is not None, "refunds are never deleted"  # noqa: S101
    return refund


def _attempt(refund: Refund, payment: Payment) -> RefundAttempt:
    return RefundAttempt(
        performance_id=refund.performance_id,
        refund_id=refund.id,
        customer_id=payment.customer_id,
        provider=payment.provider,
        key=refund.provider_key,
        order=order_of(payment),
        amount=refund.amount,
        number=refund.attempt_count,
    )
