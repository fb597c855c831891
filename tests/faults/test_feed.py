"""The seat feed while what it stands on breaks: promises W1 to W9 hold, and everybody converges afterwards.

Every test has load before, during and after the fault, and shows that the fault happened.
"""

import asyncio
import os
import signal
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import grpc
import grpc.aio
import pytest
import redis

from server.db.engine import Database
from server.embedded import PostgresServer, ValkeyServer
from server.seats import feed_metrics as metrics
from server.seats.change_log import trim
from server.seats.frames import encode_changes
from server.seats.write import Published
from tests.feed_checkers import Truth, faults, w9_bounded
from tests.feed_load import Audience, booking_process, everything_logged, revision_of
from tests.feed_recording import Recording, listening, seat_stream, until
from tests.feed_server import QUICK, FeedServer, feed_server
from tests.invariants import assert_sound
from tests.staging import Staged, hall_document, stage

pytestmark = pytest.mark.fault

SMALL = replace(QUICK, pending_frames=4)


@pytest.fixture
def database(fresh_database: Database) -> Database:
    return fresh_database


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(lambda session: stage(session, customer_limit=1000))


@pytest.fixture
async def servers(fresh_database_url: str, private_valkey: ValkeyServer) -> AsyncIterator[list[FeedServer]]:
    """One that books and one that only hears of it through Redis."""
    async with (
        feed_server(fresh_database_url, private_valkey.url(), SMALL) as one,
        feed_server(fresh_database_url, private_valkey.url(), SMALL) as other,
    ):
        yield [one, other]


def counted(metric: Any) -> float:
    return float(metric._value.get())


def kill_and_restart(valkey: ValkeyServer) -> None:
    valkey.kill()
    valkey.start()


def flush(valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(valkey.url()) as client:
        client.flushall()


def cut_off_everybody(valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(valkey.url()) as client:
        client.client_kill_filter(_type="pubsub")
        client.client_kill_filter(_type="normal", skipme=True)


@pytest.mark.parametrize("fault", [kill_and_restart, flush, cut_off_everybody])
async def test_redis_is_lost_and_comes_back(
    fault: Callable[[ValkeyServer], None],
    house: Staged,
    servers: list[FeedServer],
    database: Database,
    private_valkey: ValkeyServer,
) -> None:
    audience = Audience(house.performance_id, servers)
    async with audience.watching():
        load = asyncio.create_task(servers[0].churn(house.performance_id, range(15), 12))
        await until(lambda: audience.steady[1].revision > 20)
        await asyncio.to_thread(fault, private_valkey)
        before = audience.steady[1].revision
        await load
        await audience.be_up_to_date()
        assert audience.steady[1].revision > before + 20, "no load after the fault"
        await hear_through_redis(house, servers, audience)
    assert not audience.faults(database)
    assert_sound(database)


async def hear_through_redis(house: Staged, servers: list[FeedServer], audience: Audience) -> None:
    """Frames come through Redis again, sooner or later."""
    async with asyncio.timeout(60):
        heard = counted(metrics.FROM_REDIS)
        while counted(metrics.FROM_REDIS) == heard:
            await servers[0].churn(house.performance_id, range(40, 45), 1)
    await audience.be_up_to_date()


async def test_redis_is_away_for_good(
    house: Staged, servers: list[FeedServer], database: Database, private_valkey: ValkeyServer
) -> None:
    audience = Audience(house.performance_id, servers)
    async with audience.watching():
        await servers[0].churn(house.performance_id, range(10), 2)
        dropped, healed = counted(metrics.DROPPED), counted(metrics.GAPS)
        await asyncio.to_thread(private_valkey.kill)
        await servers[0].churn(house.performance_id, range(15), 8)
        await until(lambda: counted(metrics.DROPPED) > dropped)
        await audience.be_up_to_date()
        await until(lambda: counted(metrics.GAPS) > healed)
    assert not audience.faults(database)


async def test_redis_hangs_without_a_word(
    house: Staged, servers: list[FeedServer], database: Database, private_valkey: ValkeyServer
) -> None:
    """Stopped, not dead: connections stay open, answers do not come. Nobody who books waits for it."""
    audience = Audience(house.performance_id, servers)
    async with audience.watching():
        await servers[0].churn(house.performance_id, range(10), 2)
        os.kill(private_valkey.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(60):
                for place in range(20, 40):
                    await servers[0].hold(house.performance_id, place)
            await audience.be_up_to_date()
            assert audience.steady[1].revision == audience.steady[0].revision
        finally:
            os.kill(private_valkey.pid, signal.SIGCONT)
        await hear_through_redis(house, servers, audience)
    assert not audience.faults(database)


@pytest.mark.parametrize("killed_after", [1, 7])
async def test_a_process_dies_between_commit_and_publish(
    killed_after: int, house: Staged, servers: list[FeedServer], database: Database, private_valkey: ValkeyServer
) -> None:
    audience = Audience(house.performance_id, servers)
    async with audience.watching():
        status = await booking_process(
            database.engine.url.render_as_string(hide_password=False),
            private_valkey.url(),
            house.performance_id,
            seed=killed_after,
            commands=400,
            killed_after=killed_after,
        )
        assert status == -signal.SIGKILL
        committed = revision_of(database, house.performance_id)
        assert committed >= 1
        # Nobody commits anything more that would give the gap away.
        await until(lambda: all(one.revision == committed for one in audience.steady))
    assert not audience.faults(database)
    assert_sound(database)


async def test_the_log_is_trimmed_under_the_watchers(
    house: Staged, database: Database, fresh_database_url: str
) -> None:
    """Without Redis, and looked at seldom: the log is gone before the other process has read it."""
    seldom = replace(SMALL, poll_interval=0.4)
    resets = counted(metrics.RESETS)
    with everything_logged(database) as whole_log:
        async with (
            feed_server(fresh_database_url, None, seldom) as one,
            feed_server(fresh_database_url, None, seldom) as other,
        ):
            audience = Audience(house.performance_id, [one, other])
            async with audience.watching():
                load = asyncio.create_task(one.churn(house.performance_id, range(15), 12))
                while not load.done():
                    await other.database.transaction(lambda session: trim(session, retention=timedelta(0)))
                    await asyncio.sleep(0.05)
        assert counted(metrics.RESETS) > resets
        snapshots = [message for message in audience.steady[1].messages if message.HasField("snapshot")]
        assert len(snapshots) > 1
        assert not audience.faults(database, whole_log)
    assert_sound(database)


async def test_the_database_is_away_and_comes_back(private_postgres: PostgresServer, fresh_valkey_url: str) -> None:
    url = private_postgres.url("rowlock")
    staging = Database(url)
    house = staging.run_transaction(stage)
    staging.close()
    async with feed_server(url, fresh_valkey_url, replace(QUICK, heartbeat=1.0)) as server:
        async with listening(server.address, server.token(), house.performance_id) as recording:
            await server.hold(house.performance_id, 1)
            await until(lambda: recording.revision == 1)
            failures = counted(metrics.POLL_FAILURES)
            await asyncio.to_thread(private_postgres.kill)
            await until(lambda: counted(metrics.POLL_FAILURES) > failures)
            # Who watches stays, and who has to be told all states is asked to come again.
            code = await refused(server, house.performance_id + 1)
            assert code is grpc.StatusCode.UNAVAILABLE
            await asyncio.to_thread(private_postgres.start)
            async with asyncio.timeout(60):
                while recording.revision < 2:
                    try:
                        await server.hold(house.performance_id, 2)
                    except Exception:  # noqa: BLE001 - the database recovers
                        await asyncio.sleep(0.2)
                    await asyncio.sleep(0.05)
            await until(lambda: recording.messages[-1].HasField("heartbeat"))
        code = await refused(server, house.performance_id + 1)
        assert code is grpc.StatusCode.NOT_FOUND
        assert not faults(recording, Truth.read(server.database, house.performance_id))
        assert_sound(server.database)


async def refused(server: FeedServer, performance_id: int) -> grpc.StatusCode:
    async with grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await seat_stream(channel, server.token(), performance_id).read()
    return refusal.value.code()


# --- readers that do not read -------------------------------------------------------------------------------------

ALL_ALIKE = replace(QUICK, poll_interval=3600.0, heartbeat=3600.0)


def _has_revision(recording: Recording, revision: int) -> bool:
    return recording.revision == revision


def big_frames(house: Staged, first: int, count: int) -> list[Published]:
    """Revisions that change every place: more than a reader's buffers take."""
    frames = []
    for revision in range(first, first + count):
        changes = tuple((place, 1 + revision % 2) for place in range(len(house.hall)))
        frames.append(Published(house.performance_id, revision, encode_changes(changes), changes))
    return frames


async def test_a_reader_that_takes_nothing_is_cut_off_and_nobody_notices(
    database: Database, fresh_database_url: str
) -> None:
    house = database.run_transaction(lambda session: stage(session, hall_document(rows=40, seats=50)))
    async with (
        # Each revision alone, or what is told would be too short to fill a reader's buffers.
        feed_server(fresh_database_url, None, replace(ALL_ALIKE, pending_frames=32), write_timeout=3) as server,
        grpc.aio.insecure_channel(server.address) as channel,
        listening(server.address, server.token(), house.performance_id) as reader,
    ):
        stalled = seat_stream(channel, server.token(), house.performance_id)
        await until(lambda: server.hub.watchers == 2)
        revision = 0
        async with asyncio.timeout(60):
            while server.hub.watchers == 2:
                server.hub.deliver(big_frames(house, revision + 1, 20))
                revision += 20
                await until(partial(_has_revision, reader, revision))
                await asyncio.sleep(0.02)
        assert server.hub.watchers == 1
        assert [message.revision for message in reader.messages] == list(range(revision + 1))
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            async for _ in stalled:
                pass
        assert cut.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_memory_does_not_grow_with_what_is_not_read(house: Staged, fresh_database_url: str) -> None:
    """W9: a hundred streams that take nothing, and 20,000 changes."""
    streams = 100
    async with feed_server(fresh_database_url, None, ALL_ALIKE) as server:
        readers = [server.hub.watch(house.performance_id).messages() for _ in range(streams)]
        for reader in readers:
            await anext(reader)
        revision = 0

        def change(count: int) -> None:
            nonlocal revision
            for _ in range(count):
                revision += 1
                change = ((revision % 50, 1 + revision % 2),)
                server.hub.deliver([Published(house.performance_id, revision, encode_changes(change), change)])

        tracemalloc.start()
        change(2 * QUICK.ring_frames)  # the ring is full from here on, with frames that are counted
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            change(1_000)
            await asyncio.sleep(0)
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()

        assert not list(w9_bounded(before, after, streams, 2_000))
        recording = Recording(house.performance_id)
        for reader in readers[:3]:
            # Whoever reads again is told all states at once, and is up to date.
            snapshot = await anext(reader)
            assert len(snapshot) < 200
        assert recording.revision == 0
        for reader in readers:
            await reader.aclose()  # type: ignore[attr-defined]
