"""What a process knows of the waiting rooms that its callers ask about, at most about a second old.

One reading serves all who ask. Whoever reads also sees to it that the line in Redis follows; so it does even if the
process that changed it died before it could.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, Final

import structlog

from server.db.engine import Database
from server.domain import waiting_room
from server.domain.waiting_room import RoomView
from server.errors import RowlockError
from server.waiting_room.index import LineIndex
from server.waiting_room.shared import SharedByKey

_FRESH: Final = 1.0
_USABLE: Final = 3.0
"""Seconds: an older view is waited for anew, a younger one is used while a new one is read."""
_KEPT: Final = 1000

_log = structlog.get_logger(__name__)


class Rooms:
    """The rooms of one process.

    Args:
        database: where they are.
        index: the lines in Redis.
    """

    def __init__(self, database: Database, index: LineIndex) -> None:
        self._database = database
        self._index = index
        self._known: OrderedDict[int, tuple[RoomView, float]] = OrderedDict()
        """The views, and when they were begun to be read."""
        self._reading = SharedByKey(self._read)
        self._tasks: set[asyncio.Task[None]] = set()

    def at_hand(self, performance_id: int) -> RoomView | None:
        """A waiting room as it was a second ago at most; None: it has to be read first."""
        known = self._known.get(performance_id)
        return known[0] if known is not None and time.monotonic() - known[1] <= _FRESH else None

    async def view(self, performance_id: int, *, fresh: bool = False) -> RoomView:
        """A performance's waiting room.

        Args:
            performance_id: the performance.
            fresh: whether it must be as it is now.

        Raises:
            NotFound: there is no such performance.
        """
        known = self._known.get(performance_id)
        age = _USABLE if known is None else time.monotonic() - known[1]
        if fresh or known is None or age >= _USABLE:
            await self._reading.done(performance_id)
            return self._known[performance_id][0]
        if age > _FRESH and performance_id not in self._reading:
            self._beside(self._reading.done(performance_id))
        return known[0]

    async def close(self) -> None:
        """Stop what is done beside the calls."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self, performance_id: int) -> None:
        begin = time.monotonic()
        view = await self._database.read(lambda session: waiting_room.read(session, performance_id))
        before = self._known.pop(performance_id, None)
        if before is not None and before[0].line_id != view.line_id:
            self._index.forget(before[0].line_id)
        self._known[performance_id] = view, begin
        while len(self._known) > _KEPT:
            self._index.forget(self._known.popitem(last=False)[1][0].line_id)
        if view.revision and self._index.revision(view.line_id) < view.revision:
            self._beside(self._sync(view))

    async def _sync(self, view: RoomView) -> None:
        await self._index.sync(view.performance_id, view.line_id)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_told(work), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _told(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except RowlockError as error:
        # Whoever asks next tries again.
        _log.warning("queue.room_not_read", reason=error.reason)
