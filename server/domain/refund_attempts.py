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
from sqlalchemy import select, text, tuple_
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.payments import MADE_BY_PROVIDER, Payment, Refund
from server.domain import books
from server.domain.due import take_up
from server.domain.notifications import notify, when_told
from server.domain.payment_orders import order_of
from server.payments.port import PaymentOrder
from server.states import NotificationKind, Provider, RefundState

PAID_TWICE: Final = "PAID_TWICE: the provider gave the money back as well"
"""The discrepancy of a refund that was done, and that its provider made after all, or once more."""

_RECHECK: Final = text("""
    WITH locked AS MATERIALIZED (
        SELECT p.performance_id, p.id
        FROM unnest(CAST(:performances AS bigint[]), CAST(:ids AS uuid[])) AS w(performance_id, id)
        JOIN payments p ON p.performance_id = w.performance_id AND p.id = w.id
        ORDER BY p.performance_id, p.id FOR NO KEY UPDATE OF p)
    UPDATE payments p SET compare_after_time = CAST(:time AS timestamptz)
    FROM locked l WHERE p.performance_id = l.performance_id AND p.id = l.id
""")
_LONGEST_REASON: Final = 200

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RefundAttempt:
    """A refund as one worker has taken it up, and the payment that it is of.

    ``taken_back`` counts how often the provider had taken it back by then.
    """

    performance_id: int
    refund_id: UUID
    customer_id: UUID
    provider: Provider
    key: UUID
    order: PaymentOrder
    amount: int
    number: int
    taken_back: int


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
    # An answer of before the provider took that very refund back is out of date.
    refunds = [one for one in refunds if not _was_taken_back_since(one, *said[one.performance_id, one.id])]
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
    recheck(session, news, now)


def recheck(session: Session, refunds: Sequence[Refund], since: datetime) -> None:
    """Have the payments of refunds compared with the provider's books, as if they had ended at ``since``."""
    payments = {(refund.performance_id, refund.payment_id) for refund in refunds}
    if payments:
        values = {"performances": [one for one, _ in payments], "ids": [str(one) for _, one in payments]}
        session.execute(_RECHECK, values | {"time": since})


def taken_back(session: Session, asked: Refund, reason: str) -> Refund:
    """The provider says that a refund which it had made has failed since: it is owed again, and waits for staff.

    Nothing happens if that is known, or if the refund was tried anew meanwhile. Nor if the customer had the money twice
    and gave it back: then people have to say who owes whom.

    Args:
        session: a transaction.
        asked: the refund as it was when the provider was asked about it.
        reason: the provider's word.

    Returns:
        The refund as it is now.
    """
    refund = _locked(session, asked.performance_id, asked.id)
    is_settled_too, is_twice = refund.settle_method is not None, refund.discrepancy is not None
    if not (made_by_provider(refund) and _is_as(refund, asked)) or is_settled_too is not is_twice:
        return refund
    reference, now = refund.provider_reference or "", database_now(session)
    _log.error("refund.taken_back", refund=_name(refund), reference=reference, reason=reason)
    books.enter_refund_taken_back(session, refund, twice=is_twice)
    refund.taken_back = [*refund.taken_back, reference]
    refund.provider_reference = refund.discrepancy = None
    refund.update_time = now
    if not is_twice:
        refund.state = RefundState.FAILED
        refund.error_reason = f"TAKEN_BACK: {reason}"[:_LONGEST_REASON]
        refund.complete_time = now
    session.flush()
    return refund


def made_by_provider(refund: Refund) -> bool:
    """Whether its provider made it, by our books; the same as ``MADE_BY_PROVIDER`` of one that is at hand."""
    return refund.state is RefundState.SUCCEEDED and not is_settled(refund)


def made_for(session: Session, performance_id: int, payment_id: UUID) -> Sequence[Refund]:
    """The refunds of a payment that its provider made, by our books."""
    ours = Refund.performance_id == performance_id, Refund.payment_id == payment_id
    return session.scalars(select(Refund).where(*ours, MADE_BY_PROVIDER)).all()


def _is_as(refund: Refund, asked: Refund) -> bool:
    """Whether what a provider said of ``asked`` is about the refund as it is now."""
    return (refund.provider_key, refund.taken_back) == (asked.provider_key, asked.taken_back)


def _was_taken_back_since(refund: Refund, attempt: RefundAttempt, reference: str) -> bool:
    return reference in refund.taken_back[attempt.taken_back :]


def is_settled(refund: Refund) -> bool:
    """Whether the house paid it back in another way, and its provider is not known to have done so as well."""
    return refund.settle_method is not None and refund.provider_reference is None


def done_as_well(session: Session, asked: Refund, reference: str) -> None:
    """The provider gave back after all what was settled in another way.

    Args:
        session: a transaction.
        asked: the refund as it was when the provider was asked about it.
        reference: the provider's name for what it gave back.
    """
    refund = _locked(session, asked.performance_id, asked.id)
    if is_settled(refund) and _is_as(refund, asked):
        _done_as_well(session, refund, reference, database_now(session))


def _done_as_well(session: Session, refund: Refund, reference: str, now: datetime) -> None:
    _log.error("refund.paid_twice", refund=_name(refund), reference=reference)
    if refund.discrepancy is None:
        books.enter_refund_done(session, refund, twice=True)
    refund.provider_reference = reference
    refund.discrepancy = PAID_TWICE
    refund.update_time = now


def failed(session: Session, attempt: RefundAttempt, reason: str) -> None:
    """The provider refused for good: staff have to act."""
    refund = _locked(session, attempt.performance_id, attempt.refund_id)
    if refund.state is not RefundState.SUCCEEDED and refund.provider_key == attempt.key:
        refund.state = RefundState.FAILED
        refund.error_reason = reason[:_LONGEST_REASON]
        refund.next_attempt_time = None
        refund.update_time = refund.complete_time = database_now(session)


def not_yet(session: Session, attempt: RefundAttempt, reason: str | None, wait: timedelta) -> None:
    """Nobody knows whether the money went back, or it is being reviewed (no ``reason``): ask again after ``wait``."""
    refund = _locked(session, attempt.performance_id, attempt.refund_id)
    if refund.attempt_count == attempt.number and refund.next_attempt_time is not None:
        now = database_now(session)
        refund.error_reason = None if reason is None else reason[:_LONGEST_REASON]
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
        subject=_name(refund),
        # What was taken back after its message is told anew.
        key="/".join(["refund", str(refund.id), *map(str, filter(None, [len(refund.taken_back)]))]),
        data={},
        # Whoever was told of a cancellation was told of this money in the same mail: one mail each.
        inbox_only=told_time is not None and told_time >= refund.create_time and not refund.taken_back,
    )


def _cancellation(refund: Refund) -> tuple[int, str]:
    """The occasion of the message that the refund's booking was cancelled."""
    return refund.performance_id, f"cancelled/{refund.returned_booking_id or refund.booking_id}"


def _locked(session: Session, performance_id: int, refund_id: UUID) -> Refund:
    return session.get_one(Refund, (performance_id, refund_id), with_for_update={"key_share": True})


def _name(refund: Refund) -> str:
    return resources.refund(refund.performance_id, refund.booking_id, refund.payment_id, refund.id)


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
        taken_back=len(refund.taken_back),
    )
