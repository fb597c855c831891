"""The seat ledger: the one way to change seats.

Callers are combined (group commit): while one transaction runs, new commands gather, and the next transaction
takes all that wait. The transaction itself is in ``batch``; what commands mean is in ``decide``; here are the
queue, the retries and the delivery of outcomes.

A batch that fails for an unexpected reason is taken apart and its commands are run one by one, so that one poison
command fails alone.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, overload

import psycopg2
import structlog
from sqlalchemy.orm import Session

from server.db.engine import Database, deadline
from server.errors import Aborted, DeadlineExceeded, RowlockError, Unavailable
from server.seats.batch import Batch, BoardOutdatedError, Outcome, RestartError
from server.seats.board import Boards, read_board
from server.seats.booking import Booking
from server.seats.commands import Block, Command, Hold, OnBooking, Unblock
from server.seats.connection import LedgerConnection
from server.seats.hall import Hall
from server.seats.rules import SaleRules, load_rules, rules_version
from server.seats.state import RulesOutdatedError
from server.seats.write import Published

_ATTEMPTS: Final = 12
_RULES_AGE: Final = 1.0
"""Seconds for which names and ids are taken from rules without asking whether they are the newest."""
_RECONNECTS: Final = 2
# serialization failure, deadlock, lock not available, a limit or a request_id that another process used meanwhile
_LOST_RACE: Final = frozenset({"40001", "40P01", "55P03", "23514", "23505"})

log = structlog.get_logger(__name__)


class Ledger:
    """Carries out commands in batches.

    Args:
        database: where the seats are; the ledger keeps connections of its own to it.
        publish: called on the event loop with what each committed batch changed; must not block.
        batch_size: most commands in one transaction.
        batches_in_flight: transactions at once.
        by_performance: limit a batch to one performance (for a sharded database) instead of all that wait.
        queue_limit: commands that may wait; more are refused as OVERLOADED.
        max_hold_time: longest time that a booking may be held, extensions included.
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
        max_hold_time: timedelta = timedelta(minutes=30),
    ) -> None:
        self._publish = publish
        self._batch_size = batch_size
        self._by_performance = by_performance
        self._queue_limit = queue_limit
        self._waiting: deque[_Waiting] = deque()
        self._attempts = _Attempts(database, max_hold_time)
        self._connections = [LedgerConnection(database.engine) for _ in range(batches_in_flight)]
        self._running: set[asyncio.Task[None]] = set()
        self.batches = 0
        self.commands = 0

    @property
    def queue_length(self) -> int:
        """Commands that wait for the next batch."""
        return len(self._waiting)

    @overload
    async def execute(self, command: Hold | OnBooking) -> Booking: ...

    @overload
    async def execute(self, command: Block | Unblock) -> None: ...

    async def execute(self, command: Command) -> Booking | None:
        """Carry out one command, together with whatever else waits.

        Returns:
            The booking as the command left it; None for blocking and unblocking.

        Raises:
            RowlockError: refused, and without effect; but OUTCOME_UNKNOWN if the database went away while it
                committed: ask again with the same request_id.
        """
        if len(self._waiting) >= self._queue_limit:
            raise Unavailable("OVERLOADED", "too many requests wait for seats; try again soon", retry_after=1)
        waiting = _Waiting(command, asyncio.get_running_loop().create_future(), deadline.get())
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
        await asyncio.gather(*self._running)
        for connection in self._connections:
            connection.close()

    def _start_batches(self) -> None:
        while self._connections and self._waiting:
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

    async def _run(self, batch: Sequence["_Waiting"], connection: LedgerConnection) -> None:
        self.batches += 1
        self.commands += len(batch)
        published: list[Published] = []
        try:
            outcomes: Sequence[Outcome | BaseException]
            outcomes, published = await self._attempts.carry_out([one.command for one in batch], connection)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the callers must hear of it
            connection.close()
            outcomes = [error] * len(batch)
        self._connections.append(connection)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.done.done():
                continue
            if isinstance(outcome, BaseException):
                waiting.done.set_exception(outcome)
            else:
                waiting.done.set_result(outcome)
        self._start_batches()
        if published:
            self._publish(published)

    def _take(self) -> list["_Waiting"]:
        """The next batch: in order of arrival, without those whose caller has gone."""
        batch: list[_Waiting] = []
        kept: list[_Waiting] = []
        now = time.monotonic()
        while self._waiting and len(batch) < self._batch_size:
            waiting = self._waiting.popleft()
            if waiting.done.done():
                continue
            if waiting.deadline is not None and waiting.deadline <= now:
                waiting.done.set_exception(DeadlineExceeded("DEADLINE", "the deadline passed while waiting"))
            elif self._by_performance and batch and waiting.command.performance_id != batch[0].command.performance_id:
                kept.append(waiting)
            else:
                batch.append(waiting)
        self._waiting.extendleft(reversed(kept))
        return batch


@dataclass(slots=True)
class _Waiting:
    command: Command
    done: "asyncio.Future[Booking | None]"
    deadline: float | None


class _Attempts:
    """Carries batches out, again where that helps; keeps rules, halls and boards in memory between them."""

    def __init__(self, database: Database, max_hold_time: timedelta) -> None:
        self._rules: dict[int, SaleRules] = {}
        self._checked: dict[int, float] = {}
        self._reading: dict[int, asyncio.Future[SaleRules | None]] = {}
        self._halls: dict[tuple[int, int], Hall] = {}
        self._boards = Boards()
        self._database = database
        self._max_hold_time = max_hold_time

    async def carry_out(
        self, commands: Sequence[Command], connection: LedgerConnection
    ) -> tuple[list[Outcome], list[Published]]:
        """Carry out a batch; outcomes stand in the order of the commands."""
        try:
            return await self._together(commands, connection)
        except (psycopg2.Error, Aborted) as error:
            if len(commands) == 1:
                return [_refusal(error)], []
            log.warning("ledger.batch_taken_apart", commands=len(commands), error=type(error).__name__)
        except Unavailable as error:
            return [error] * len(commands), []
        outcomes: list[Outcome] = []
        published: list[Published] = []
        for command in commands:
            outcome, changes = await self.carry_out([command], connection)
            outcomes += outcome
            published += changes
        return outcomes, published

    async def rules_of(self, performance_id: int, *, fresh: bool = False) -> SaleRules | None:
        """The rules of a performance: those in memory, if their version was the newest a moment ago."""
        known = self._rules.get(performance_id)
        now = time.monotonic()
        if known is not None and not fresh and now - self._checked.get(performance_id, 0.0) < _RULES_AGE:
            return known
        reading = self._reading.get(performance_id)
        if reading is not None and fresh:
            # It may have begun before the change that the caller must see; whatever comes after it has not.
            await asyncio.wait({reading})
            reading = self._reading.get(performance_id)
        if reading is None:
            reading = self._read_on(performance_id)
        return await asyncio.shield(reading)

    def _read_on(self, performance_id: int) -> "asyncio.Future[SaleRules | None]":
        """Begin to read. Thousands may ask for a performance in its first second; one of them reads for all."""
        reading = self._reading[performance_id] = asyncio.get_running_loop().create_task(
            self._read_rules(performance_id, self._rules.get(performance_id)), context=Context()
        )
        reading.add_done_callback(lambda _: self._reading.pop(performance_id, None))
        return reading

    async def _read_rules(self, performance_id: int, known: SaleRules | None) -> SaleRules | None:
        self._checked[performance_id] = time.monotonic()
        rules = await self._database.read(lambda session: self._newest(session, performance_id, known))
        if rules is not None:
            self._rules[performance_id] = rules
        else:
            self._rules.pop(performance_id, None)
            self._checked.pop(performance_id, None)
        return rules

    def _newest(self, session: Session, performance_id: int, known: SaleRules | None) -> SaleRules | None:
        if known is not None and known.version == rules_version(session, performance_id):
            return known
        return load_rules(session, performance_id, self._halls, self._max_hold_time)

    async def _together(
        self, commands: Sequence[Command], connection: LedgerConnection
    ) -> tuple[list[Outcome], list[Published]]:
        batch = Batch(commands, {}, self._boards)
        causes: list[str] = []
        for attempt in range(_ATTEMPTS):
            try:
                await self._prepare(batch)
                return await batch.attempt(connection)
            except RestartError:
                causes.append("more to lock")
            except RulesOutdatedError:
                causes.append("rules changed")
                for performance_id in batch.rules:
                    self._rules.pop(performance_id, None)
                    # It may have another hall by now.
                    self._boards.drop(performance_id)
                batch.rules.clear()
            except BoardOutdatedError:
                causes.append("board outdated")
                batch.run_out.clear()
                for performance_id in _picking(commands):
                    self._boards.drop(performance_id)
                # Another process picks the same best seats: let one of the two be first.
                await asyncio.sleep(random.uniform(0, 0.003 * attempt))
            except psycopg2.Error as error:
                causes.append(error.pgcode or type(error).__name__)
                await _before_next_attempt(error, attempt)
        log.warning("ledger.contended", commands=len(commands), causes=causes)
        raise Aborted("CONTENDED", "too many others reached for the same seats at the same moment; start again")

    async def _prepare(self, batch: Batch) -> None:
        for performance_id in {command.performance_id for command in batch.commands}:
            rules = self._rules.get(performance_id) or await self.rules_of(performance_id)
            if rules is not None:
                batch.rules[performance_id] = rules
        picking = _picking(batch.commands)
        for performance_id in picking:
            if self._boards.get(performance_id) is None and performance_id in batch.rules:
                await self._read_board(performance_id)
        if picking:
            # Choosing among 20,000 places may take milliseconds, which the loop would spend on nobody else.
            await asyncio.to_thread(batch.pick_places)

    async def _read_board(self, performance_id: int) -> None:
        board = await self._database.transaction(lambda session: read_board(session, performance_id))
        if board is not None:
            self._boards.put(performance_id, board)


def _picking(commands: Sequence[Command]) -> set[int]:
    """Performances of which places have to be picked."""
    return {command.performance_id for command in commands if isinstance(command, Hold) and command.wants}


async def _before_next_attempt(error: psycopg2.Error, attempt: int) -> None:
    """Wait a little after a lost race; raise what another attempt would not mend."""
    if error.pgcode in _LOST_RACE:
        await asyncio.sleep(0.002 * attempt)
    elif not _lost_connection(error):
        raise error
    elif attempt >= _RECONNECTS:
        raise Unavailable("DATABASE_UNAVAILABLE", "the database cannot be reached", retry_after=1) from error


def _lost_connection(error: psycopg2.Error) -> bool:
    """Whether the connection failed, rather than the statement: no code at all, or the server is going away."""
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) and (
        error.pgcode is None or error.pgcode.startswith(("08", "25P03", "57P"))
    )


def _refusal(error: psycopg2.Error | Aborted) -> RowlockError:
    if isinstance(error, Aborted):
        return error
    log.error("ledger.command_failed", sqlstate=error.pgcode, error=str(error).splitlines()[0] if str(error) else "")
    return RowlockError("INTERNAL", "the command could not be carried out")
