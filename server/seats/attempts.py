"""Carries batches out, and again where that helps; keeps rules, halls and boards in memory between them.

A batch that fails for a reason of its own is taken apart and its commands are run one by one, so that one poison
command fails alone.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import Context
from datetime import timedelta
from typing import Final

import psycopg2
import structlog
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.errors import Aborted, RowlockError, Unavailable
from server.seats.batch import Batch, BoardOutdatedError, Outcome, RestartError
from server.seats.board import Boards, read_board
from server.seats.commands import Command, Hold
from server.seats.connection import LedgerConnection
from server.seats.halls import Halls
from server.seats.ledger_metrics import BOARD_OUTDATED, MORE_TO_LOCK, RULES_CHANGED, LedgerCounts
from server.seats.rules import SaleRules, load_rules, rules_version
from server.seats.state import RulesOutdatedError
from server.seats.write import Published

_ATTEMPTS: Final = 12
_RULES_AGE: Final = 1.0
"""Seconds for which names and ids are taken from rules without asking whether they are the newest."""
_RECONNECTS: Final = 2
# serialization failure, deadlock, a limit or a request_id that another process used meanwhile
_LOST_RACE: Final = frozenset({"40001", "40P01", "23514", "23505"})
_LOCKED: Final = "55P03"
_MOST_STUCK: Final = 5
"""Commands of one performance that may meet a locked row before its other commands are sent away."""

_UNFIT: Final = ("25006", "53")
"""What PostgreSQL says when it takes no writes: it is a replica now, or its disk or memory is full."""

_RULES_KEPT: Final = 1024

log = structlog.get_logger(__name__)


class Attempts:
    """What a ledger gives its batches to.

    Args:
        database: where rules and boards are read.
        max_hold_time: longest time that a booking may be held, extensions included.
        halls: where halls come from.
        counts: told what had to be done again.
    """

    def __init__(self, database: Database, max_hold_time: timedelta, halls: Halls, counts: LedgerCounts) -> None:
        self._rules: dict[int, tuple[SaleRules, float]] = {}
        """The rules, and when they were last compared with the database; the least recently compared first."""
        self._reading: dict[int, asyncio.Future[SaleRules | None]] = {}
        self._halls = halls
        self._boards = Boards()
        self._database = database
        self._max_hold_time = max_hold_time
        self._counts = counts

    async def carry_out(
        self, commands: Sequence[Command], connection: LedgerConnection, is_awaited: Callable[[int], bool]
    ) -> tuple[list[Outcome], list[Published]]:
        """Carry out a batch; outcomes stand in the order of the commands.

        Args:
            commands: in the order of arrival.
            connection: used by nobody else meanwhile.
            is_awaited: whether somebody still waits for the command of this number.
        """
        try:
            return await self._together(commands, connection)
        except Unavailable as error:
            return [error] * len(commands), []
        except Exception as error:
            if len(commands) == 1:
                return [_refusal(error)], []
            self._counts.taken_apart += 1
            log.warning("ledger.batch_taken_apart", commands=len(commands), exc_info=error)
        return await self._one_by_one(commands, connection, is_awaited)

    async def _one_by_one(
        self, commands: Sequence[Command], connection: LedgerConnection, is_awaited: Callable[[int], bool]
    ) -> tuple[list[Outcome], list[Published]]:
        """Carry out each command alone, and hardly wait for locks: all performances wait for this to end."""
        outcomes: list[Outcome] = []
        published: list[Published] = []
        stuck: Counter[int] = Counter()
        for number, command in enumerate(commands):
            if not is_awaited(number) or stuck[command.performance_id] >= _MOST_STUCK:
                outcomes.append(_contended())
                continue
            try:
                (outcome,), changes = await self._together([command], connection, patient=False)
            except Unavailable as error:
                # The database went away. It would say so to each of the others, too, after a while.
                return outcomes + [error] * (len(commands) - number), published
            except Exception as error:  # noqa: BLE001 - told to its caller
                outcome, changes = _refusal(error), []
                if isinstance(error, psycopg2.Error) and error.pgcode == _LOCKED:
                    stuck[command.performance_id] += 1
            outcomes.append(outcome)
            published += changes
        return outcomes, published

    async def rules_of(self, performance_id: int, *, fresh: bool = False) -> SaleRules | None:
        """The rules of a performance: those in memory, if their version was the newest a moment ago."""
        known = self._rules.get(performance_id)
        if known is not None and not fresh and time.monotonic() - known[1] < _RULES_AGE:
            return known[0]
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
            self._read_rules(performance_id), context=Context()
        )
        reading.add_done_callback(lambda _: self._reading.pop(performance_id, None))
        return reading

    async def _read_rules(self, performance_id: int) -> SaleRules | None:
        known = self._known(performance_id)
        if known is not None:
            self._keep(known)
        rules = await self._database.read(lambda session: self._newest(session, performance_id, known))
        if rules is None:
            self._rules.pop(performance_id, None)
        else:
            self._keep(rules)
        return rules

    def _known(self, performance_id: int) -> SaleRules | None:
        """The rules in memory, however old: a batch finds out by itself whether they are the newest."""
        known = self._rules.get(performance_id)
        return None if known is None else known[0]

    def _keep(self, rules: SaleRules) -> None:
        self._rules.pop(rules.performance_id, None)
        self._rules[rules.performance_id] = rules, time.monotonic()
        while len(self._rules) > _RULES_KEPT:
            del self._rules[next(iter(self._rules))]

    def _newest(self, session: Session, performance_id: int, known: SaleRules | None) -> SaleRules | None:
        if known is not None and known.version == rules_version(session, performance_id):
            return known
        return load_rules(session, performance_id, self._halls, self._max_hold_time)

    async def _together(
        self, commands: Sequence[Command], connection: LedgerConnection, *, patient: bool = True
    ) -> tuple[list[Outcome], list[Published]]:
        batch = Batch(commands, {}, self._boards, patient)
        causes: list[str] = []
        for attempt in range(_ATTEMPTS):
            try:
                await self._prepare(batch)
                return await batch.attempt(connection)
            except RestartError:
                causes.append(MORE_TO_LOCK)
            except RulesOutdatedError:
                causes.append(RULES_CHANGED)
                for performance_id in batch.rules:
                    self._rules.pop(performance_id, None)
                    # It may have another hall by now.
                    self._boards.drop(performance_id)
                batch.rules.clear()
            except BoardOutdatedError:
                causes.append(BOARD_OUTDATED)
                batch.run_out.clear()
                for performance_id in _picking(commands):
                    self._boards.drop(performance_id)
                # Another process picks the same best seats: let one of the two be first.
                await asyncio.sleep(random.uniform(0, 0.003 * attempt))
            except psycopg2.Error as error:
                causes.append(error.pgcode or type(error).__name__)
                if error.pgcode is not None and error.pgcode.startswith(_UNFIT):
                    connection.close()
                await _before_next_attempt(error, attempt)
            self._counts.repeat(causes[-1])
        self._counts.contended += 1
        log.warning("ledger.contended", commands=len(commands), causes=causes)
        raise _contended()

    async def _prepare(self, batch: Batch) -> None:
        for performance_id in {command.performance_id for command in batch.commands}:
            rules = self._known(performance_id) or await self.rules_of(performance_id)
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
    code = error.pgcode
    if code in _LOST_RACE:
        await asyncio.sleep(0.002 * attempt)
    elif code is not None and code.startswith(_UNFIT):
        raise _unreachable() from error
    elif not _lost_connection(error):
        raise error
    elif attempt >= _RECONNECTS:
        raise _unreachable() from error


def _lost_connection(error: psycopg2.Error) -> bool:
    """Whether the connection failed, rather than the statement: no code at all, or the server is going away."""
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) and (
        error.pgcode is None or error.pgcode.startswith(("08", "57P"))
    )


def _unreachable() -> Unavailable:
    return Unavailable("DATABASE_UNAVAILABLE", "the database cannot be reached, or takes no writes", retry_after=1)


def _contended() -> Aborted:
    return Aborted("CONTENDED", "too many others reached for the same seats at the same moment; start again")


def _refusal(error: Exception) -> RowlockError:
    if isinstance(error, RowlockError):
        return error
    if isinstance(error, psycopg2.Error) and error.pgcode == _LOCKED:
        return _contended()
    log.error("ledger.command_failed", exc_info=error)
    return RowlockError("INTERNAL", "the command could not be carried out")
