"""The lines that a process is asked about, in memory: a place is found by a look into a table and a bisection.

Each is read once, and from then on, while anybody asks, what changed is read a few times a second for all who ask
together. A line that was begun to be read longer than ``SETTLE`` ago answers nobody. Whoever changes a line, or learns
that somebody was admitted, waits for so long before telling the caller (``server.services.waiting_room``); so nobody
who was told of a change can find another process that does not know it yet.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.domain.waiting_room_entries import line_head, moves_since, read_line
from server.errors import RowlockError
from server.waiting_room.line import Line, Move
from server.waiting_room.shared import SharedByKey

SETTLE: Final = 1.0
_REFRESH: Final = 0.25
"""Seconds, both; the one is several times the other, so that a process that is slow to read keeps nobody waiting."""
_KEPT: Final = 100
_PLACES_KEPT: Final = 200_000

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class KeptLine:
    """A line, when it was begun to be read, and the places of those who have asked, by entry and customer."""

    line: Line
    read_at: float
    places: dict[bytes, int] = field(default_factory=dict)

    def position(self, member: bytes) -> int | None:
        """Where an (entry, customer) stands; None: nowhere, or its place is not known here."""
        place = self.places.get(member)
        return None if place is None else self.line.position_of(place)

    def remember(self, member: bytes, place: int) -> None:
        """Know the place of an (entry, customer) from now on."""
        while len(self.places) >= _PLACES_KEPT:
            del self.places[next(iter(self.places))]
        self.places[member] = place


class Lines:
    """The lines of one process.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[int, KeptLine] = OrderedDict()
        self._reading = SharedByKey(self._read)
        self._tasks: set[asyncio.Task[None]] = set()

    def at_hand(self, performance_id: int) -> KeptLine | None:
        """A line that may be asked now; None: it has to be read first. Neither waits nor asks anybody."""
        known = self._known.get(performance_id)
        if known is None:
            return None
        age = time.monotonic() - known.read_at
        if age > SETTLE:
            return None
        if age > _REFRESH and performance_id not in self._reading:
            task = asyncio.get_running_loop().create_task(self._read_beside(performance_id), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return known

    async def current(self, performance_id: int, *, fresh: bool = False) -> KeptLine | None:
        """A line that may be asked; ``fresh``: as it is now. None: there never was one."""
        known = None if fresh else self.at_hand(performance_id)
        if known is None:
            await self._reading.done(performance_id)
            known = self._known.get(performance_id)
        return known

    async def close(self) -> None:
        """Stop what is done beside the calls."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read_beside(self, performance_id: int) -> None:
        try:
            await self._reading.done(performance_id)
        except RowlockError as error:
            # Whoever asks when it is too old tries again, and is told.
            _log.warning("queue.line_not_read", reason=error.reason)

    async def _read(self, performance_id: int) -> None:
        begin = time.monotonic()
        known = self._known.get(performance_id)
        line = None if known is None else known.line

        def work(session: Session) -> tuple[Line | None, int, Sequence[Move]]:
            head = line_head(session, performance_id)
            if head is None:
                return None, 0, ()
            if line is None or head[0] != line.line_id or head[1] < line.revision:
                return read_line(session, performance_id), head[1], ()
            return None, head[1], moves_since(session, performance_id, line.revision) if head[1] > line.revision else ()

        whole, revision, moves = await self._database.read(work)
        if whole is not None:
            self._known[performance_id] = KeptLine(whole, begin)
        elif known is not None:
            known.line.apply(revision, moves)
            known.read_at = begin
            self._known.move_to_end(performance_id)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
