"""Waiting rooms: the line before a performance's sale.

The rows here are the truth of who joined, was admitted, left or used an admission; Redis only answers faster where
somebody stands (``server.waiting_room.index``). Whatever changes the line (joining, leaving, being admitted) holds the
room's row; so a room's ``revision`` has no gaps, and the line at a revision is one and the same for whoever reads it.
Using an admission and running out change no line and do not touch the room.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, Integer, Interval, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber, Timestamps
from server.db.models.catalogue import Performance
from server.states import LineOrder, QueueEntryState


class WaitingRoom(Timestamps, Base):
    """A performance's waiting room; where there is no row it is off and was never otherwise.

    ``line_id`` names the line and its order: a new one whenever places are given anew, so that nobody mistakes one
    for the other. ``seed`` makes the draw. ``opened_time`` is when the first were admitted. ``cycle_*`` is the running
    interval: its number, its end, and how many it may still admit. ``next_admission_time`` is when a worker has to
    look; null: nobody waits, or the room is off.
    """

    __tablename__ = "waiting_rooms"

    performance_id: Mapped[int] = mapped_column(
        ForeignKey(Performance.id, ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    line_id: Mapped[UUID]
    enabled: Mapped[bool] = mapped_column(Boolean, default=False, server_default="false")
    enabled_time: Mapped[datetime | None]
    admit_count: Mapped[int] = mapped_column(Integer)
    admit_interval: Mapped[timedelta] = mapped_column(Interval)
    admission_duration: Mapped[timedelta] = mapped_column(Interval)
    shopping_limit: Mapped[int | None] = mapped_column(Integer)
    line_order: Mapped[LineOrder] = mapped_column(EnumNumber(LineOrder))
    open_time: Mapped[datetime | None]
    opened_time: Mapped[datetime | None]
    seed: Mapped[bytes] = mapped_column(LargeBinary)
    joined_count: Mapped[int] = mapped_column(default=0, server_default="0")
    waiting_count: Mapped[int] = mapped_column(default=0, server_default="0")
    revision: Mapped[int] = mapped_column(default=0, server_default="0")
    cycle_number: Mapped[int] = mapped_column(default=0, server_default="0")
    cycle_end_time: Mapped[datetime | None]
    cycle_left: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    next_admission_time: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("admit_count > 0", name="admit_count"),
        CheckConstraint("admit_interval > interval '0'", name="admit_interval"),
        CheckConstraint("admission_duration > interval '0'", name="admission_duration"),
        CheckConstraint("shopping_limit > 0", name="shopping_limit"),
        CheckConstraint("enabled = (enabled_time IS NOT NULL)", name="enabled"),
        CheckConstraint("waiting_count BETWEEN 0 AND joined_count AND cycle_left >= 0", name="counts"),
        # The workers' question: which line has to move?
        Index("ix_waiting_rooms_due", "next_admission_time", postgresql_where="next_admission_time IS NOT NULL"),
    )


class QueueEntry(Base):
    """One customer's place in one line. When it was joined is the time in its id (a UUID of version 7).

    ``place`` orders those who wait. ``early``: joined before the opening. ``revision`` is the room's when this entry
    last came into the line or went out of it. ``cycle`` is the interval in which it was admitted.
    """

    __tablename__ = "queue_entries"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID]
    state: Mapped[QueueEntryState] = mapped_column(EnumNumber(QueueEntryState))
    place: Mapped[int]
    early: Mapped[bool] = mapped_column(Boolean)
    revision: Mapped[int]
    cycle: Mapped[int | None]
    admit_time: Mapped[datetime | None]
    admission_expire_time: Mapped[datetime | None]
    booking_id: Mapped[UUID | None]
    end_time: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("(state = 3) = (booking_id IS NOT NULL)", name="used"),
        CheckConstraint("state NOT IN (2, 3) OR admission_expire_time IS NOT NULL", name="admitted"),
        CheckConstraint("(state IN (3, 4, 5)) = (end_time IS NOT NULL)", name="ended"),
        CheckConstraint(
            "(cycle IS NULL) = (admission_expire_time IS NULL) AND (cycle IS NULL) = (admit_time IS NULL)",
            name="admission",
        ),
        # One place for each customer.
        Index(
            "uq_queue_entries_customer",
            "performance_id",
            "customer_id",
            unique=True,
            postgresql_where="state IN (1, 2)",
        ),
        Index("ix_queue_entries_line", "performance_id", "place", "id", postgresql_where="state = 1"),
        Index("ix_queue_entries_revision", "performance_id", "revision"),
        Index("ix_queue_entries_run_out", "admission_expire_time", postgresql_where="state = 2"),
        Index("ix_queue_entries_shopping", "performance_id", "admission_expire_time", postgresql_where="state = 2"),
        Index(
            "uq_queue_entries_booking",
            "performance_id",
            "booking_id",
            unique=True,
            postgresql_where="booking_id IS NOT NULL",
        ),
    )


class AdmissionCycle(Base):
    """One interval in which somebody was admitted, or could not be: how many might be, and how many were.

    ``waiting`` is how many were left in line when it last admitted: only intervals that left somebody waiting tell how
    fast the line moves.
    """

    __tablename__ = "admission_cycles"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    begin_time: Mapped[datetime]
    admit_limit: Mapped[int] = mapped_column(Integer)
    admitted: Mapped[int] = mapped_column(Integer)
    waiting: Mapped[int]

    __table_args__ = (CheckConstraint("admitted BETWEEN 0 AND admit_limit", name="within"),)
