"""Reading payments, with what was refunded of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, func, or_, select, text, tuple_
from sqlalchemy.orm import Session

from server import resources
from server.db.models.payments import Payment, Refund
from server.domain.rows import count_up, newest_first
from server.errors import NotFound
from server.states import PaymentState, RefundState

_BY_KEYS: Final = text(
    "SELECT p.* FROM unnest(CAST(:performances AS bigint[]), CAST(:ids AS uuid[])) AS w(performance_id, id) "
    "JOIN payments p ON p.performance_id = w.performance_id AND p.id = w.id WHERE p.state <> :but"
)


@dataclass(frozen=True, slots=True)
class ShownPayment:
    """A payment, and how many minor units of it were given back or are on their way."""

    payment: Payment
    refunded: int


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """Payments, newest first, and how many there are on all pages, counted up to ``MOST_COUNTED``."""

    payments: Sequence[ShownPayment]
    total: int


def get(session: Session, performance_id: int, booking_id: UUID, payment_id: UUID, owner: UUID | None) -> ShownPayment:
    """A payment; ``owner`` None: whoever's it is, for staff.

    Raises:
        NotFound: absent, or not the owner's.
    """
    payment = session.get(Payment, (performance_id, payment_id))
    return as_shown(session, seen(payment, performance_id, booking_id, payment_id, owner))


def list_payments(
    session: Session,
    *,
    performance_id: int | None,
    booking_id: UUID | None,
    owner: UUID | None,
    state: PaymentState | None,
    only_discrepancies: bool = False,
    after: tuple[Any, ...] | None,
    limit: int,
) -> PaymentPage:
    """Payments that meet every condition which is not None, newest first.

    Args:
        session: a transaction.
        performance_id: of this performance.
        booking_id: of this booking.
        owner: of this customer.
        state: in this state.
        only_discrepancies: that staff have to look at.
        after: (create_time, id) of the last payment of the page before.
        limit: how many at most.
    """
    query = select(Payment)
    if performance_id is not None:
        query = query.where(Payment.performance_id == performance_id)
    if booking_id is not None:
        query = query.where(Payment.booking_id == booking_id)
    if owner is not None:
        query = query.where(Payment.customer_id == owner)
    if state is not None:
        query = query.where(Payment.state == state)
    if only_discrepancies:
        query = query.where(Payment.discrepancy.is_not(None))
    total = count_up(session, query)
    narrowed = performance_id is not None
    query = newest_first(query, Payment.create_time, Payment.id, narrowed=narrowed, after=after)
    rows = session.scalars(query.limit(limit)).all()
    refunded = refunded_of(session, rows)
    return PaymentPage([ShownPayment(row, refunded.get(row.id, 0)) for row in rows], total)


def as_shown(session: Session, payment: Payment) -> ShownPayment:
    """A payment with what was refunded of it."""
    return ShownPayment(payment, refunded_of(session, [payment]).get(payment.id, 0))


def may_be_paid_late(session: Session, performance_id: int, booking_id: UUID) -> bool:
    """Whether money may still come in for a booking: a payment is in flight, or may be approved at its provider."""
    in_flight = Payment.state.in_((PaymentState.PROCESSING, PaymentState.UNKNOWN))
    elsewhere = or_(Payment.approval_uri.is_not(None), Payment.client_secret.is_not(None))
    found = session.scalar(
        select(Payment.id)
        .where(
            Payment.performance_id == performance_id,
            Payment.booking_id == booking_id,
            or_(in_flight, and_(Payment.state == PaymentState.REQUIRES_ACTION, elsewhere)),
        )
        .limit(1)
    )
    return found is not None


def by_keys(session: Session, keys: Sequence[tuple[int, UUID]], *, decided: bool) -> Sequence[ShownPayment]:
    """The payments named by (performance, payment).

    Args:
        session: a transaction.
        keys: which.
        decided: only those of which a worker has said something: that are not PROCESSING.
    """
    values = {
        "performances": [performance_id for performance_id, _ in keys],
        "ids": [str(payment_id) for _, payment_id in keys],
        "but": int(PaymentState.PROCESSING) if decided else 0,
    }
    rows = session.scalars(select(Payment).from_statement(_BY_KEYS), values).all()
    refunded = refunded_of(session, rows)
    return [ShownPayment(row, refunded.get(row.id, 0)) for row in rows]


def seen(
    payment: Payment | None, performance_id: int, booking_id: UUID, payment_id: UUID, owner: UUID | None
) -> Payment:
    """The payment, if it is there for this caller; ``owner`` None: for staff.

    Raises:
        NotFound: absent, of another booking, or not the owner's.
    """
    if payment is None or payment.booking_id != booking_id or owner not in (None, payment.customer_id):
        raise NotFound.of(resources.payment(performance_id, booking_id, payment_id))
    return payment


def refunded_of(session: Session, payments: Sequence[Payment]) -> dict[UUID, int]:
    """How much of each was given back or is on its way; what failed is neither."""
    taken = [(p.performance_id, p.id) for p in payments if p.state is PaymentState.SUCCEEDED]
    if not taken:
        return {}
    rows = session.execute(
        select(Refund.payment_id, func.sum(Refund.amount))
        .where(
            tuple_(Refund.performance_id, Refund.payment_id).in_(taken),
            Refund.state != RefundState.FAILED,
        )
        .group_by(Refund.payment_id)
    )
    return {payment_id: int(amount) for payment_id, amount in rows}
