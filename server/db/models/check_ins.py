"""What happened at the doors: one append-only row for every scan of a ticket, with its outcome.

The database refuses to change or delete a row. Of one ticket at most one row in each round says ADMITTED: a round
ends when staff undo a check-in, so that "one successful check-in per ticket" holds by structure (S10).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber
from server.states import CheckInOutcome


class CheckIn(Base):
    """One scan, or the undoing of one.

    ``performance_id`` is that of the door; ``round`` counts the check-ins of the ticket that were undone before;
    ``scan_time`` is the device's word where ``offline``; ``first_time`` and ``first_place`` say which check-in came
    first, where one had. A scan is known again by ``scope`` and ``request_id``, and answered as ``fingerprint`` tells.
    """

    __tablename__ = "check_ins"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    ticket_id: Mapped[UUID | None]
    booking_id: Mapped[UUID | None]
    outcome: Mapped[CheckInOutcome] = mapped_column(EnumNumber(CheckInOutcome))
    round: Mapped[int] = mapped_column(Integer)
    offline: Mapped[bool]
    admitted: Mapped[bool]
    conflict: Mapped[bool]
    place: Mapped[str] = mapped_column(Text, default="", server_default="")
    device: Mapped[str] = mapped_column(Text, default="", server_default="")
    reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    scan_time: Mapped[datetime]
    create_time: Mapped[datetime]
    first_time: Mapped[datetime | None]
    first_place: Mapped[str | None] = mapped_column(Text)
    actor_id: Mapped[UUID | None]
    scope: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)

    __table_args__ = (
        CheckConstraint("outcome NOT IN (1, 2, 3, 10) OR ticket_id IS NOT NULL", name="of_ticket"),
        CheckConstraint("outcome <> 1 OR admitted", name="admits"),
        Index("ix_check_ins_ticket", "performance_id", "ticket_id"),
        Index("ix_check_ins_conflict", "performance_id", "id", postgresql_where="conflict"),
        Index(
            "uq_check_ins_admission",
            "performance_id",
            "ticket_id",
            "round",
            unique=True,
            postgresql_where="outcome = 1",
        ),
        Index(
            "uq_check_ins_request",
            "performance_id",
            "scope",
            "request_id",
            unique=True,
            postgresql_where="request_id IS NOT NULL",
        ),
    )
