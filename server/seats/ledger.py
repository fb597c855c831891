"""The seat ledger: the one way to change seats.

Callers are combined (group commit): while one transaction runs, new commands gather, and the next transaction
takes all that wait. The transaction itself is in ``batch``; what commands mean is in ``decide``; what happens when it
fails is in ``attempts``; here are the queue and the delivery of outcomes.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, overload

from server.db.engine import Database, deadline
from server.errors import DeadlineExceeded, Unavailable
from server.seats.attempts import Attempts
from server.seats.batch import Outcome
from server.seats.booking import Booking
from server.seats.commands import Block, Command, Hold, OnBooking, Release, Unblock
from server.seats.connection import LedgerConnection
from server.seats.halls import Halls
from server.seats.ledger_metrics import LedgerCounts
from server.seats.rules import SaleRules
from server.seats.write import Published

_CROWD: Final = 8
"""A batch of more commands than these is taken for a sign that others are about to arrive."""


class Ledger:
    """Carries out commands in batches.

    Args:
        database: where the seats are; the ledger keeps connections of its own to it.
        publish: called on the event loop with what each committed batch changed; must not block.
        batch_size: most commands in one transaction.
        batches_in_flight: transactions at once.
        by_performance: limit a batch to one performance (for a sharded database) instead of all that wait.
        queue_limit: commands that may wait; more are refused as OVERLOADED.
        gather_time: how long a batch waits for more commands if the one before it had many: in a crowd the next
            callers are on their way, and ten small transactions cost far more than a large one.
        max_hold_time: longest time that a booking may be held, extensions included.
        halls: those that the process has in memory; some of its own if it has none.
    """

    def __init__(
        self,
        database: Database,
        publish: Callable[[Sequence[Published]], None],
        *,
        batch_size: int = 128,
        batches_in_flight: int = 1,
        by_performance: bool = False,
        queue_limit: int = 10_000,
        gather_time: timedelta = timedelta(0),
        max_hold_time: timedelta = timedelta(minutes=30),
        halls: Halls | None = None,
    ) -> None:
        self._publish = publish
        self._gather_time = gather_time.total_seconds()
        self._gathering: asyncio.TimerHandle | None = None
        self._batch_size = batch_size
        self._by_performance = by_performance
        self._queue_limit = queue_limit
        self._waiting: deque[Waiting] = deque()
        self.counts = LedgerCounts()
        self._attempts = Attempts(database, max_hold_time, halls or Halls(), self.counts)
        self._connections = [LedgerConnection(database.engine) for _ in range(batches_in_flight)]
        self._running: set[asyncio.Task[None]] = set()
        self.batches = 0
        self.commands = 0

    @property
    def queue_limit(self) -> int:
        """Commands that may wait."""
        return self._queue_limit

    @property
    def queue_length(self) -> int:
        """Commands that wait for the next batch."""
        return len(self._waiting)

    @overload
    async def execute(self, command: Hold | OnBooking) -> Booking: ...

    @overload
    async def execute(self, command: Block | Unblock | Release) -> None: ...

    async def execute(self, command: Command) -> Booking | None:
        """Carry out one command, together with whatever else waits.

        Returns:
            The booking as the command left it; None where no booking is named.

        Raises:
            RowlockError: refused, and without effect; but OUTCOME_UNKNOWN if the database went away while it
                committed: ask again with the same request_id.
        """
        if len(self._waiting) >= self._queue_limit:
            self.counts.refused += 1
            raise Unavailable("OVERLOADED", "too many requests wait for seats; try again soon", retry_after=1)
        waiting = Waiting(command, asyncio.get_running_loop().create_future(), deadline.get())
        self._waiting.append(waiting)
        self._start_batches()
        return await waiting.done

    async def rules(self, performance_id: int, *, fresh: bool = False) -> SaleRules | None:
        """The sale rules of a performance; for names and ids, never to decide.

        Args:
            performance_id: the performance.
            fresh: whether they must be the newest; otherwise they may be those of about a second ago.
        """
        return await self._attempts.rules_of(performance_id, fresh=fresh)

    async def close(self) -> None:
        """Finish the batches that run and close the connections. Commands still waiting are refused."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done.done():
                waiting.done.set_exception(Unavailable("DRAINING", "this server is stopping", retry_after=1))
        if self._gathering is not None:
            self._gathering.cancel()
        await asyncio.gather(*self._running)
        for connection in self._connections:
            connection.close()

    def _start_batches(self) -> None:
        while self._connections and self._waiting and self._gathering is None:
            batch = self._take()
            if not batch:
                return
            # In a context of its own: a batch serves many callers, and must not inherit the deadline of the one whose
            # command began it, nor hand that on to the batches that follow.
            running = asyncio.get_running_loop().create_task(
                self._run(batch, self._connections.pop()), context=Context()
            )
            self._running.add(running)
            running.add_done_callback(self._running.discard)

    async def _run(self, batch: Sequence["Waiting"], connection: LedgerConnection) -> None:
        self.batches += 1
        self.commands += len(batch)
        began = self.counts.begin(one.arrival for one in batch)
        published: list[Published] = []
        try:
            outcomes: Sequence[Outcome | BaseException]
            outcomes, published = await self._attempts.carry_out(
                [one.command for one in batch], connection, lambda number: batch[number].is_awaited()
            )
        except BaseException as error:  # noqa: BLE001 - whatever it is, the callers must hear of it
            connection.close()
            outcomes = [error] * len(batch)
        self.counts.end(began)
        self._connections.append(connection)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.done.done():
                continue
            if isinstance(outcome, BaseException):
                waiting.done.set_exception(outcome)
            else:
                waiting.done.set_result(outcome)
        if len(batch) > _CROWD and self._gather_time:
            if self._gathering is None:
                self._gathering = asyncio.get_running_loop().call_later(self._gather_time, self._gathered)
        else:
            self._start_batches()
        if published:
            # Last: whatever comes of it, nobody waits for it.
            self._publish(published)

    def _gathered(self) -> None:
        self._gathering = None
        self._start_batches()

    def _take(self) -> list["Waiting"]:
        """The next batch: in order of arrival, without those whose caller has gone."""
        batch: list[Waiting] = []
        kept: list[Waiting] = []
        while self._waiting and len(batch) < self._batch_size:
            waiting = self._waiting.popleft()
            if not waiting.is_awaited():
                continue
            if self._by_performance and batch and waiting.command.performance_id != batch[0].command.performance_id:
                kept.append(waiting)
            else:
                batch.append(waiting)
        self._waiting.extendleft(reversed(kept))
        return batch


@dataclass(slots=True)
class Waiting:
    """A command, who waits for it, until when, and since when (``time.perf_counter``)."""

    command: Command
    done: "asyncio.Future[Booking | None]"
    deadline: float | None
    arrival: float = field(default_factory=time.perf_counter)

    def is_awaited(self) -> bool:
        """Whether the caller still waits; one whose deadline has passed is told so."""
        if not self.done.done() and self.deadline is not None and self.deadline <= time.monotonic():
            self.done.set_exception(DeadlineExceeded("DEADLINE", "the deadline passed while waiting"))
        return not self.done.done()
