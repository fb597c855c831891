"""What people are told: one row per message, which is also its place in the queue of mails.

Every primary key leads with ``performance_id`` (0: of no performance), so that the tables can be distributed by it
and the seat ledger can write messages in the transaction of the booking that they are about. A message's id is made
from what it is about (``server.domain.notifications.message_id``), so a second message of the same occasion meets the
primary key.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Index, Integer, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber
from server.states import NotificationKind, NotificationState


class Notification(Base):
    """One message to one person.

    ``email`` null: to the address that the recipient has when the mail leaves. ``about`` is a resource name,
    ``booking_id`` the booking in it. ``subject`` and ``body`` are what was said, from the moment that it was said:
    until then the message is made anew from the database whenever somebody looks at it. ``bulk`` messages let others
    pass. ``queue_time`` is when it was last put into the queue of mails, from which a worker's patience is counted, and
    ``next_attempt_time`` when a worker has to send it (again). ``handover_time`` is committed before the
    mail server is given the text and taken back when it refuses, so a message that has it and was not SENT may or may
    not have arrived.
    """

    __tablename__ = "notifications"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[NotificationKind] = mapped_column(EnumNumber(NotificationKind))
    state: Mapped[NotificationState] = mapped_column(EnumNumber(NotificationState))
    recipient_id: Mapped[UUID | None]
    email: Mapped[str | None] = mapped_column(Text)
    about: Mapped[str] = mapped_column(Text, default="", server_default="")
    booking_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    subject: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str | None] = mapped_column(Text)
    bulk: Mapped[bool] = mapped_column(Boolean, default=False, server_default="false")
    next_attempt_time: Mapped[datetime | None]
    attempt_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    handover_time: Mapped[datetime | None]
    error_reason: Mapped[str | None] = mapped_column(Text)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    update_time: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    queue_time: Mapped[datetime] = mapped_column(server_default=func.now())
    send_time: Mapped[datetime | None]
    read_time: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("recipient_id IS NOT NULL OR email IS NOT NULL", name="addressed"),
        CheckConstraint("(state = 1) = (next_attempt_time IS NOT NULL)", name="due"),
        CheckConstraint("(state = 2) = (send_time IS NOT NULL)", name="sent"),
        # The worker's question: what has to be sent now? Not the thousands of a mailing before somebody's code.
        Index("ix_notifications_due", "bulk", "next_attempt_time", postgresql_where="next_attempt_time IS NOT NULL"),
        Index("ix_notifications_recipient", "recipient_id", "create_time", "id"),
        Index("ix_notifications_create_time", "create_time", "id"),
        Index("ix_notifications_failed", "create_time", "id", postgresql_where=text("state = 3")),
    )


class Announcement(Base):
    """Staff's own words, kept once for all whom they are for."""

    __tablename__ = "announcements"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    sender_id: Mapped[UUID]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
