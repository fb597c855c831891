"""What staff did: written down with the change, read by staff, kept as long as the installation says."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Select, delete, insert, select, text
from sqlalchemy.orm import Session

from server.db.clock import statement_time
from server.db.models.accounts import User
from server.db.models.staff_actions import StaffAction
from server.domain.rows import behind
from server.domain.staff_records import StaffRecord, columns

_ALLOW_DELETING: Final = text("SET LOCAL rowlock.deletes_staff_actions = 'yes'")


@dataclass(frozen=True, slots=True)
class ActionFilter:
    """Which actions to list; conditions add up.

    Attributes:
        actor_id: whose; None: anybody's.
        method: an RPC (``EventService.CreateEvent``), or a service with all its RPCs; empty: any.
        start: at this time or later; None: from the first.
        end: before this time; None: to the last.
        resource: the name of what they were about, or of what that lies in; empty: anything.
    """

    actor_id: UUID | None = None
    method: str = ""
    start: datetime | None = None
    end: datetime | None = None
    resource: str = ""


@dataclass(frozen=True, slots=True)
class ShownAction:
    """An action, and who its actor is today; None: the account is gone."""

    action: StaffAction
    display_name: str | None
    email: str | None


def write(session: Session, records: Iterable[StaffRecord]) -> None:
    """Write records down, in the transaction that makes what they are about."""
    rows = [columns(record) | {"request": json.loads(record.request)} for record in records]
    if rows:
        session.execute(insert(StaffAction), rows)


def page(
    session: Session, wanted: ActionFilter, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[ShownAction]:
    """Actions, newest first, those behind ``after`` (time, id)."""
    keys = (StaffAction.action_time, StaffAction.id)
    query = _chosen(wanted)
    if after is not None:
        query = query.where(behind(keys, after, descending=True))
    rows = session.execute(query.order_by(*(key.desc() for key in keys)).limit(limit))
    return [ShownAction(action, name, email) for action, name, email in rows]


def _chosen(wanted: ActionFilter) -> Select[StaffAction, str, str]:
    query = select(StaffAction, User.display_name, User.email).outerjoin(User, User.id == StaffAction.actor_id)
    if wanted.actor_id is not None:
        query = query.where(StaffAction.actor_id == wanted.actor_id)
    if "." in wanted.method:
        query = query.where(StaffAction.method == wanted.method)
    elif wanted.method:
        query = query.where(StaffAction.method.startswith(f"{wanted.method}.", autoescape=True))
    if wanted.start is not None:
        query = query.where(StaffAction.action_time >= wanted.start)
    if wanted.end is not None:
        query = query.where(StaffAction.action_time < wanted.end)
    if wanted.resource:
        query = query.where(StaffAction.within.contains([wanted.resource]))
    return query


def delete_outdated(session: Session, retention: timedelta, limit: int) -> int:
    """Delete records older than ``retention``, which is 30 days or more; return how many.

    The database refuses anything else to delete one; see the migration.
    """
    session.execute(_ALLOW_DELETING)
    old = (
        select(StaffAction.id)
        .where(StaffAction.action_time < statement_time() - retention)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(old).all()
    if ids:
        session.execute(delete(StaffAction).where(StaffAction.id.in_(ids)))
    return len(ids)
