"""Through a real PgBouncer, which drops what connections begin with: every limit holds all the same."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
from sqlalchemy import event, make_url, text
from sqlalchemy.orm import Session

from rowlock.v1 import booking_pb2 as pb
from server import resources
from server.db import engine as pool
from server.db.engine import Database
from server.db.limits import ConnectionLimits
from server.seats import connection as ledger
from server.seats.connection import LedgerConnection
from tests.pgbouncer import pgbouncer
from tests.server_processes import Customers, server_process
from tests.staging import stage


@pytest.fixture(params=["session", "transaction"])
def through(request: pytest.FixtureRequest, fresh_database_url: str, tmp_path: Path) -> Iterator[str]:
    """The URL of the test's database, through a PgBouncer."""
    with pgbouncer(fresh_database_url, tmp_path, pool_mode=request.param) as url:
        yield url


@pytest.fixture
def pooled(through: str) -> Iterator[Database]:
    database = Database(through, threads=2)
    yield database
    database.close()


def limits(session: Session) -> list[str]:
    return list(session.execute(text(pool._LIMITS.question)).one())


def statements_of(database: Database) -> list[str]:
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    return said


def plainly(url: str, question: str) -> list[str]:
    """What somebody else's connection is told."""
    connection = psycopg2.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    with connection.cursor() as cursor:
        cursor.execute(question)
        answer = cursor.fetchone()
    connection.close()
    assert answer is not None
    return list(answer)


async def test_the_limits_of_the_pool_hold_in_every_transaction(pooled: Database, through: str) -> None:
    for _ in range(3):
        assert await pooled.transaction(limits) == list(pool._LIMITS.values.values())
        assert await pooled.read(limits) == list(pool._LIMITS.values.values())
    # And in no other: the connection may be somebody else's by now.
    assert plainly(through, "SELECT current_setting('lock_timeout')") == ["0"]


async def test_they_cost_no_round_trip_where_something_is_said_anyway(pooled: Database) -> None:
    await pooled.read(limits)
    said = statements_of(pooled)
    await pooled.read(limits)
    assert len(said) == 2


async def test_the_limits_of_the_ledger_hold_in_every_batch(pooled: Database, through: str) -> None:
    connection = LedgerConnection(pooled.engine)
    for _ in range(3):
        await connection.open()
        await connection.execute(connection.begin)
        ((*held,),) = await connection.fetch(ledger._LIMITS.question)
        assert held == list(ledger._LIMITS.values.values())
        await connection.execute("COMMIT")
    connection.close()
    assert plainly(through, "SELECT current_setting('enable_seqscan')") == ["on"]


async def test_seats_are_sold(pooled: Database, through: str, valkey_url: str) -> None:
    house = pooled.run_transaction(stage)
    async with server_process(through, valkey_url) as server:
        for place in range(3):
            request = pb.CreateBookingRequest(
                parent=resources.performance(house.performance_id),
                seats=[pb.SeatClaim(seat=house.hall.places[place].id)],
                request_id=str(uuid4()),
            )
            booking = await server.bookings.CreateBooking(request, metadata=Customers(pooled).token())
            assert booking.state == pb.Booking.HELD


async def test_a_direct_connection_is_told_once(fresh_database: Database) -> None:
    assert await fresh_database.transaction(limits) == list(pool._LIMITS.values.values())
    said = statements_of(fresh_database)
    await fresh_database.transaction(limits)
    assert said == [pool._LIMITS.question]

    connection = LedgerConnection(fresh_database.engine)
    await connection.open()
    assert connection.begin == "BEGIN;"
    connection.close()


@pytest.mark.parametrize("limits", [pool._LIMITS, ledger._LIMITS])
async def test_limits_are_written_as_postgresql_shows_them(fresh_database: Database, limits: ConnectionLimits) -> None:
    """Otherwise connections would seem to lack them, and be told each time."""

    def said(session: Session) -> bool:
        session.execute(text(limits.statements))
        return limits.hold(tuple(session.execute(text(limits.question)).one()))

    assert await fresh_database.transaction(said)
