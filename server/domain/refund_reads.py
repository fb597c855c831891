"""Refunds as their owners and staff read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from server import resources
from server.db.models.payments import Payment, Refund
from server.domain.rows import count_up, newest_first
from server.errors import NotFound
from server.states import RefundState


@dataclass(frozen=True, slots=True)
class RefundPage:
    """Refunds, newest first, and how many there are on all pages, counted up to ``MOST_COUNTED``."""

    refunds: Sequence[Refund]
    total: int


def get(
    session: Session, performance_id: int, booking_id: UUID, payment_id: UUID, refund_id: UUID, *, owner: UUID | None
) -> Refund:
    """A refund; ``owner`` None: whoever's it is, for staff.

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
