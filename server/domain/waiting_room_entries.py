"""Places in line as they are read: one, several, a whole line, and what changed in it.

An admission whose time is over is shown as expired before any worker has been there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.waiting_room import QueueEntry, WaitingRoom
from server.errors import NotFound
from server.states import QueueEntryState
from server.waiting_room.line import Line, Move

_LINE: Final = text("""
    SELECT string_agg(int8send(place), ''::bytea ORDER BY place) FROM queue_entries
    WHERE performance_id = :performance AND state = 1
""")
# What Redis keeps of everybody who waits: the place, as a floating point number, and who has it.
_PACKED: Final = text("""
    SELECT string_agg(float8send(place::float8) || uuid_send(id) || uuid_send(customer_id), ''::bytea)
    FROM queue_entries WHERE performance_id = :performance AND state = 1
""")
_PACKED_MOVES: Final = text("""
    SELECT revision,
           string_agg(CASE WHEN state = 1 THEN float8send(place::float8) ELSE float8send(-1) END
                      || uuid_send(id) || uuid_send(customer_id), ''::bytea)
    FROM queue_entries WHERE performance_id = :performance AND revision > :revision
    GROUP BY revision ORDER BY revision
""")
_BY_KEYS: Final = text(
    "SELECT e.* FROM unnest(CAST(:performances AS bigint[]), CAST(:ids AS uuid[])) AS w(performance_id, id) "
    "JOIN queue_entries e ON e.performance_id = w.performance_id AND e.id = w.id"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in line, as it is to be shown."""

    performance_id: int
    id: UUID
    customer_id: UUID
    state: QueueEntryState
    place: int
    early: bool
    admit_time: datetime | None = None
    admission_expire_time: datetime | None = None
    booking_id: UUID | None = None

    @property
    def join_time(self) -> datetime:
        """When the customer joined: the milliseconds in its id."""
        return join_time(self.id)


@dataclass(frozen=True, slots=True)
class PackedLine:
    """Everybody who waits, for Redis: forty bytes each (place, entry, customer), at a revision of a line."""

    line_id: UUID
    revision: int
    members: bytes


@dataclass(frozen=True, slots=True)
class PackedMoves:
    """What one revision changed, packed likewise; place -1: it waits no more."""

    revision: int
    members: bytes


def get(session: Session, performance_id: int, entry_id: UUID, owner: UUID | None) -> Entry:
    """A place in line.

    Raises:
        NotFound: absent, or not the owner's.
    """
    row = session.get(QueueEntry, (performance_id, entry_id), populate_existing=True)
    if row is None or owner not in (None, row.customer_id):
        raise NotFound.of(resources.queue_entry(performance_id, entry_id))
    return entry_of(row, database_now(session))


def get_many(session: Session, keys: Sequence[tuple[int, UUID]]) -> list[Entry]:
    """Several, in any order."""
    if not keys:
        return []
    rows = session.scalars(
        select(QueueEntry).from_statement(_BY_KEYS),
        {"performances": [p for p, _ in keys], "ids": [str(entry) for _, entry in keys]},
    ).all()
    now = database_now(session)
    return [entry_of(row, now) for row in rows]


def entry_of(row: QueueEntry, now: datetime) -> Entry:
    """A row as it is to be shown at ``now``."""
    state = row.state
    if state is QueueEntryState.ADMITTED and row.admission_expire_time is not None and row.admission_expire_time <= now:
        state = QueueEntryState.EXPIRED
    return Entry(
        row.performance_id,
        row.id,
        row.customer_id,
        state,
        row.place,
        row.early,
        row.admit_time,
        row.admission_expire_time,
        row.booking_id,
    )


def join_time(entry_id: UUID) -> datetime:
    """The time in a UUID of version 7."""
    return datetime.fromtimestamp((entry_id.int >> 80) / 1000, UTC)


def read_line(session: Session, performance_id: int) -> Line | None:
    """Everybody who waits, in a session that sees one snapshot; None: there never was a line."""
    head = _head(session, performance_id)
    if head is None:
        return None
    line_id, revision = head
    places = session.scalar(_LINE, {"performance": performance_id})
    return Line.of_bytes(line_id, revision, b"" if places is None else bytes(places))


def moves_since(session: Session, performance_id: int, revision: int) -> list[Move]:
    """Every entry that came into the line or went out of it since; each once, as it is now."""
    rows = session.execute(
        select(QueueEntry.id, QueueEntry.place, QueueEntry.state).where(
            QueueEntry.performance_id == performance_id, QueueEntry.revision > revision
        )
    )
    return [Move(entry_id, place, state) for entry_id, place, state in rows]


def line_head(session: Session, performance_id: int) -> tuple[UUID, int] | None:
    """Which line it is, and its revision; None: there never was one."""
    return _head(session, performance_id)


def packed_line(session: Session, performance_id: int) -> PackedLine | None:
    """The whole line for Redis, in a session that sees one snapshot; None: there never was one."""
    head = _head(session, performance_id)
    if head is None:
        return None
    members = session.scalar(_PACKED, {"performance": performance_id})
    return PackedLine(*head, b"" if members is None else bytes(members))


def packed_moves(session: Session, performance_id: int, revision: int) -> list[PackedMoves]:
    """What each revision after ``revision`` changed, in order."""
    rows = session.execute(_PACKED_MOVES, {"performance": performance_id, "revision": revision})
    return [PackedMoves(number, bytes(members)) for number, members in rows]


def _head(session: Session, performance_id: int) -> tuple[UUID, int] | None:
    row = session.execute(
        select(WaitingRoom.line_id, WaitingRoom.revision).where(WaitingRoom.performance_id == performance_id)
    ).one_or_none()
    return None if row is None else (row.line_id, row.revision)
