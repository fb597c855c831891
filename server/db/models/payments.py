"""Money in, money out. Rows are never deleted."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, Integer, Text, Uuid, and_, func, or_
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber
from server.states import PaymentState, Provider, RefundMethod, RefundState, Resolution


class Payment(Base):
    """One attempt to pay for a booking.

    ``capture_time`` is when the customer asked for the money to be taken: from then on the booking names this payment
    and does not run out. ``next_attempt_time`` is the schedule that the sweeper reads: when a worker has to speak to
    the provider (again); None: there is nothing to say. A worker that takes it up moves it into the future first, so
    that another takes over if it dies.

    ``bought_booking_id`` is the booking that late money bought instead of ``booking_id``, which had run out.
    ``compare_after_time`` is set while a payment that is over has still to be compared with the provider's books, which
    is done some time (a setting) after it, and after each refund for as long as that may fail; ``discrepancy`` is what
    was found there that staff have to look at. Of a payment that did not succeed it says why it is in doubt whose money
    was taken: such a payment is in nobody's schedule until staff decide, which is kept in ``resolution`` and the three
    columns behind it.
    """

    __tablename__ = "payments"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    booking_id: Mapped[UUID]
    customer_id: Mapped[UUID]
    provider: Mapped[Provider] = mapped_column(EnumNumber(Provider))
    state: Mapped[PaymentState] = mapped_column(EnumNumber(PaymentState))
    amount: Mapped[int]
    currency: Mapped[str] = mapped_column(Text)
    provider_reference: Mapped[str | None] = mapped_column(Text)
    capture_reference: Mapped[str | None] = mapped_column(Text)
    client_secret: Mapped[str | None] = mapped_column(Text)
    approval_uri: Mapped[str | None] = mapped_column(Text)
    return_uri: Mapped[str | None] = mapped_column(Text)
    cancel_uri: Mapped[str | None] = mapped_column(Text)
    error_reason: Mapped[str | None] = mapped_column(Text)
    capture_time: Mapped[datetime | None]
    next_attempt_time: Mapped[datetime | None]
    attempt_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    update_time: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    complete_time: Mapped[datetime | None]
    bought_booking_id: Mapped[UUID | None]
    compare_after_time: Mapped[datetime | None]
    discrepancy: Mapped[str | None] = mapped_column(Text)
    resolution: Mapped[Resolution | None] = mapped_column(EnumNumber(Resolution))
    resolution_reason: Mapped[str | None] = mapped_column(Text)
    resolver_id: Mapped[UUID | None]
    resolve_time: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("amount >= 0", name="amount"),
        Index(
            "uq_payments_open",
            "performance_id",
            "booking_id",
            unique=True,
            postgresql_where="state IN (1, 2, 3, 7)",
        ),
        Index("ix_payments_booking", "performance_id", "booking_id", "create_time"),
        Index("ix_payments_customer", "customer_id", "create_time"),
        Index("ix_payments_reference", "provider_reference", postgresql_where="provider_reference IS NOT NULL"),
        Index("ix_payments_create_time", "create_time", "id"),
        # What staff list of a state that few have; those that are open are in uq_payments_open.
        Index("ix_payments_ended", "state", "create_time", "id", postgresql_where="state IN (5, 6)"),
        Index("ix_payments_due", "next_attempt_time", postgresql_where="next_attempt_time IS NOT NULL"),
        Index("ix_payments_compare", "compare_after_time", postgresql_where="compare_after_time IS NOT NULL"),
        Index("ix_payments_discrepancy", "create_time", "id", postgresql_where="discrepancy IS NOT NULL"),
    )


class Refund(Base):
    """Money that goes back: asked for, worked on, done, or failed and waiting for staff.

    ``actor_id`` is who asked for it, a customer or staff; None: it follows from a cancelled performance, or from money
    that came in too late. ``ticket_ids`` are the tickets that were returned for it, if it was for single ones,
    and ``returned_booking_id`` is the booking that gave places up for it: the one that the payment bought.
    ``provider_key`` is the idempotency key that the provider is asked with: the refund's id, until staff have a refund
    that was refused tried anew, which a provider would otherwise refuse again without looking.

    With a ``settle_method`` it was paid back by the house in another way, with what proves that (``settle_reference``),
    why, by whom and when; its ``provider_reference`` is then empty, unless its provider gave the money back as well.
    That is its ``discrepancy`` until staff have sorted it out.

    ``taken_back`` is what its provider called the refunds that it made for this one and then took back: each time the
    money was owed again, and the books have an entry for it.
    """

    __tablename__ = "refunds"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    booking_id: Mapped[UUID]
    payment_id: Mapped[UUID]
    provider: Mapped[Provider] = mapped_column(EnumNumber(Provider))
    provider_key: Mapped[UUID]
    returned_booking_id: Mapped[UUID | None]
    ticket_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), default=list, server_default="{}")
    state: Mapped[RefundState] = mapped_column(EnumNumber(RefundState))
    amount: Mapped[int]
    currency: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[UUID | None]
    provider_reference: Mapped[str | None] = mapped_column(Text)
    error_reason: Mapped[str | None] = mapped_column(Text)
    next_attempt_time: Mapped[datetime | None]
    attempt_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    update_time: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    complete_time: Mapped[datetime | None]
    settle_method: Mapped[RefundMethod | None] = mapped_column(EnumNumber(RefundMethod))
    settle_reference: Mapped[str | None] = mapped_column(Text)
    settle_reason: Mapped[str | None] = mapped_column(Text)
    settler_id: Mapped[UUID | None]
    settle_time: Mapped[datetime | None]
    discrepancy: Mapped[str | None] = mapped_column(Text)
    taken_back: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")

    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        Index("ix_refunds_create_time", "create_time", "id"),
        Index("ix_refunds_payment", "performance_id", "payment_id"),
        Index("ix_refunds_due", "provider", "next_attempt_time", postgresql_where="next_attempt_time IS NOT NULL"),
        # What is not done: few at any time, wherever they are among all.
        Index("ix_refunds_state", "state", "create_time", "id", postgresql_where="state <> 3"),
        Index("ix_refunds_discrepancy", "create_time", postgresql_where="discrepancy IS NOT NULL"),
    )


MADE_BY_PROVIDER: Final = and_(
    Refund.state == RefundState.SUCCEEDED,
    or_(Refund.settle_method.is_(None), Refund.provider_reference.is_not(None)),
)
"""The refunds that providers made, by our books: not those that the house settled in another way."""
