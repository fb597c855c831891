"""What staff did: one append-only row for each change, written in the transaction that makes it.

The database refuses to change a row, and to delete one that is younger than a month or that housekeeping does not ask
for; the migration makes the trigger.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Index, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber
from server.states import Role


class StaffAction(Base):
    """One change.

    ``resources`` are the names of what it was about, and ``within`` these and all that they lie in, by which it is
    found. No foreign keys: the record outlives the account.
    """

    __tablename__ = "staff_actions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    action_time: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    actor_id: Mapped[UUID]
    role: Mapped[Role] = mapped_column(EnumNumber(Role))
    key_id: Mapped[UUID | None]
    method: Mapped[str] = mapped_column(Text)
    resources: Mapped[list[str]] = mapped_column(ARRAY(Text))
    within: Mapped[list[str]] = mapped_column(ARRAY(Text))
    request: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_shortened: Mapped[bool] = mapped_column(Boolean, default=False, server_default="false")
    request_id: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("ix_staff_actions_time", "action_time", "id"),
        Index("ix_staff_actions_actor", "actor_id", "action_time", "id"),
        Index("ix_staff_actions_within", "within", postgresql_using="gin"),
    )
