"""The ledger's own connections: psycopg2 in its asynchronous mode, driven by the event loop.

A thread would have to win the interpreter's lock back after each statement, from a loop that is busy with calls; that
was a quarter of the cost of a hold. They are not taken from the shared pool, so that a flood of other requests
cannot keep a batch waiting. A batch says BEGIN and COMMIT itself.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import psycopg2
from psycopg2 import extensions as pg
from sqlalchemy import Engine

from server.db.limits import ConnectionLimits

_LIMITS: Final = ConnectionLimits(
    {
        # Nobody may hold a seat's row for long: not a process that was stopped, not one behind a dead link.
        "lock_timeout": "1s",
        "statement_timeout": "10s",
        "idle_in_transaction_session_timeout": "5s",
        "jit": "off",
        # A batch joins a few hundred keys with tables of millions: always by their indexes.
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
    }
)
_PATIENCE: Final = 12.0
"""Seconds for one statement; PostgreSQL gives up before, so whoever waits longer has lost the connection."""

_CONNECT_PATIENCE: Final = 5.0


class LedgerConnection:
    """One connection. Only one batch uses it at a time.

    Args:
        engine: whose address and credentials to use.

    Attributes:
        begin: what begins a transaction, to be sent together with its first statement.
    """

    def __init__(self, engine: Engine) -> None:
        _, self._arguments = engine.dialect.create_connect_args(engine.url)
        self._raw: pg.connection | None = None
        self._cursor: pg.cursor | None = None
        self.begin = "BEGIN;"

    async def open(self) -> None:
        """Connect, unless the connection stands. Nothing else does: a batch must not go on over another connection.

        Raises:
            psycopg2.OperationalError: PostgreSQL cannot be reached.
        """
        if self._raw is None or self._raw.closed:
            await self._connect()

    async def execute(self, statements: str, values: Sequence[object] = ()) -> None:
        """Run statements, separated by semicolons, in one round trip.

        Raises:
            psycopg2.Error: PostgreSQL refused them, or the connection was lost.
        """
        if self._raw is None or self._cursor is None or self._raw.closed:
            raise psycopg2.InterfaceError("the connection is closed")
        try:
            self._cursor.execute(statements, values)
            async with asyncio.timeout(_PATIENCE):
                await _finished(self._raw)
        except TimeoutError:
            self.close()
            raise psycopg2.OperationalError("the database did not answer") from None
        except asyncio.CancelledError:
            self.close()
            raise

    async def fetch(self, statements: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Like ``execute``; returns the rows of the last statement."""
        await self.execute(statements, values)
        assert self._cursor is not None  # noqa: S101 - just used
        return self._cursor.fetchall()

    async def rollback(self) -> None:
        """End the transaction without effect; a connection that cannot do that is closed, which is the same."""
        if self._raw is None or self._raw.closed:
            return
        try:
            await self.execute("ROLLBACK")
        except psycopg2.Error:
            self.close()

    def close(self) -> None:
        """Close the connection; PostgreSQL rolls back what was not committed."""
        if self._raw is not None:
            with suppress(psycopg2.Error):
                self._raw.close()
        self._raw = self._cursor = None

    async def _connect(self) -> None:
        raw: pg.connection = psycopg2.connect(
            **self._arguments,
            async_=1,
            application_name="rowlock-ledger",
            tcp_user_timeout=10_000,
            options=_LIMITS.options,
        )
        try:
            async with asyncio.timeout(_CONNECT_PATIENCE):
                await _finished(raw)
        except TimeoutError:
            raw.close()
            raise psycopg2.OperationalError("the database did not answer") from None
        self._raw, self._cursor = raw, raw.cursor()
        (answer,) = await self.fetch(_LIMITS.question)
        self.begin = "BEGIN;" if _LIMITS.hold(answer) else f"BEGIN;{_LIMITS.statements}"


async def _finished(connection: pg.connection) -> None:
    """Wait until the connection has sent what it had to send and read the answer."""
    loop = asyncio.get_running_loop()
    while (state := connection.poll()) != pg.POLL_OK:
        descriptor = connection.fileno()
        ready: asyncio.Future[None] = loop.create_future()
        if state == pg.POLL_READ:
            loop.add_reader(descriptor, _resolve, ready)
            forget: Callable[[int], object] = loop.remove_reader
        else:
            loop.add_writer(descriptor, _resolve, ready)
            forget = loop.remove_writer
        try:
            await ready
        finally:
            forget(descriptor)


def _resolve(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
