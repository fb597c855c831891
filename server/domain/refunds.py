"""Refunds: asked for in a transaction of ours, done by a worker, and never forgotten.

A refund is asked for by a cancellation or by returned tickets (the ledger writes the row), by money that came in too
late, or by staff. Under the lock of the payment it is counted what was asked back before, so no more goes back than
came in (M3). What a provider does not answer is asked again, with the same key. What it refuses for good stays as
FAILED with its reason: it is still owed, counts as asked for, and waits for staff to have it tried anew (M6).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.ids import new_id
from server.db.models.payments import Payment, Refund
from server.domain import books
from server.domain.bookings import lock_booking
from server.domain.due import take_up
from server.domain.notifications import notify, when_told
from server.domain.payment_orders import order_of
from server.domain.payment_rows import lock_payment
from server.domain.rows import count_up, newest_first
from server.errors import FailedPrecondition, FieldFault, InvalidArgument, NotFound
from server.payments.port import PaymentOrder
from server.states import Account, NotificationKind, PaymentState, Provider, RefundState

PAID_TWICE: Final = "PAID_TWICE: the provider gave the money back as well"
"""The discrepancy of a refund that was done, and that its provider made after all, or once more."""


_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Amount:
    """Minor units of a currency."""

    amount: int
    currency: str


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


@dataclass(frozen=True, slots=True)
class RefundPage:
    """Refunds, newest first, and how many there are on all pages, counted up to ``MOST_COUNTED``."""

    refunds: Sequence[Refund]
    total: int


def request(
    session: Session,
    performance_id: int,
    booking_id: UUID,
    payment_id: UUID,
    *,
    amount: Amount | None,
    reason: str,
    actor_id: UUID,
) -> Refund:
    """Ask for a refund as staff do, over every policy; ``amount`` None: all that is left.

    Raises:
        NotFound: no such payment.
        FailedPrecondition: PAYMENT_STATE (no money was taken) or REFUND_EXCEEDS_PAYMENT.
        InvalidArgument: CURRENCY_MISMATCH, an amount of zero, or no reason.
    """
    if not reason:
        raise InvalidArgument.of("reason", "is required: it is kept with the refund")
    lock_booking(session, performance_id, booking_id)
    payment = lock_payment(session, performance_id, payment_id)
    if payment is None or payment.booking_id != booking_id:
        raise NotFound.of(resources.payment(performance_id, booking_id, payment_id))
    if payment.state is not PaymentState.SUCCEEDED:
        raise FailedPrecondition("PAYMENT_STATE", f"the payment is {payment.state.name}", state=payment.state.name)
    if amount is not None and amount.currency != payment.currency:
        said = f"the payment was in {payment.currency}"
        fault = FieldFault("amount.currency_code", said)
        raise InvalidArgument("CURRENCY_MISMATCH", said, fields=[fault], currency=payment.currency)
    if amount is not None and amount.amount == 0:
        raise InvalidArgument.of("amount", "must be more than nothing")
    rest = _rest(session, payment)
    wanted = rest if amount is None else amount.amount
    if wanted > rest or rest == 0:
        raise FailedPrecondition(
            "REFUND_EXCEEDS_PAYMENT", f"{rest} minor units of it are left to be refunded", refundable=str(rest)
        )
    return _add(session, payment, wanted, reason, actor_id)


def request_rest(session: Session, payment: Payment, *, reason: str) -> None:
    """Ask for all that was not refunded of a payment that succeeded; its booking and it are locked."""
    rest = _rest(session, payment)
    if rest:
        _add(session, payment, rest, reason, None)


def retry(
    session: Session, performance_id: int, booking_id: UUID, payment_id: UUID, refund_id: UUID, *, reason: str
) -> Refund:
    """Have a refund that was refused tried anew; one that is under way or done is returned as it is.

    The provider is asked with a new key: it would answer the old one as it did before, without looking.

    Args:
        session: a transaction.
        performance_id: the booking's performance.
        booking_id: the payment's booking.
        payment_id: the payment.
        refund_id: the refund.
        reason: what is different now, added to the refund's own; empty: nothing to say.

    Raises:
        NotFound: no such refund.
    """
    refund = session.get(Refund, (performance_id, refund_id), with_for_update={"key_share": True})
    if refund is None or (refund.booking_id, refund.payment_id) != (booking_id, payment_id):
        raise NotFound.of(resources.refund(performance_id, booking_id, payment_id, refund_id))
    if refund.state is RefundState.FAILED:
        now = database_now(session)
        refund.state = RefundState.REQUESTED
        refund.provider_key = new_id()
        refund.reason = f"{refund.reason}; {reason}" if reason else refund.reason
        refund.attempt_count = 0
        refund.next_attempt_time = refund.update_time = now
        refund.complete_time = None
        session.flush()
    return refund


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


def get(
    session: Session, performance_id: int, booking_id: UUID, payment_id: UUID, refund_id: UUID, *, owner: UUID | None
) -> Refund:
    """A refund.

    Raises:
        NotFound: absent, or of another customer's payment.
    """
    row = session.execute(
        select(Refund, Payment.customer_id)
        .join(Payment, (Payment.performance_id == Refund.performance_id) & (Payment.id == Refund.payment_id))
        .where(
            Refund.performance_id == performance_id,
            Refund.id == refund_id,
            Refund.payment_id == payment_id,
            Refund.booking_id == booking_id,
        )
    ).one_or_none()
    if row is None or owner not in (None, row[1]):
        raise NotFound.of(resources.refund(performance_id, booking_id, payment_id, refund_id))
    return row[0]


def list_refunds(
    session: Session,
    *,
    performance_id: int | None,
    booking_id: UUID | None,
    payment_id: UUID | None,
    owner: UUID | None,
    state: RefundState | None,
    only_discrepancies: bool = False,
    after: tuple[Any, ...] | None,
    limit: int,
) -> RefundPage:
    """Refunds that meet every condition which is not None, newest first.

    Args:
        session: a transaction.
        performance_id: of this performance.
        booking_id: of this booking.
        payment_id: of this payment.
        owner: of this customer's payments.
        state: in this state.
        only_discrepancies: that staff have to look at.
        after: (create_time, id) of the last refund of the page before.
        limit: how many at most.
    """
    query = select(Refund)
    conditions = {Refund.performance_id: performance_id, Refund.booking_id: booking_id, Refund.payment_id: payment_id}
    for column, value in conditions.items():
        if value is not None:
            query = query.where(column == value)
    if booking_id is not None and performance_id is None:
        # Payments are found by their booking, and refunds by their payment; refunds have no index of bookings.
        paid = select(Payment.performance_id, Payment.id).where(Payment.booking_id == booking_id)
        query = query.where(tuple_(Refund.performance_id, Refund.payment_id).in_(paid))
    if owner is not None:
        query = query.join(
            Payment, (Payment.performance_id == Refund.performance_id) & (Payment.id == Refund.payment_id)
        ).where(Payment.customer_id == owner)
    if state is not None:
        query = query.where(Refund.state == state)
    if only_discrepancies:
        query = query.where(Refund.discrepancy.is_not(None))
    total = count_up(session, query)
    narrowed = performance_id is not None
    query = newest_first(query, Refund.create_time, Refund.id, narrowed=narrowed, after=after)
    rows = session.scalars(query.limit(limit)).all()
    return RefundPage(rows, total)


def _add(session: Session, payment: Payment, amount: int, reason: str, actor_id: UUID | None) -> Refund:
    now = database_now(session)
    refund_id = new_id()
    refund = Refund(
        performance_id=payment.performance_id,
        id=refund_id,
        booking_id=payment.booking_id,
        payment_id=payment.id,
        provider=payment.provider,
        provider_key=refund_id,
        ticket_ids=[],
        state=RefundState.REQUESTED,
        amount=amount,
        currency=payment.currency,
        reason=reason,
        actor_id=actor_id,
        next_attempt_time=now,
        create_time=now,
        update_time=now,
    )
    session.add(refund)
    out_of = Account.SALES if books.bought_something(session, payment) else Account.SUSPENSE
    books.enter_refund_asked(session, refund, out_of=out_of)
    session.flush()
    return refund


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


def _rest(session: Session, payment: Payment) -> int:
    """What was not asked back yet; what a provider refused is still owed, and not left."""
    given = session.scalar(
        select(func.coalesce(func.sum(Refund.amount), 0)).where(
            Refund.performance_id == payment.performance_id,
            Refund.payment_id == payment.id,
        )
    )
    return payment.amount - int(given or 0)


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
