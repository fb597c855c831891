"""Tasks that run beside the calls for as long as the process serves.

None of them ends by itself. One that fails would leave a process that looks well and is not (a feed that stands
still, a health that is never looked at), so the process then drains and ends, and whoever started it starts it
again.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

_log = structlog.get_logger()

_TURN: Final = 0.2
_PATIENCE: Final = 5.0
"""Seconds after which a task that does not end is left behind: the process is ending anyway."""


class Background:
    """The tasks of one process.

    Attributes:
        failed: set when a task has failed.
    """

    def __init__(self) -> None:
        self.failed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Run ``work`` until ``stop``."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """End every task.

        Each is cancelled until it ends: ``asyncio.wait_for`` of Python 3.11, through which redis-py writes, loses a
        cancellation that comes in the turn in which the write is done.
        """
        patience = _PATIENCE
        while (running := [task for task in self._tasks if not task.done()]) and patience > 0:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=_TURN)
            patience -= _TURN
        for task in running:
            _log.error("background_task_does_not_end", task=task.get_name())

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            return
        _log.error("background_task_failed", task=task.get_name(), exc_info=task.exception())
        self.failed.set()
