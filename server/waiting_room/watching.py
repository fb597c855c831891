"""Tells streams how their places in line change: one reading a second for all of a process's, however many there are.

For each line that is watched the process keeps the places of all who wait (``line``): what changed is read and
applied, and then each stream's position is a bisection in memory.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.domain import waiting_room, waiting_room_entries
from server.domain.waiting_room import RoomView
from server.domain.waiting_room_entries import Entry
from server.states import QueueEntryState
from server.waiting_room.line import Line, Move

_AT_ONCE: Final = 2000
"""Streams that are told before the loop may do something else."""
_LIVING: Final = frozenset({QueueEntryState.WAITING, QueueEntryState.ADMITTED})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry, where it stands (0: it does not wait, or for the draw), and the room by which its wait is reckoned."""

    entry: Entry
    position: int
    room: RoomView


class Watcher:
    """What one stream knows of its place."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self._news = asyncio.Event()

    def tell(self, standing: Standing) -> None:
        """It stands otherwise now."""
        self.standing = standing
        self._news.set()

    async def change(self) -> Standing:
        """Wait until there is something that was not returned before; return the newest."""
        await self._news.wait()
        self._news.clear()
        return self.standing


@dataclass(slots=True)
class _Room:
    watchers: dict[UUID, set[Watcher]] = field(default_factory=dict)
    line: Line | None = None
    unread: set[UUID] = field(default_factory=set)
    """Entries that may have changed between their stream's own reading and its first look here."""


@dataclass(frozen=True, slots=True)
class _News:
    """What was read of one room: a whole line, or what moved in the one that is known."""

    view: RoomView
    line: Line | None
    moves: Sequence[Move]
    entries: Mapping[UUID, Entry]


class QueueWatch:
    """The watched places of this process. It reads only while there are any.

    Args:
        database: where they are.
        interval: seconds between two readings.
    """

    def __init__(self, database: Database, *, interval: float = 1.0) -> None:
        self._database = database
        self._interval = interval
        self._rooms: dict[int, _Room] = {}
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, standing: Standing) -> Iterator[Watcher]:
        """A watcher for the length of the block; ``standing`` is what its stream has shown already."""
        performance_id, entry_id = standing.entry.performance_id, standing.entry.id
        watcher = Watcher(standing)
        room = self._rooms.setdefault(performance_id, _Room())
        room.watchers.setdefault(entry_id, set()).add(watcher)
        room.unread.add(entry_id)
        if self._looking is None:
            # In a context of its own: it must not inherit anything of the call that came first.
            self._looking = asyncio.get_running_loop().create_task(self._look_on(), context=Context())
        try:
            yield watcher
        finally:
            room.watchers[entry_id].discard(watcher)
            if not room.watchers[entry_id]:
                del room.watchers[entry_id]
            if not room.watchers:
                self._rooms.pop(performance_id, None)

    async def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look_on(self) -> None:
        try:
            while self._rooms:
                await asyncio.sleep(self._interval)
                try:
                    await self._look()
                except Exception as error:  # noqa: BLE001 - whatever it was, streams must not go deaf for good
                    # They go on with heartbeats; the next look that succeeds brings them up to date.
                    _log.warning("queue_watch.look_failed", error=repr(error))
        finally:
            self._looking = None

    async def _look(self) -> None:
        rooms = dict(self._rooms)
        known = {performance_id: room.line for performance_id, room in rooms.items()}
        watched = {performance_id: set(room.watchers) for performance_id, room in rooms.items()}
        wanted: set[tuple[int, UUID]] = set()
        for performance_id, room in rooms.items():
            wanted.update((performance_id, entry_id) for entry_id in room.unread)
            room.unread = set()
            wanted.update(
                (performance_id, entry_id)
                for entry_id, group in room.watchers.items()
                if any(watcher.standing.entry.state is QueueEntryState.ADMITTED for watcher in group)
            )
        try:
            news = await self._database.read(lambda session: _read(session, known, watched, wanted))
        except BaseException:
            for performance_id, entry_id in wanted:
                rooms[performance_id].unread.add(entry_id)
            raise
        for performance_id, one in news.items():
            await self._tell(rooms[performance_id], one)

    async def _tell(self, room: _Room, news: _News) -> None:
        if news.line is not None:
            room.line = news.line
        elif room.line is not None:
            room.line.apply(news.view.revision, news.moves)
        told = 0
        for entry_id, group in list(room.watchers.items()):
            for watcher in list(group):
                entry = news.entries.get(entry_id, watcher.standing.entry)
                standing = Standing(entry, _position(entry, news.view, room.line), news.view)
                if entry.state not in _LIVING or _differs(watcher.standing, standing):
                    watcher.tell(standing)
            told += len(group)
            if told >= _AT_ONCE:
                told = 0
                await asyncio.sleep(0)


def _read(
    session: Session,
    known: Mapping[int, Line | None],
    watched: Mapping[int, set[UUID]],
    unknown: Collection[tuple[int, UUID]],
) -> dict[int, _News]:
    """Everything that is new of all watched rooms, and the ``unknown`` entries, in one snapshot."""
    found: dict[int, tuple[RoomView, Line | None, list[Move]]] = {}
    wanted = set(unknown)
    for performance_id, line in known.items():
        view = waiting_room.read(session, performance_id)
        if line is None or line.line_id != view.line_id or line.revision > view.revision:
            whole = waiting_room_entries.read_line(session, performance_id)
            found[performance_id] = view, whole, []
            # What happened before this process kept the line is not known from moves.
            wanted.update((performance_id, entry_id) for entry_id in watched[performance_id])
            continue
        moves = (
            waiting_room_entries.moves_since(session, performance_id, line.revision)
            if line.revision < view.revision
            else []
        )
        found[performance_id] = view, None, moves
        gone = {move.entry_id for move in moves if move.state is not QueueEntryState.WAITING}
        wanted.update((performance_id, entry_id) for entry_id in gone & watched[performance_id])
    entries = waiting_room_entries.get_many(session, sorted(wanted))
    return {
        performance_id: _News(
            view, line, moves, {entry.id: entry for entry in entries if entry.performance_id == performance_id}
        )
        for performance_id, (view, line, moves) in found.items()
    }


def _position(entry: Entry, view: RoomView, line: Line | None) -> int:
    if entry.state is not QueueEntryState.WAITING or line is None or view.draws_at(view.read_time):
        return 0
    return line.position(entry.place)


def _differs(before: Standing, after: Standing) -> bool:
    """Whether a customer would notice: the entry, the position, or the pace by which the wait is reckoned."""
    return (before.entry, before.position, _pace(before.room)) != (after.entry, after.position, _pace(after.room))


def _pace(room: RoomView) -> tuple[object, ...]:
    return room.enabled, room.terms, room.opening, room.cycle.end_time, round(room.per_cycle, 1)
