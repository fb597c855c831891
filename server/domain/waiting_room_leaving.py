"""Giving a place in line up, or an admission that was not used."""

from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.waiting_room import QueueEntry, WaitingRoom
from server.domain.waiting_room import locking
from server.domain.waiting_room_entries import Entry, entry_of
from server.errors import NotFound
from server.states import QueueEntryState


def leave(session: Session, performance_id: int, entry_id: UUID, owner: UUID | None) -> Entry:
    """End a place in line. One that has ended already stays as it is.

    Raises:
        NotFound: absent, or not the owner's.
    """
    name = resources.queue_entry(performance_id, entry_id)
    room = session.scalars(locking(performance_id)).one_or_none()
    row = session.scalars(
        select(QueueEntry)
        .where(QueueEntry.performance_id == performance_id, QueueEntry.id == entry_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if room is None or row is None or owner not in (None, row.customer_id):
        raise NotFound.of(name)
    now = database_now(session)
    shown = entry_of(row, now)
    if shown.state not in {QueueEntryState.WAITING, QueueEntryState.ADMITTED}:
        return shown
    if row.state is QueueEntryState.WAITING:
        row.revision = room.revision + 1
        session.execute(
            update(WaitingRoom)
            .where(WaitingRoom.performance_id == performance_id)
            .values(
                waiting_count=WaitingRoom.waiting_count - 1,
                revision=WaitingRoom.revision + 1,
                update_time=WaitingRoom.update_time,
            )
            .execution_options(synchronize_session=False)
        )
    row.state, row.end_time = QueueEntryState.LEFT, now
    session.flush()
    return entry_of(row, now)
