"""Works off rows that are due: many at once, none waiting for a slow one, and only as many as allowed.

A provider that takes ten seconds for an answer holds up neither the other payments nor the thread on which messages
are processed: while one call of ``run`` is at work, further calls only make it look once more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

import structlog

from server import tracing
from server.work_metrics import ROWS, ROWS_AT_WORK

Row = TypeVar("Row")

_MOST: Final = 64
_COMPANIONS: Final = 0.005
_STOP_LIMIT: Final = 5.0

_log = structlog.get_logger(__name__)


class Drain(Generic[Row]):
    """Takes rows up and works on each in a task of its own.

    Args:
        take: takes up at most as many due rows as it is told.
        work: brings one row as far as it can be brought now.
        most: rows in work at once.
        pause: after how many seconds more may be taken, where ``take`` gave fewer than are due; None: it gave all.
        kind: what the rows are, for metrics and traces.
    """

    def __init__(
        self,
        take: Callable[[int], Awaitable[Sequence[Row]]],
        work: Callable[[Row], Awaitable[None]],
        *,
        most: int = _MOST,
        pause: Callable[[], float | None] = lambda: None,
        kind: str = "rows",
    ) -> None:
        self._take = take
        self._work = work
        self._most = most
        self._pause = pause
        self._kind = kind
        self._done = ROWS.labels(kind, "done")
        self._failed = ROWS.labels(kind, "failed")
        self._at_work = ROWS_AT_WORK.labels(kind)
        self._later: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = False
        self._again = False
        self._closed = False

    async def run(self) -> None:
        """Take up everything that is due; return when all of it is at least being worked on."""
        self._again = True
        if self._running:
            return
        self._running = True
        try:
            while self._again:
                self._again = False
                await self._take_all()
        finally:
            self._running = False
        self._go_on_later()

    async def finish(self) -> None:
        """Wait until nothing is in work."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Take nothing up any more, and give what is in work a few seconds. The rest is for another worker."""
        self._closed = True
        if self._later is not None:
            self._later.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_LIMIT)
        for task in self._tasks:
            task.cancel()

    def _go_on_later(self) -> None:
        """Take the rest up when it may be; meanwhile nobody waits for it."""
        pause = self._pause()
        if pause is not None and self._later is None:
            self._later = asyncio.create_task(self._run_after(pause))

    async def _run_after(self, pause: float) -> None:
        await asyncio.sleep(pause)
        self._later = None
        try:
            await self.run()
        except Exception:  # noqa: BLE001 - the next look at the schedule finds what is due
            _log.exception("work.failed", kind="the rest")

    async def _take_all(self) -> None:
        while True:
            room = self._most - len(self._tasks)
            if room == 0:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                # What is written down together ends together: let it make room together, too.
                await asyncio.sleep(_COMPANIONS)
                continue
            if self._closed:
                return
            rows = await self._take(room)
            for row in rows:
                task = asyncio.create_task(self._work_on(row))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if len(rows) < room:
                return

    async def _work_on(self, row: Row) -> None:
        with self._at_work.track_inprogress(), tracing.span(f"work on {self._kind}", root=True):
            try:
                await self._work(row)
            except Exception:  # noqa: BLE001 - the other rows have nothing to do with it
                # Its lease runs out, and then it is due again.
                self._failed.inc()
                _log.exception("work.failed", kind=type(row).__name__)
            else:
                self._done.inc()
