"""The connection pool and the one function that commits.

Domain functions are synchronous and take a ``Session``; ``Database.transaction`` runs them on a bounded executor,
so that psycopg2 never blocks the event loop, commits once, and repeats them when PostgreSQL asks for it
(a serialization failure or a deadlock). So a domain function may run several times and must have no effect
outside its session.

What PostgreSQL refuses for reasons that are not the caller's is told as what the caller can do about it: come back
(Unavailable), start the step again (Aborted), or ask whether it happened (OUTCOME_UNKNOWN).
"""

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Final, TypeVar

from psycopg2 import extensions as pg
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from server.db.limits import ConnectionLimits
from server.errors import Aborted, DeadlineExceeded, RowlockError, Unavailable

T = TypeVar("T")

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""When the current call must have ended, by ``time.monotonic()``; passed to PostgreSQL as statement_timeout."""

_REPEATABLE: Final = frozenset({"40001", "40P01"})
_CANCELLED_BY_TIMEOUT: Final = "57014"
_LOCK_NOT_AVAILABLE: Final = "55P03"
_READ_ONLY: Final = "25006"
_NO_RESOURCES: Final = "53"
"""Class of codes: disk full, too many connections, out of memory."""
_CONNECTION_ENDED: Final = ("08", "57P", "25P03")
"""Beginnings of codes with which a connection ends: the link failed, the server goes, the session idled too long."""
_CONNECT_LIMIT: Final = 5
"""Seconds to wait for a new connection."""
_ATTEMPTS: Final = 5
_LIMITS: Final = ConnectionLimits(
    # No row stays locked behind a process that was stopped or a link that went dead.
    {"jit": "off", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "10s"}
)
_READ_ONLY_SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;"
_OVERFLOW: Final = 2
"""Connections beyond those of the threads: for who uses the engine directly."""


@dataclass(frozen=True, slots=True)
class PoolUse:
    """How busy a pool is: connections in use, how many there may be, and calls that wait for a thread."""

    in_use: int
    most: int
    waiting: int


class Database:
    """A pool of connections to one PostgreSQL and the threads that use them.

    Args:
        url: an SQLAlchemy URL; ``postgresql://`` and ``postgres://`` are read as ``postgresql+psycopg2://``.
        threads: how many transactions may run at once; also the size of the pool.
        pool_wait: seconds to wait for a connection before the caller is told to come back.
    """

    def __init__(self, url: str, *, threads: int = 16, pool_wait: float = 5.0) -> None:
        self.url = driver_url(url)
        self.engine: Engine = create_engine(
            self.url,
            pool_size=threads,
            max_overflow=_OVERFLOW,
            pool_timeout=pool_wait,
            pool_pre_ping=True,
            pool_use_lifo=True,
            connect_args={
                "application_name": "rowlock",
                "connect_timeout": _CONNECT_LIMIT,
                "tcp_user_timeout": 10_000,
                "options": _LIMITS.options,
            },
        )
        # None: no connection was made yet, so nobody knows.
        self._says_limits: bool | None = None
        event.listen(self.engine, "connect", self._ask_for_limits)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="db")
        self._threads = threads
        self._calls = 0

    async def transaction(self, fn: Callable[[Session], T]) -> T:
        """Run ``fn`` in a transaction on the executor, commit, and return its result.

        Raises:
            Unavailable: DATABASE_UNAVAILABLE or OVERLOADED (PostgreSQL cannot be reached, is no longer the one that
                may be written, has no room or no connection to give), without effect; or OUTCOME_UNKNOWN, the
                connection was lost during the commit.
            Aborted: CONTENDED, somebody else held a row for too long.
            DeadlineExceeded: the caller's deadline passed first; nothing was committed.
        """
        return await self._on_executor(lambda: self.run_transaction(fn))

    async def read(self, fn: Callable[[Session], T]) -> T:
        """Like ``transaction`` for work that only reads: it sees one snapshot and cannot write."""
        return await self._on_executor(lambda: self._attempt(fn, read_only=True))

    def use(self) -> PoolUse:
        """How busy the pool is at this moment; may be asked from any thread."""
        pool = self.engine.pool
        in_use = pool.checkedout() if isinstance(pool, QueuePool) else 0
        return PoolUse(in_use, self._threads + _OVERFLOW, max(0, self._calls - self._threads))

    def run_transaction(self, fn: Callable[[Session], T]) -> T:
        """The synchronous form of ``transaction``, for commands and tests."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._attempt(fn, read_only=False)
            except DBAPIError as error:
                if sqlstate(error) not in _REPEATABLE or attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Wait for running transactions and close every connection."""
        self._executor.shutdown(wait=True)
        self.engine.dispose()

    async def _on_executor(self, work: Callable[[], T]) -> T:
        context = copy_context()
        self._calls += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: context.run(work))
        finally:
            self._calls -= 1

    def _attempt(self, fn: Callable[[Session], T], *, read_only: bool) -> T:
        committing = False
        try:
            with Session(self.engine, expire_on_commit=False) as session:
                try:
                    self._begin(session, read_only=read_only)
                    result = fn(session)
                    session.flush()
                    committing = not read_only
                    session.commit()
                except DBAPIError as error:
                    self._drop_useless(session, error, read_only=read_only)
                    raise
                return result
        except PoolTimeout as error:
            raise Unavailable("OVERLOADED", "every database connection is busy", retry_after=1) from error
        except DBAPIError as error:
            refusal = _refusal(error, committing=committing, read_only=read_only)
            if refusal is None:
                raise
            raise refusal from error

    def _begin(self, session: Session, *, read_only: bool) -> None:
        """Say what holds for the whole transaction, all of it in one round trip; or nothing, if nothing is to be said.

        Raises:
            DeadlineExceeded: the caller's deadline has passed.
        """
        beginning = (_READ_ONLY_SNAPSHOT if read_only else "") + _limit_by_deadline()
        if self._says_limits is None:
            session.connection()  # which asks
        if self._says_limits:
            beginning += _LIMITS.statements
        if beginning:
            session.execute(text(beginning))

    def _ask_for_limits(self, connection: pg.connection, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_LIMITS.question)
            self._says_limits = not _LIMITS.hold(cursor.fetchone() or ())
        connection.rollback()

    def _drop_useless(self, session: Session, error: DBAPIError, *, read_only: bool) -> None:
        """Close connections that will not serve the next transaction either."""
        code = sqlstate(error) or ""
        if code.startswith(_NO_RESOURCES):
            session.invalidate()
        elif code == _READ_ONLY and not read_only:
            # This server was demoted while we were connected, all of us: the next connections find its successor.
            session.invalidate()
            self.engine.dispose()


def _limit_by_deadline() -> str:
    """What lets PostgreSQL cancel this transaction's statements when the caller's deadline passes.

    The time that is left now is given to each statement. To give each only what is left at its own beginning would
    cost a round trip a statement; so a transaction of several slow ones may overrun the deadline, in the worst case
    by as much again for each of them. The caller has been told by then: the call ended at its deadline.

    Raises:
        DeadlineExceeded: it has passed.
    """
    end = deadline.get()
    if end is None:
        return ""
    left = end - time.monotonic()
    if left <= 0:
        raise DeadlineExceeded("DEADLINE", "the deadline passed before the work began")
    return f"SET LOCAL statement_timeout = {max(1, int(left * 1000))};"


def sqlstate(error: DBAPIError) -> str | None:
    """PostgreSQL's five-character code of a failed statement, or None where the connection itself failed."""
    return getattr(error.orig, "pgcode", None)


def _refusal(error: DBAPIError, *, committing: bool, read_only: bool) -> RowlockError | None:
    """What to tell the caller; None: it is to be repeated, or a fault of ours."""
    code = sqlstate(error) or ""
    if code in _REPEATABLE:
        return None
    if code == _CANCELLED_BY_TIMEOUT and deadline.get() is not None:
        return DeadlineExceeded("DEADLINE", "the deadline passed while the database worked")
    if code == _LOCK_NOT_AVAILABLE:
        return Aborted("CONTENDED", "others hold what this needs; start again")
    if committing and _lost_connection(error):
        return Unavailable(
            "OUTCOME_UNKNOWN", "the database went away during the commit; ask again with the same request_id"
        )
    if isinstance(error, OperationalError) or _lost_connection(error) or (code == _READ_ONLY and not read_only):
        return Unavailable("DATABASE_UNAVAILABLE", "the database cannot serve this now", retry_after=1)
    return None


def _lost_connection(error: DBAPIError) -> bool:
    """Whether the connection failed, rather than the statement."""
    if error.connection_invalidated:
        return True
    code = sqlstate(error)
    if code is None:
        return isinstance(error, OperationalError | InterfaceError)
    return code.startswith(_CONNECTION_ENDED)


def driver_url(url: str) -> str:
    """Name the driver in full: SQLAlchemy 2.1 would take a bare ``postgresql://`` for psycopg 3."""
    for bare in ("postgresql://", "postgres://"):
        if url.startswith(bare):
            return "postgresql+psycopg2://" + url.removeprefix(bare)
    return url
