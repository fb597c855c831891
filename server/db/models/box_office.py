"""The box office: places set aside for somebody, shifts at tills, and what was sold in them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber
from server.states import AllocationState, ShiftState, TillEntryKind


class Allocation(Base):
    """Places set aside for an owner: those whose ``seats.allocation_id`` names it, whatever their state.

    Its places only ever become fewer. ``release_time`` is the schedule that the sweeper reads.
    """

    __tablename__ = "allocations"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text, default="", server_default="")
    state: Mapped[AllocationState] = mapped_column(EnumNumber(AllocationState), server_default="1")
    release_time: Mapped[datetime]
    creator_id: Mapped[UUID | None]
    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    end_time: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("(state = 2) = (end_time IS NOT NULL)", name="ended"),
        Index("ix_allocations_create_time", "create_time"),
        Index("ix_allocations_due", "release_time", postgresql_where="state = 1"),
    )


class Shift(Base):
    """One member of staff at one till. An open one is locked (shared) by every sale that is counted in it."""

    __tablename__ = "shifts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    staff_id: Mapped[UUID]
    till: Mapped[str] = mapped_column(Text)
    state: Mapped[ShiftState] = mapped_column(EnumNumber(ShiftState), server_default="1")
    currency: Mapped[str] = mapped_column(Text)
    opening_cash: Mapped[int]
    counted_cash: Mapped[int | None]
    note: Mapped[str] = mapped_column(Text, default="", server_default="")
    open_time: Mapped[datetime] = mapped_column(server_default=func.now())
    close_time: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("opening_cash >= 0 AND counted_cash >= 0", name="cash"),
        CheckConstraint(
            "(state = 2) = (close_time IS NOT NULL) AND (state = 2) = (counted_cash IS NOT NULL)", name="closed"
        ),
        Index("uq_shifts_open_staff", "staff_id", unique=True, postgresql_where="state = 1"),
        Index("uq_shifts_open_till", func.lower("till"), unique=True, postgresql_where="state = 1"),
        Index("ix_shifts_open_time", "open_time"),
    )


class TillEntry(Base):
    """One sale, or one return of cash, of one shift; written by the seat ledger, and never changed."""

    __tablename__ = "till_entries"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    shift_id: Mapped[UUID]
    booking_id: Mapped[UUID]
    kind: Mapped[TillEntryKind] = mapped_column(EnumNumber(TillEntryKind))
    tickets: Mapped[int] = mapped_column(Integer)
    amount: Mapped[int]
    currency: Mapped[str] = mapped_column(Text)
    time: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("amount >= 0 AND tickets > 0", name="not_negative"),
        Index("ix_till_entries_shift", "shift_id"),
    )
