"""The booking path: everything that a hold touches while thousands wait.

Every primary key and unique constraint leads with ``performance_id``, so that the tables can be distributed by it.
No foreign keys here: each would lock the parent's row once per hold; ``server.seats`` is the only writer and the
invariant checks in the tests look for strays.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    CheckConstraint,
    Index,
    Integer,
    LargeBinary,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber
from server.states import BookingState, ConfirmedBy, SeatState, TicketState


class Inventory(Base):
    """Per performance: the revision of its seats, the version of its sale rules, and the counts."""

    __tablename__ = "inventories"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(default=0, server_default="0")
    rules_version: Mapped[int] = mapped_column(default=1, server_default="1")
    total: Mapped[int] = mapped_column(Integer)
    available: Mapped[int] = mapped_column(Integer)
    held: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    sold: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    blocked: Mapped[int] = mapped_column(Integer, default=0, server_default="0")

    __table_args__ = (
        CheckConstraint("available + held + sold + blocked = total", name="sum"),
        CheckConstraint("available >= 0 AND held >= 0 AND sold >= 0 AND blocked >= 0", name="not_negative"),
    )


class Seat(Base):
    """One place. It names at most one booking, so it cannot be sold twice.

    With an ``allocation_id`` it is set aside for somebody: free, it is BLOCKED; held or sold, it will be again.
    """

    __tablename__ = "seats"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    state: Mapped[SeatState] = mapped_column(EnumNumber(SeatState), default=SeatState.AVAILABLE, server_default="1")
    booking_id: Mapped[UUID | None]
    allocation_id: Mapped[UUID | None]

    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 4 AND (state IN (2, 3)) = (booking_id IS NOT NULL)", name="claimed"),
        CheckConstraint("allocation_id IS NULL OR state <> 1", name="allocated"),
        Index(
            "ix_seats_allocation",
            "performance_id",
            "allocation_id",
            postgresql_where="allocation_id IS NOT NULL",
        ),
    )


class Booking(Base):
    """One customer's claim. The three arrays run in parallel: place, its ticket type, its price in minor units.

    ``replaces`` and ``replaced_by`` tie a booking that ran out and the one that its late money bought.
    """

    __tablename__ = "bookings"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID]
    state: Mapped[BookingState] = mapped_column(EnumNumber(BookingState))
    places: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    ticket_type_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    prices: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    currency: Mapped[str] = mapped_column(Text)
    hold_start_time: Mapped[datetime]
    hold_expire_time: Mapped[datetime]
    payment_id: Mapped[UUID | None]
    confirmed_by: Mapped[ConfirmedBy | None] = mapped_column(EnumNumber(ConfirmedBy))
    note: Mapped[str] = mapped_column(Text, default="", server_default="")
    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    confirm_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]
    replaces: Mapped[UUID | None]
    replaced_by: Mapped[UUID | None]

    __table_args__ = (
        CheckConstraint(
            "cardinality(places) = cardinality(prices) AND cardinality(places) = cardinality(ticket_type_ids)",
            name="parallel",
        ),
        Index("ix_bookings_customer", "customer_id", "create_time"),
        # What staff list over all performances.
        Index("ix_bookings_create_time", "create_time", "id"),
        Index("ix_bookings_ended", "state", "create_time", "id", postgresql_where="state IN (3, 4)"),
        # The sweeper's question: which holds have run out?
        Index("ix_bookings_expiry", "performance_id", "hold_expire_time", postgresql_where="state = 1"),
    )


class CommandLog(Base):
    """One append-only row per command that took effect: every transition, and the first answer to its request.

    ``subject_id`` is the booking, or the block action's own id; ``version`` the booking's version after it.
    """

    __tablename__ = "command_log"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    command: Mapped[str] = mapped_column(Text)
    from_state: Mapped[BookingState | None] = mapped_column(EnumNumber(BookingState))
    to_state: Mapped[BookingState | None] = mapped_column(EnumNumber(BookingState))
    actor_id: Mapped[UUID | None]
    time: Mapped[datetime]
    request_id: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    answer: Mapped[Any] = mapped_column(JSON)

    __table_args__ = (
        Index(
            "uq_command_log_request",
            "performance_id",
            "actor_id",
            "request_id",
            unique=True,
            postgresql_where="request_id IS NOT NULL",
        ),
    )


class Quota(Base):
    """How many places a key has claimed: a customer in all, a customer of one type, or a ticket type in all.

    The check is what holds the limit across processes: two batches that both read "2 of 4" cannot both add 2 and 1.
    """

    __tablename__ = "quotas"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    used: Mapped[int] = mapped_column(Integer)
    ceiling: Mapped[int] = mapped_column(Integer)

    __table_args__ = (CheckConstraint("used >= 0 AND used <= ceiling", name="within"),)


class SeatChange(Base):
    """One committed batch's changes of one performance: the watchers' message, all but its revision field."""

    __tablename__ = "seat_changes"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    commit_time: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (Index("ix_seat_changes_commit_time", "commit_time"),)


class Ticket(Base):
    """One admission of a confirmed booking.

    ``nonce`` is the part of its code that nobody can guess: 128 random bits, kept as a UUID for its 16 bytes. The code
    itself is signed when it is shown. ``changed_by`` numbers the transaction that last changed the row (a trigger sees
    to it), by which entry lists find what is new.
    """

    __tablename__ = "tickets"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    booking_id: Mapped[UUID]
    customer_id: Mapped[UUID]
    place: Mapped[int] = mapped_column(Integer)
    ticket_type_id: Mapped[int]
    nonce: Mapped[UUID]
    state: Mapped[TicketState] = mapped_column(EnumNumber(TicketState))
    create_time: Mapped[datetime]
    check_in_time: Mapped[datetime | None]
    check_in_place: Mapped[str | None] = mapped_column(Text)
    changed_by: Mapped[int] = mapped_column(server_default=text("(pg_current_xact_id()::text)::bigint"))

    __table_args__ = (Index("ix_tickets_booking", "performance_id", "booking_id"),)
