"""The inbox of payment providers' messages: each kept once, as it came, with what became of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, LargeBinary, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber
from server.states import Provider, WebhookState, WebhookSubject


class ProviderWebhook(Base):
    """One message of a provider, whose signature was right.

    ``event_id`` is the provider's: a message that comes again finds its row and only counts (``delivery_count``).
    ``next_attempt_time`` is the schedule, as for payments; None: it is DONE, or waits for staff (ATTENTION).
    ``outcome`` says what came of it, or why it could not be acted on so far.
    """

    __tablename__ = "provider_webhooks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    provider: Mapped[Provider] = mapped_column(EnumNumber(Provider))
    event_id: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    event_time: Mapped[datetime]
    subject: Mapped[WebhookSubject] = mapped_column(EnumNumber(WebhookSubject))
    payment_name: Mapped[str | None] = mapped_column(Text)
    payment_reference: Mapped[str | None] = mapped_column(Text)
    refund_id: Mapped[UUID | None]
    refund_reference: Mapped[str | None] = mapped_column(Text)
    dispute_reference: Mapped[str | None] = mapped_column(Text)
    summary: Mapped[str] = mapped_column(Text, default="", server_default="")
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    body: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    state: Mapped[WebhookState] = mapped_column(EnumNumber(WebhookState))
    outcome: Mapped[str | None] = mapped_column(Text)
    delivery_count: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    next_attempt_time: Mapped[datetime | None]
    attempt_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    update_time: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    complete_time: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("provider", "event_id"),
        CheckConstraint("(state = 1) = (next_attempt_time IS NOT NULL)", name="due"),
        Index("ix_provider_webhooks_due", "next_attempt_time", postgresql_where="next_attempt_time IS NOT NULL"),
        Index("ix_provider_webhooks_attention", "create_time", postgresql_where="state = 3"),
        Index("ix_provider_webhooks_outdated", "complete_time", postgresql_where="state = 2"),
    )
