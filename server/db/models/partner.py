"""What partners see of the house: the log of changes, where it is sent to, and what their keys have used up.

``changes`` is written by triggers of the tables it is about (migration 0010), in the transaction that changes them, so
that no writer can forget it; ``server.domain.changes`` gives the rows their positions.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.accounts import ApiKey, User
from server.db.models.base import Base, EnumNumber, Timestamps
from server.states import ChangeKind, DeliveryOutcome, KeyQuota


class Change(Base):
    """What one row was like after a change that somebody outside may care about.

    ``id`` grows in the order in which rows are written, ``position`` in that in which they could first be read; it is
    null until then. ``old_state`` is null if the row is new. ``data`` holds the row's columns, without secrets.
    """

    __tablename__ = "changes"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    position: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[ChangeKind] = mapped_column(EnumNumber(ChangeKind))
    customer_id: Mapped[UUID | None]
    old_state: Mapped[int | None] = mapped_column(SmallInteger)
    new_state: Mapped[int] = mapped_column(SmallInteger)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    change_time: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        Index("ix_changes_position", "position", postgresql_where="position IS NOT NULL"),
        Index("ix_changes_performance", "performance_id", "position", postgresql_where="position IS NOT NULL"),
        Index("ix_changes_new", "id", postgresql_where="position IS NULL"),
    )


class ChangeSequence(Base):
    """The one row that gives positions: whoever has it locked may give the next ones."""

    __tablename__ = "change_sequence"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    outdated_position: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")

    __table_args__ = (CheckConstraint("id = 1 AND outdated_position <= position", name="one"),)


class WebhookEndpoint(Timestamps, Base):
    """An address that changes are sent to.

    ``scopes`` and ``all_bookings`` are what its maker could see. Null ``kinds`` never are; empty: all.
    ``failing_since`` is when the last attempt before all those that failed would have been; null: the newest did not.
    """

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    uri: Mapped[str] = mapped_column(Text)
    display_name: Mapped[str] = mapped_column(Text, default="", server_default="")
    kinds: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger), default=list, server_default="{}")
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    all_bookings: Mapped[bool] = mapped_column(default=False, server_default="false")
    everything: Mapped[bool] = mapped_column(default=False, server_default="false")
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    former_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    former_secret_expire_time: Mapped[datetime | None]
    disable_time: Mapped[datetime | None]
    disable_reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    failing_since: Mapped[datetime | None]

    __table_args__ = (
        Index(None, "user_id", "create_time", "id"),
        Index(None, "create_time", "id"),
        Index("ix_webhook_endpoints_off", "disable_time", postgresql_where="disable_reason <> ''"),
    )


class WebhookLane(Base):
    """What an endpoint still has to be told of one performance, in order; nothing overtakes in a lane.

    Everything up to ``cursor`` is done with, everything up to ``target`` is to be looked at. ``next_attempt_time`` is
    when; null: the lane is empty, or its endpoint is switched off. ``failure_count`` and ``failing_since`` are of the
    message behind the cursor. ``test_id`` is a test to be sent, in the lane of performance 0 only.
    """

    __tablename__ = "webhook_lanes"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey(WebhookEndpoint.id, ondelete="CASCADE"), primary_key=True)
    cursor: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    target: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    test_id: Mapped[UUID | None]
    next_attempt_time: Mapped[datetime | None]
    attempt_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    failure_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    failing_since: Mapped[datetime | None]
    update_time: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("ix_webhook_lanes_due", "next_attempt_time", postgresql_where="next_attempt_time IS NOT NULL"),
        Index("ix_webhook_lanes_endpoint_id", "endpoint_id"),
    )


class WebhookDelivery(Base):
    """One attempt to deliver, and what was answered. Position 0: a test."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey(WebhookEndpoint.id, ondelete="CASCADE"))
    performance_id: Mapped[int]
    position: Mapped[int] = mapped_column(BigInteger)
    message_id: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(Integer)
    outcome: Mapped[DeliveryOutcome] = mapped_column(EnumNumber(DeliveryOutcome))
    status: Mapped[int] = mapped_column(Integer)
    error: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    milliseconds: Mapped[int] = mapped_column(Integer)
    create_time: Mapped[datetime]

    __table_args__ = (Index(None, "endpoint_id", "create_time", "id"), Index(None, "create_time"))


class KeyUse(Base):
    """How much of a quota an API key has used up in one day of UTC."""

    __tablename__ = "key_uses"

    key_id: Mapped[UUID] = mapped_column(ForeignKey(ApiKey.id, ondelete="CASCADE"), primary_key=True)
    quota: Mapped[KeyQuota] = mapped_column(EnumNumber(KeyQuota), primary_key=True)
    day: Mapped[Any] = mapped_column(Date, primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (CheckConstraint("used >= 0", name="not_negative"),)


class KeyCharge(Base):
    """What one request was charged, so that it is charged once however often it is sent."""

    __tablename__ = "key_charges"

    key_id: Mapped[UUID] = mapped_column(ForeignKey(ApiKey.id, ondelete="CASCADE"), primary_key=True)
    quota: Mapped[KeyQuota] = mapped_column(EnumNumber(KeyQuota), primary_key=True)
    reference: Mapped[str] = mapped_column(Text, primary_key=True)
    day: Mapped[Any] = mapped_column(Date)
    amount: Mapped[int] = mapped_column(Integer)

    __table_args__ = (Index(None, "day"), CheckConstraint("amount > 0", name="amount"))
