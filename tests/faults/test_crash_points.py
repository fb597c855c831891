"""Servers, PostgreSQL and Valkey die while seats are booked: what was acknowledged stays, what was not can be asked.

Every test has load before, during and after the fault, and shows that the fault happened.
"""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest
import redis
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import text

from rowlock.v1 import booking_pb2 as pb
from rowlock.v1 import seat_feed_pb2
from server import resources
from server.db.engine import Database
from server.embedded import PostgresServer, ValkeyServer
from server.health import DATABASE, REDIS
from tests.faults.booking_load import UNKNOWN, BookingLoad
from tests.faults.dying_server import POINTS
from tests.feed_recording import next_changes
from tests.invariants import assert_sound
from tests.server_processes import Customers, ServerProcess, server_process
from tests.staging import Staged, hall_document, stage

pytestmark = pytest.mark.fault

DYING_SERVER = Path(__file__).with_name("dying_server.py")


def big_house(database: Database) -> Staged:
    return database.run_transaction(lambda s: stage(s, hall_document(rows=5, seats=20), customer_limit=20))


def assert_acknowledged(load: BookingLoad, database: Database) -> None:
    assert load.refused == []
    assert load.differences(database) == []
    assert_sound(database)


async def test_a_server_is_killed_in_the_middle_of_holds_again_and_again(
    fresh_database: Database, fresh_database_url: str, fresh_valkey_url: str
) -> None:
    house = big_house(fresh_database)
    async with AsyncExitStack() as servers:
        server = await servers.enter_async_context(server_process(fresh_database_url, fresh_valkey_url))
        async with BookingLoad(house, Customers(fresh_database), lambda: server).running() as load:
            for _ in range(2):
                await load.progress()
                await server.kill()
                await load.is_interrupted()
                server = await servers.enter_async_context(server_process(fresh_database_url, fresh_valkey_url))
            await load.progress()
    assert_acknowledged(load, fresh_database)


@pytest.mark.parametrize("point", POINTS)
async def test_a_server_that_dies_at_a_line_leaves_all_or_nothing_and_watchers_converge(
    fresh_database: Database, fresh_database_url: str, fresh_valkey_url: str, point: str
) -> None:
    house = big_house(fresh_database)
    who = Customers(fresh_database).token()
    performance = resources.performance(house.performance_id)
    request = pb.CreateBookingRequest(
        parent=performance, seats=[pb.SeatClaim(seat=house.hall.places[5].id)], request_id=str(uuid4())
    )
    async with (
        server_process(fresh_database_url, fresh_valkey_url, program=(str(DYING_SERVER), point)) as dying,
        server_process(fresh_database_url, fresh_valkey_url) as other,
    ):
        watch = other.events.WatchSeats(seat_feed_pb2.WatchSeatsRequest(performance=performance), metadata=who)
        first: Any = await watch.read()
        assert (first.revision, first.HasField("snapshot")) == (0, True)

        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await dying.bookings.CreateBooking(request, metadata=who, timeout=60)
        assert cut.value.code() in UNKNOWN
        assert await dying.process.wait() == -signal.SIGKILL
        stored = fresh_database.run_transaction(lambda s: s.scalar(text("SELECT count(*) FROM bookings")))
        assert stored == (0 if point == "ledger is about to commit" else 1)

        booking = await other.bookings.CreateBooking(request, metadata=who, timeout=60)
        assert [seat.index for seat in booking.seats] == [5]
        assert await next_changes(watch) == (1, [(5, 2)])
        assert await other.bookings.CreateBooking(request, metadata=who, timeout=60) == booking
    assert fresh_database.run_transaction(lambda s: s.scalar(text("SELECT count(*) FROM bookings"))) == 1
    assert_sound(fresh_database)


async def test_postgresql_ends_every_connection_under_load(
    fresh_database: Database, fresh_database_url: str, fresh_valkey_url: str
) -> None:
    house = big_house(fresh_database)
    end_all = text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    async with (
        server_process(fresh_database_url, fresh_valkey_url) as server,
        BookingLoad(house, Customers(fresh_database), lambda: server).running() as load,
    ):
        for _ in range(4):
            await load.progress()
            ended = await fresh_database.transaction(lambda s: s.scalar(end_all))
            assert ended > 0
        await load.progress()
        assert server.process.returncode is None
    assert_acknowledged(load, fresh_database)


async def test_the_postmaster_is_killed_under_load_and_comes_back(
    private_postgres: PostgresServer, fresh_valkey_url: str
) -> None:
    url = private_postgres.url("rowlock")
    database = Database(url)
    house = big_house(database)
    async with server_process(url, fresh_valkey_url) as server:
        async with BookingLoad(house, Customers(database), lambda: server).running() as load:
            await load.progress()
            os.kill(private_postgres.pid, signal.SIGKILL)
            await load.is_interrupted()
            await health_becomes(server, DATABASE, health_pb2.HealthCheckResponse.NOT_SERVING)
            await asyncio.to_thread(private_postgres.start)
            await load.progress()
            await health_becomes(server, DATABASE, health_pb2.HealthCheckResponse.SERVING)
        assert server.process.returncode is None
    assert_acknowledged(load, database)
    database.close()


async def test_without_valkey_bookings_go_on_and_health_says_degraded(
    fresh_database: Database, fresh_database_url: str, private_valkey: ValkeyServer
) -> None:
    house = big_house(fresh_database)
    async with (
        server_process(fresh_database_url, private_valkey.url()) as server,
        BookingLoad(house, Customers(fresh_database), lambda: server).running() as load,
    ):
        await load.progress()
        with redis.Redis.from_url(private_valkey.url()) as client:
            client.flushall()
        await load.progress()
        await asyncio.to_thread(private_valkey.kill)
        await load.progress()
        await health_becomes(server, REDIS, health_pb2.HealthCheckResponse.NOT_SERVING)
        await health_becomes(server, "", health_pb2.HealthCheckResponse.SERVING)
        await load.progress()
        await asyncio.to_thread(private_valkey.start)
        await health_becomes(server, REDIS, health_pb2.HealthCheckResponse.SERVING)
        await load.progress()
    assert not load.interrupted
    assert_acknowledged(load, fresh_database)


async def health_becomes(server: ServerProcess, service: str, expected: int) -> None:
    health = health_pb2_grpc.HealthStub(server.channel)
    async with asyncio.timeout(60):
        while (await health.Check(health_pb2.HealthCheckRequest(service=service))).status != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
