"""Our books as a provider would keep them: one line for each payment that it took and each refund that it made."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final
from uuid import UUID

from sqlalchemy import exists, func, or_, select, text, tuple_
from sqlalchemy.orm import Session

from server import resources
from server.db.models.books import BookEntry
from server.db.models.payments import MADE_BY_PROVIDER, Payment, Refund
from server.domain.books import provider_account
from server.domain.payment_orders import order_of
from server.payments.port import PaymentOrder
from server.states import OPEN_STATES, EntryKind, PaymentState, Provider, RefundState

_LINES: Final = text("""
    SELECT false AS back, e.source_id AS key, e.amounts[1] AS amount, e.currency, e.performance_id, e.booking_id,
           e.source_id AS payment_id, NULL::uuid AS refund_id
    FROM book_entries e
    WHERE e.kind = 1 AND e.accounts[1] = :account AND e.time < :until
      AND (CAST(:since AS timestamptz) IS NULL OR e.time >= :since)
    UNION ALL
    SELECT true, r.provider_key, e.amounts[1], e.currency, e.performance_id, e.booking_id, r.payment_id, r.id
    FROM book_entries e JOIN refunds r ON r.performance_id = e.performance_id AND r.id = e.source_id
    WHERE e.kind = 3 AND e.accounts[2] = :account AND e.number / 2 = cardinality(r.taken_back) AND e.time < :until
      AND (CAST(:since AS timestamptz) IS NULL OR e.time >= :since)
""")
_PAGE: Final = 500
_UNDER_WAY: Final = (RefundState.REQUESTED, RefundState.PROCESSING)


class Direction(Enum):
    """Which way money moved."""

    IN = "payment"
    OUT = "refund"


@dataclass(frozen=True, slots=True)
class Line:
    """One movement by our books. ``key`` is the one that the provider was asked with."""

    direction: Direction
    key: UUID
    amount: int
    currency: str
    name: str


@dataclass(frozen=True, slots=True)
class Account:
    """One payment by our books: what came in, and what went back of it, in minor units; 0: it bought nothing.

    Attributes:
        order: as the provider knows it.
        taken: what was taken.
        currency: its currency.
        given_back: what was given back.
        under_way: whether the payment or a refund of it is open, so that the two books may differ for a while.
    """

    order: PaymentOrder
    taken: int
    currency: str
    given_back: int
    under_way: bool


def lines(session: Session, provider: Provider, since: datetime | None, until: datetime) -> Iterator[Line]:
    """The movements at a provider from ``since`` on and before ``until``, fetched little by little."""
    values = {"account": int(provider_account(provider)), "since": since, "until": until}
    rows = session.execute(_LINES, values, execution_options={"yield_per": 1000})
    for row in rows:
        if row.back:
            name = resources.refund(row.performance_id, row.booking_id, row.payment_id, row.refund_id)
        else:
            name = resources.payment(row.performance_id, row.booking_id, row.payment_id)
        yield Line(Direction.OUT if row.back else Direction.IN, row.key, row.amount, row.currency, name)


def line(session: Session, direction: Direction, key: UUID) -> Line | None:
    """The line of one movement, whenever it was; None: our books have none."""
    return _payment_line(session, key) if direction is Direction.IN else _refund_line(session, key)


def _payment_line(session: Session, payment_id: UUID) -> Line | None:
    query = select(BookEntry).where(BookEntry.kind == EntryKind.PAYMENT, BookEntry.source_id == payment_id)
    entry = session.scalars(query).one_or_none()
    if entry is None:
        return None
    name = resources.payment(entry.performance_id, entry.booking_id, payment_id)
    return Line(Direction.IN, payment_id, entry.amounts[0], entry.currency, name)


def _refund_line(session: Session, key: UUID) -> Line | None:
    query = select(Refund).where(Refund.provider_key == key, Refund.state == RefundState.SUCCEEDED)
    refund = session.scalars(query).one_or_none()
    if refund is None:
        return None
    name = resources.refund(refund.performance_id, refund.booking_id, refund.payment_id, refund.id)
    number = 2 * len(refund.taken_back) + (refund.settle_method is not None)
    entry = session.get(BookEntry, (refund.performance_id, EntryKind.REFUND_DONE, refund.id, number))
    return None if entry is None else Line(Direction.OUT, key, entry.amounts[0], entry.currency, name)


def is_under_way(session: Session, direction: Direction, key: UUID) -> bool:
    """Whether a movement that our books do not have is about to be entered."""
    if direction is Direction.IN:
        query = select(Payment.id).where(Payment.id == key, Payment.next_attempt_time.is_not(None))
    else:
        query = select(Refund.id).where(Refund.provider_key == key, Refund.state.in_(_UNDER_WAY))
    return session.scalar(query) is not None


def accounts(
    session: Session, provider: Provider, since: datetime | None, after: tuple[int, UUID] | None
) -> Sequence[tuple[tuple[int, UUID], Account]]:
    """A page of payments that the provider has heard of, begun or refunded from ``since`` on, with their keys.

    Args:
        session: a transaction.
        provider: whose payments.
        since: from when on; None: all.
        after: the key of the last one of the page before.
    """
    query = select(Payment).where(
        Payment.provider == provider,
        Payment.amount > 0,
        or_(Payment.provider_reference.is_not(None), Payment.state == PaymentState.SUCCEEDED),
    )
    if since is not None:
        refunded = exists().where(
            Refund.performance_id == Payment.performance_id,
            Refund.payment_id == Payment.id,
            Refund.complete_time >= since,
        )
        query = query.where(or_(Payment.create_time >= since, Payment.complete_time >= since, refunded))
    if after is not None:
        query = query.where(tuple_(Payment.performance_id, Payment.id) > after)
    payments = session.scalars(query.order_by(Payment.performance_id, Payment.id).limit(_PAGE)).all()
    return _accounts(session, payments)


def account(session: Session, key: tuple[int, UUID]) -> Account:
    """One payment by our books as they are now."""
    return _accounts(session, [session.get_one(Payment, key)])[0][1]


def _accounts(session: Session, payments: Sequence[Payment]) -> Sequence[tuple[tuple[int, UUID], Account]]:
    entered = _entered(session, [(payment.performance_id, payment.id) for payment in payments])
    return [((payment.performance_id, payment.id), _account(payment, entered)) for payment in payments]


def _entered(session: Session, keys: Collection[tuple[int, UUID]]) -> dict[UUID, tuple[int, str, int, bool]]:
    """By payment: what was taken, its currency, what was given back, and whether a refund is under way."""
    taken = session.execute(
        select(BookEntry.source_id, BookEntry.amounts, BookEntry.currency).where(
            BookEntry.kind == EntryKind.PAYMENT, tuple_(BookEntry.performance_id, BookEntry.source_id).in_(keys)
        )
    )
    given = session.execute(
        select(
            Refund.payment_id,
            func.coalesce(func.sum(Refund.amount).filter(MADE_BY_PROVIDER), 0),
            func.bool_or(Refund.state.in_(_UNDER_WAY)),
        )
        .where(tuple_(Refund.performance_id, Refund.payment_id).in_(keys))
        .group_by(Refund.payment_id)
    )
    back = {payment_id: (int(amount), under_way) for payment_id, amount, under_way in given}
    return {
        payment_id: (amounts[0], currency, *back.get(payment_id, (0, False))) for payment_id, amounts, currency in taken
    }


def _account(payment: Payment, entered: dict[UUID, tuple[int, str, int, bool]]) -> Account:
    taken, currency, given_back, refunding = entered.get(payment.id, (0, payment.currency, 0, False))
    # What is in doubt is not under way: it waits for staff, who are to see the difference.
    open_ = (payment.state in OPEN_STATES and payment.discrepancy is None) or payment.next_attempt_time is not None
    return Account(order_of(payment), taken, currency, given_back, refunding or open_)
