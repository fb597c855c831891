"""What callers are told when PostgreSQL refuses or goes away, and that the next transaction works."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from server.db.engine import Database, deadline
from server.errors import Aborted, DeadlineExceeded, RowlockError, Unavailable


def says(*statements: str) -> Callable[[Session], Any]:
    """Work that says these statements and returns the last one's value."""

    def work(session: Session) -> Any:
        for statement in statements[:-1]:
            session.execute(text(statement))
        result = session.execute(text(statements[-1]))
        return result.scalar() if result.returns_rows else None  # type: ignore[attr-defined]

    return work


@pytest.fixture
def shelf(fresh_database: Database) -> Database:
    """A database with a table of one row."""
    fresh_database.run_transaction(says("CREATE TABLE shelf (id int PRIMARY KEY)", "INSERT INTO shelf VALUES (1)"))
    return fresh_database


def refused(database: Database, work: Callable[[Session], Any], kind: type[RowlockError]) -> str:
    with pytest.raises(kind) as refusal:
        database.run_transaction(work)
    assert database.run_transaction(says("SELECT 1")) == 1
    return refusal.value.reason


@contextmanager
def held_by_somebody_else(database: Database) -> Iterator[None]:
    with database.engine.connect() as other, other.begin():
        other.execute(text("SELECT id FROM shelf FOR UPDATE"))
        yield


def test_a_row_that_others_hold_for_too_long_is_contended(shelf: Database) -> None:
    with held_by_somebody_else(shelf):
        wants = says("SET LOCAL lock_timeout = '50ms'", "SELECT id FROM shelf FOR UPDATE")
        assert refused(shelf, wants, Aborted) == "CONTENDED"


def test_a_deadline_ends_the_wait(shelf: Database) -> None:
    token = deadline.set(time.monotonic() + 0.1)
    try:
        with held_by_somebody_else(shelf), pytest.raises(DeadlineExceeded):
            shelf.run_transaction(says("SELECT id FROM shelf FOR UPDATE"))
    finally:
        deadline.reset(token)


@pytest.mark.parametrize("code", ["53100", "53200", "53300"])
def test_a_server_without_room_is_unavailable_and_its_connection_dropped(shelf: Database, code: str) -> None:
    before = shelf.run_transaction(says("SELECT pg_backend_pid()"))
    full = says(f"DO $$ BEGIN RAISE 'no room' USING ERRCODE = '{code}'; END $$")
    assert refused(shelf, full, Unavailable) == "DATABASE_UNAVAILABLE"
    assert shelf.run_transaction(says("SELECT pg_backend_pid()")) != before


def test_a_primary_that_was_demoted_is_left_by_all_connections(shelf: Database) -> None:
    name = shelf.engine.url.database
    shelf.run_transaction(says(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    shelf.engine.dispose()
    with shelf.engine.connect(), shelf.engine.connect():
        pass  # two connections wait in the pool, both to the server that may no longer be written

    with psycopg2.connect(shelf.engine.url.set(drivername="postgresql").render_as_string(False)) as administrator:
        administrator.set_session(readonly=False)
        administrator.cursor().execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    write = says("INSERT INTO shelf VALUES (2)")

    assert refused(shelf, write, Unavailable) == "DATABASE_UNAVAILABLE"
    shelf.run_transaction(write)


async def test_writing_in_a_transaction_that_only_reads_is_a_fault_of_ours(shelf: Database) -> None:
    with pytest.raises(DBAPIError):
        await shelf.read(says("INSERT INTO shelf VALUES (2)"))


@pytest.mark.parametrize(
    "ending",
    [
        ["SELECT pg_terminate_backend(pg_backend_pid())"],
        ["SET LOCAL idle_in_transaction_session_timeout = '20ms'", "SELECT 1", "sleep", "SELECT 1"],
    ],
    ids=["terminated", "idle for too long"],
)
def test_a_connection_that_ends_before_the_commit_has_no_effect(shelf: Database, ending: list[str]) -> None:
    def work(session: Session) -> None:
        session.execute(text("INSERT INTO shelf VALUES (2)"))
        for statement in ending:
            if statement == "sleep":
                time.sleep(0.3)  # longer than the session may idle
            else:
                session.execute(text(statement))

    assert refused(shelf, work, Unavailable) == "DATABASE_UNAVAILABLE"
    assert shelf.run_transaction(says("SELECT count(*) FROM shelf")) == 1


def test_a_connection_that_ends_during_the_commit_leaves_the_outcome_unknown(shelf: Database) -> None:
    shelf.run_transaction(
        says(
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
            "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON shelf DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION die()",
        )
    )
    assert refused(shelf, says("INSERT INTO shelf VALUES (2)"), Unavailable) == "OUTCOME_UNKNOWN"


async def test_calls_that_wait_for_a_thread_are_seen(fresh_database_url: str) -> None:
    database = Database(fresh_database_url, threads=1)
    gate = threading.Event()
    try:
        calls = [asyncio.create_task(database.transaction(lambda _: gate.wait(60))) for _ in range(3)]
        await asyncio.sleep(0)
        assert database.use().waiting == 2
        gate.set()
        await asyncio.gather(*calls)
        assert (database.use().in_use, database.use().waiting) == (0, 0)
    finally:
        gate.set()
        database.close()
