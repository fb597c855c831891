"""Joins are combined, as the seat ledger combines holds: while one transaction runs, the next customers gather.

The room's row is locked once for all of them, and committing to disk is paid for once.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Final

import structlog

from server.db.engine import Database
from server.domain.waiting_room_answers import Join, Joined, Outcome
from server.domain.waiting_room_joining import join_all
from server.errors import RowlockError, Unavailable

_MOST: Final = 500
_QUEUE_LIMIT: Final = 20_000
_CROWD: Final = 8
_GATHER: Final = 0.005
"""Seconds for which the next batch gathers after one of more than a few: the others are on their way."""


_log = structlog.get_logger(__name__)


class Joiner:
    """Puts the customers of one process in line.

    Args:
        database: where lines are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[_Waiting] = deque()
        self._running: asyncio.Task[None] | None = None

    async def join(self, join: Join) -> Joined:
        """Put a customer in line, together with whoever else comes now.

        Raises:
            RowlockError: refused, and without effect; but OUTCOME_UNKNOWN if the database went away while it
                committed: whoever joins again has one place.
        """
        if len(self._waiting) >= _QUEUE_LIMIT:
            raise Unavailable("OVERLOADED", "too many join at this moment; try again soon", retry_after=1)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(join, loop.create_future())
        self._waiting.append(waiting)
        if self._running is None:
            # In a context of its own: a batch serves many callers, and must not inherit the deadline of one.
            self._running = loop.create_task(self._run(), context=Context())
        return await waiting.done

    async def close(self) -> None:
        """Let what is under way end."""
        if self._running is not None:
            await asyncio.wait({self._running})

    async def _run(self) -> None:
        try:
            while batch := self._take():
                await self._carry_out(batch)
                if len(batch) > _CROWD:
                    await asyncio.sleep(_GATHER)
        finally:
            self._running = None

    def _take(self) -> list["_Waiting"]:
        """The next batch, without those whose caller has gone."""
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < _MOST:
            waiting = self._waiting.popleft()
            if not waiting.done.done():
                batch.append(waiting)
        return batch

    async def _carry_out(self, batch: list["_Waiting"]) -> None:
        outcomes: list[Outcome | Exception]
        try:
            outcomes = list(await self._together([waiting.join for waiting in batch]))
        except RowlockError as error:
            outcomes = [error] * len(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear of it
            _log.warning("queue.batch_taken_apart", joins=len(batch), exc_info=error)
            # Whoever brought it about fails alone.
            outcomes = [await self._alone(waiting.join) for waiting in batch]
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.done.done():
                continue
            if isinstance(outcome, Exception):
                waiting.done.set_exception(outcome)
            else:
                waiting.done.set_result(outcome)

    async def _together(self, joins: Sequence[Join]) -> Sequence[Outcome]:
        return await self._database.transaction(lambda session: join_all(session, joins))

    async def _alone(self, join: Join) -> Outcome | Exception:
        try:
            return (await self._together([join]))[0]
        except Exception as error:  # noqa: BLE001 - told to its caller
            return error


@dataclass(slots=True)
class _Waiting:
    join: Join
    done: "asyncio.Future[Joined]"
