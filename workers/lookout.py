"""Does the scheduler's part while no messages come: Redis is away, or no scheduler runs.

A worker that has not been told for a while to look at the schedule looks by itself. So Redis decides how soon work is
done, and never whether.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from server.config import Settings
from workers.work import Work

_PATIENCE: Final = 3.0
"""How many intervals to wait for a message."""
_SHORTEST_WAIT: Final = 1.0


class Lookout:
    """Runs work that nobody asked for in time.

    Args:
        settings: have the intervals.
        run: does one kind of work and does not raise.
    """

    def __init__(self, settings: Settings, run: Callable[[Work], Awaitable[None]]) -> None:
        self._settings = settings
        self._run = run
        self._last: dict[str, float] = {}
        self._at_work: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, works: Sequence[Work]) -> None:
        """Watch over these kinds of work from now on."""
        self._tasks = [asyncio.create_task(self._watch_over(work), name=f"lookout {work.actor}") for work in works]

    async def stop(self) -> None:
        """Watch no longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextmanager
    def doing(self, work: Work) -> Iterator[None]:
        """The work is done in this block, whoever asked for it. Meanwhile, and for a while afterwards, nobody need."""
        self._at_work[work.actor] += 1
        try:
            yield
        finally:
            self._at_work[work.actor] -= 1
            self._last[work.actor] = time.monotonic()

    async def _watch_over(self, work: Work) -> None:
        patience = max(work.interval(self._settings).total_seconds() * _PATIENCE, _SHORTEST_WAIT)
        self._last.setdefault(work.actor, time.monotonic())
        while True:
            waited = time.monotonic() - self._last[work.actor]
            if self._at_work[work.actor]:
                await asyncio.sleep(patience)
            elif waited < patience:
                await asyncio.sleep(patience - waited)
            else:
                await self._run(work)
