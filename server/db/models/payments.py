"""Money in, money out. Rows are never deleted."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, Integer, Text, Uuid, func
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber
from server.states import PaymentState, Provider, RefundState


class Payment(Base):
    """One attempt to pay for a booking.

    ``capture_time`` is when the customer asked for the money to be taken: from then on the booking names this payment
    and does not run out. ``next_attempt_time`` is the schedule that the sweeper reads: when a worker has to speak to
    the provider (again); None: there is nothing to say. A worker that takes it up moves it into the future first, so
    that another takes over if it dies.

    ``bought_booking_id`` is the booking that late money bought instead of ``booking_id``, which had run out.
    ``compare_after_time`` is set while a payment that is over has still to be compared with the provider's books, which
    is done some time (a setting) after it; ``discrepancy`` is what was found there that staff have to look at.
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
        Index("ix_payments_due", "next_attempt_time", postgresql_where="next_attempt_time IS NOT NULL"),
        Index("ix_payments_compare", "compare_after_time", postgresql_where="compare_after_time IS NOT NULL"),
        Index("ix_payments_discrepancy", "complete_time", postgresql_where="discrepancy IS NOT NULL"),
    )


class Refund(Base):
    """Money that goes back: asked for, worked on, done, or failed and waiting for staff.

    ``actor_id`` is who asked for it, a customer or staff; None: it follows from a cancelled performance, or from money
    that came in too late. ``ticket_ids`` are the tickets that were returned for it, if it was for single ones,
    and ``returned_booking_id`` is the booking that gave places up for it: the one that the payment bought.
    ``provider_key`` is the idempotency key that the provider is asked with: the refund's id, until staff have a refund
    that was refused tried anew, which a provider would otherwise refuse again without looking.
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

    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        Index("ix_refunds_create_time", "create_time", "id"),
        Index("ix_refunds_payment", "performance_id", "payment_id"),
        Index("ix_refunds_due", "provider", "next_attempt_time", postgresql_where="next_attempt_time IS NOT NULL"),
        Index("ix_refunds_failed", "create_time", postgresql_where="state = 4"),
    )
