"""Lines in memory, for single questions while Redis is away: read once for all who ask, at most about a second old."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from sqlalchemy.orm import Session

from server.db.engine import Database
from server.domain.waiting_room_entries import Entry, line_head, moves_since, read_line
from server.waiting_room.line import Line, Move
from server.waiting_room.shared import SharedWork

_FRESH: Final = 1.0
_KEPT: Final = 100


class Lines:
    """The lines of one process.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[int, tuple[Line, float]] = OrderedDict()
        self._reading: dict[int, SharedWork] = {}

    async def position(self, entry: Entry) -> int:
        """Where somebody who waits stands, from 1."""
        performance_id = entry.performance_id
        known = self._known.get(performance_id)
        if known is None or time.monotonic() - known[1] > _FRESH:
            reading = self._reading.setdefault(performance_id, SharedWork(lambda: self._read(performance_id)))
            try:
                await reading.done()
            finally:
                if not reading.is_wanted:
                    self._reading.pop(performance_id, None)
            known = self._known.get(performance_id)
        return 0 if known is None else known[0].position(entry.place)

    async def _read(self, performance_id: int) -> None:
        begin = time.monotonic()
        known = self._known.pop(performance_id, None)
        line = None if known is None else known[0]

        def work(session: Session) -> tuple[Line | None, int, Sequence[Move]]:
            head = line_head(session, performance_id)
            if head is None:
                return None, 0, ()
            if line is None or head[0] != line.line_id or head[1] < line.revision:
                return read_line(session, performance_id), head[1], ()
            return line, head[1], moves_since(session, performance_id, line.revision)

        found, revision, moves = await self._database.read(work)
        if found is not None:
            found.apply(revision, moves)
            self._known[performance_id] = found, begin
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
