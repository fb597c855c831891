"""Races between two real server processes on one database, over sockets.

That these races happen, and what stops them, is shown with controls in `tests/race/test_seats.py`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from itertools import cycle
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio

from rowlock.v1 import booking_pb2 as pb
from rowlock.v1 import seat_feed_pb2
from server.config import Settings
from server.db.engine import Database
from tests.feed_recording import next_changes
from tests.invariants import assert_sound
from tests.rpc.auth.conftest import refusal
from tests.server_processes import Customers, Metadata, ServerProcess, server_process
from tests.staging import Staged, hall_document, stage

pytestmark = [pytest.mark.race, pytest.mark.asyncio(loop_scope="module")]

Servers = tuple[ServerProcess, ServerProcess]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(settings: Settings, database: Database) -> AsyncIterator[Servers]:
    async with (
        server_process(settings.database_url, settings.redis_url) as one,
        server_process(settings.database_url, settings.redis_url) as other,
    ):
        yield one, other


@pytest.fixture
def customers(servers: Servers, database: Database) -> Customers:
    return Customers(database)


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(lambda session: stage(session, hall_document(rows=5, seats=20)))


def hold(server: ServerProcess, house: Staged, who: Metadata, *places: int) -> Awaitable[pb.Booking]:
    seats = [pb.SeatClaim(seat=house.hall.places[place].id) for place in places]
    request = pb.CreateBookingRequest(parent=f"performances/{house.performance_id}", seats=seats)
    return server.bookings.CreateBooking(request, metadata=who, timeout=60)


async def ending(call: Awaitable[pb.Booking]) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name}: {error.details()}"
    return "OK"


@pytest.mark.promise("1.6", "2.4")
@pytest.mark.mistake("check-then-insert without a lock")
async def test_two_customers_at_two_servers_cannot_have_one_seat(
    servers: Servers, customers: Customers, house: Staged, database: Database
) -> None:
    for place in range(30):
        pair = [ending(hold(server, house, customers.token(), place)) for server in servers]
        answers = await asyncio.gather(*pair)
        taken = f"FAILED_PRECONDITION: not free: {house.hall.places[place].id}"
        assert sorted(answers) == [taken, "OK"]
    assert_sound(database)


@pytest.mark.promise("1.6", "0.13")
async def test_two_hundred_buyers_of_one_seat_at_two_servers(
    servers: Servers, customers: Customers, house: Staged, database: Database
) -> None:
    calls = [
        ending(hold(server, house, customers.token(), 7)) for _, server in zip(range(200), cycle(servers), strict=False)
    ]
    answers = Counter(await asyncio.gather(*calls))
    assert answers == {"OK": 1, f"FAILED_PRECONDITION: not free: {house.hall.places[7].id}": 199}
    assert_sound(database)


@pytest.mark.promise("1.5", "0.13")
@pytest.mark.mistake("limit beaten by concurrency")
@pytest.mark.mistake("`> 4` lets five in")
async def test_the_limit_lets_exactly_four_in_over_two_servers(
    servers: Servers, customers: Customers, house: Staged, database: Database
) -> None:
    for round_ in range(5):
        anna = customers.token()
        places = range(round_ * 12, round_ * 12 + 12)
        calls = [hold(server, house, anna, place) for place, server in zip(places, cycle(servers), strict=False)]
        answers = Counter(await asyncio.gather(*(ending(call) for call in calls)))
        assert answers.pop("OK") == 4
        assert all("FAILED_PRECONDITION" in answer for answer in answers)
        assert (await refusal(hold(servers[0], house, anna, 99))).reason == "CUSTOMER_LIMIT_REACHED"
    assert_sound(database)


@pytest.mark.promise("1.4", "3.4")
@pytest.mark.mistake("a stream for one showing moves seats of another")
async def test_what_one_server_acknowledged_the_other_reads_at_once_and_streams(
    servers: Servers, customers: Customers, house: Staged, database: Database
) -> None:
    here, there = servers
    elsewhere = database.run_transaction(stage)
    anna = customers.token()
    streams: list[Any] = [
        there.events.WatchSeats(
            seat_feed_pb2.WatchSeatsRequest(performance=f"performances/{watched.performance_id}"), metadata=anna
        )
        for watched in (house, elsewhere)
    ]
    for stream in streams:
        assert (await stream.read()).HasField("snapshot")

    booking = await hold(here, house, anna, 3)
    assert await there.bookings.GetBooking(pb.GetBookingRequest(name=booking.name), metadata=anna) == booking
    assert await next_changes(streams[0]) == (1, [(3, 2)])
    # Whatever had gone astray would have come before this.
    await hold(here, elsewhere, anna, 5)
    assert await next_changes(streams[1]) == (1, [(5, 2)])
    for stream in streams:
        stream.cancel()
    assert_sound(database)
