"""Callers who go away at any moment: their seats are held or not, and nothing of the server's stays behind."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc.aio
import pytest
from sqlalchemy import text

from rowlock.v1 import booking_pb2 as pb
from rowlock.v1 import booking_pb2_grpc, event_pb2, event_pb2_grpc, seat_feed_pb2
from server import resources
from server.app import start
from server.config import Settings
from server.db.engine import Database
from server.runtime import Runtime, runtime
from tests.eventually import eventually
from tests.invariants import assert_sound
from tests.server_processes import Customers
from tests.staging import hall_document, stage

pytestmark = pytest.mark.race

CALLERS = 400
IDLE = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND (state LIKE 'idle in transaction%' OR state = 'active')"
)
LOCKS = text(
    "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = pg_locks.database"
    " WHERE d.datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclass
class Served:
    """A server whose inside can be looked at."""

    running: Runtime
    database: Database
    channel: grpc.aio.Channel


@pytest.fixture
async def served(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    opened: list[Database] = []

    def open_database(*args: Any, **options: Any) -> Database:
        opened.append(Database(*args, **options))
        return opened[-1]

    monkeypatch.setattr("server.parts.Database", open_database)
    async with runtime(settings) as running:
        server, port = await start(running)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Served(running, opened[0], channel)
        await server.stop(None)


async def leave_soon(call: grpc.aio.Call, within: float) -> None:
    """Go away at a random moment of a call's life."""
    await asyncio.sleep(random.uniform(0, within))
    call.cancel()


async def assert_nothing_is_left(served: Served, database: Database) -> None:
    await eventually(lambda: len(served.running.chain.streams) == 0)
    await eventually(lambda: database.run_transaction(lambda s: s.scalar(IDLE)) == 0)
    assert database.run_transaction(lambda s: s.scalar(LOCKS)) == 0
    assert served.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_hundreds_of_callers_cancel_at_any_moment(served: Served, database: Database) -> None:
    house = database.run_transaction(lambda s: stage(s, hall_document(rows=10, seats=CALLERS // 10)))
    bookings: booking_pb2_grpc.BookingServiceAsyncStub = booking_pb2_grpc.BookingServiceStub(served.channel)
    customers = Customers(database)
    left = 0

    async def book(place: int) -> pb.Booking:
        nonlocal left
        who = customers.token()
        request = pb.CreateBookingRequest(
            parent=resources.performance(house.performance_id),
            seats=[pb.SeatClaim(seat=house.hall.places[place].id)],
            request_id=str(uuid4()),
        )
        call = bookings.CreateBooking(request, metadata=who, timeout=60)
        leaving = asyncio.create_task(leave_soon(call, 0.25))
        try:
            first = await call
        except asyncio.CancelledError:
            left += 1
            first = None
        await leaving
        # Whatever became of it, the same request has one answer and one effect.
        answer = await bookings.CreateBooking(request, metadata=who, timeout=60)
        assert first is None or answer == first
        return answer

    answers = await asyncio.gather(*(book(place) for place in range(CALLERS)))

    assert left > CALLERS // 10, "hardly anybody left before the answer: nothing was shown"
    assert sorted(booking.seats[0].index for booking in answers) == list(range(CALLERS))
    assert database.run_transaction(lambda s: s.scalar(text("SELECT count(*) FROM bookings"))) == CALLERS
    await assert_nothing_is_left(served, database)
    assert_sound(database)


async def test_watchers_and_readers_cancel_at_any_moment(served: Served, database: Database) -> None:
    house = database.run_transaction(lambda s: stage(s, hall_document(rows=10, seats=40)))
    events: event_pb2_grpc.EventServiceAsyncStub = event_pb2_grpc.EventServiceStub(served.channel)
    customers = Customers(database)

    async def watch() -> None:
        request = seat_feed_pb2.WatchSeatsRequest(performance=resources.performance(house.performance_id))
        call = events.WatchSeats(request, metadata=customers.token())
        leaving = asyncio.create_task(leave_soon(call, 0.2))
        with suppress(asyncio.CancelledError):
            async for _ in call:
                pass
        await leaving

    async def read() -> None:
        call = events.ListEvents(event_pb2.ListEventsRequest())
        leaving = asyncio.create_task(leave_soon(call, 0.2))
        with suppress(asyncio.CancelledError):
            await call
        await leaving

    await asyncio.gather(*(watch() if n % 2 else read() for n in range(CALLERS)))

    await assert_nothing_is_left(served, database)
    await events.ListEvents(event_pb2.ListEventsRequest(page_size=1))
