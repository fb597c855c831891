"""The ledger's own connections: one for each of its threads, replaced when lost.

They are not taken from the shared pool, so that a flood of other requests cannot keep a batch waiting, and they
run in autocommit mode, because a batch says BEGIN and COMMIT itself.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg2
from psycopg2 import extensions as pg
from sqlalchemy import Engine

_OPTIONS: Final = (
    # Nobody may hold a seat's row for long: not a process that was stopped, not one behind a dead link.
    "-c lock_timeout=4s -c statement_timeout=10s -c idle_in_transaction_session_timeout=5s -c jit=off"
    # A batch joins a few hundred keys with tables of millions: always by their indexes.
    " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
)


class LedgerConnections:
    """Hands each thread its connection, opening it when needed.

    Args:
        engine: whose address and credentials to use.
    """

    def __init__(self, engine: Engine) -> None:
        _, arguments = engine.dialect.create_connect_args(engine.url)
        self._arguments = arguments
        self._mine = threading.local()
        self._open: set[pg.connection] = set()
        self._lock = threading.Lock()

    @contextmanager
    def use(self) -> Iterator[pg.connection]:
        """The calling thread's connection. It is closed after a failure that left it in doubt.

        Raises:
            psycopg2.OperationalError: PostgreSQL cannot be reached.
        """
        connection: pg.connection | None = getattr(self._mine, "connection", None)
        if connection is None or connection.closed:
            connection = self._connect()
        try:
            yield connection
        finally:
            if connection.closed or connection.info.transaction_status != pg.TRANSACTION_STATUS_IDLE:
                self._discard(connection)

    def close(self) -> None:
        """Close all connections; no thread may be using one."""
        for connection in list(self._open):
            self._discard(connection)

    def _connect(self) -> pg.connection:
        connection: pg.connection = psycopg2.connect(
            **self._arguments,
            application_name="rowlock-ledger",
            connect_timeout=5,
            tcp_user_timeout=10_000,
            options=_OPTIONS,
        )
        connection.autocommit = True
        self._mine.connection = connection
        with self._lock:
            self._open.add(connection)
        return connection

    def _discard(self, connection: pg.connection) -> None:
        with self._lock:
            self._open.discard(connection)
        with suppress(psycopg2.Error):
            connection.close()
