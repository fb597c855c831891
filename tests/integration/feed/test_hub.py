"""The hub on a real database and a real Redis: what it reads, what it ignores, what it forgets."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import redis
from redis.asyncio import Redis as AsyncRedis
from sqlalchemy import event, text

from rowlock.v1.seat_feed_pb2 import WatchSeatsResponse
from server.db.engine import Database, deadline
from server.seats import feed_metrics as metrics
from server.seats.change_log import trim
from server.seats.feed_publication import Publisher, channel
from server.seats.frames import encode_changes, frame, snapshot_body, to_payload
from server.seats.write import Published
from server.states import SeatState
from tests.feed_checkers import Truth, faults, told_by
from tests.feed_recording import Recording, Stream, listening, until
from tests.feed_server import QUICK, FeedServer, feed_server
from tests.invariants import assert_sound
from tests.staging import Staged, stage


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


@pytest.fixture
async def server(database_url: str, fresh_valkey_url: str) -> AsyncIterator[FeedServer]:
    async with feed_server(database_url, fresh_valkey_url) as running:
        yield running


@contextmanager
def statements(server: FeedServer, part: str) -> Iterator[list[str]]:
    """The SQL statements with ``part`` in them that the server sends during the block."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if part in statement:
            sent.append(statement)

    event.listen(server.database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(server.database.engine, "before_cursor_execute", note)


async def first_messages(server: FeedServer, house: Staged, resume_revision: int, count: int) -> list[bytes]:
    """What ``count`` watchers that come at the same moment are told first."""
    streams = [server.hub.watch(house.performance_id, resume_revision).messages() for _ in range(count)]
    firsts = await asyncio.gather(*(anext(stream) for stream in streams))
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]
    return firsts


async def test_all_who_join_at_once_share_one_read_and_one_message(server: FeedServer, house: Staged) -> None:
    with statements(server, "string_agg") as boards:
        firsts = await first_messages(server, house, 0, 200)
    assert len(boards) == 1
    assert len({id(first) for first in firsts}) == 1


async def test_all_who_resume_at_once_share_one_read_of_the_log(
    server: FeedServer, house: Staged, database_url: str
) -> None:
    for place in range(5):
        await server.hold(house.performance_id, place)
    async with feed_server(database_url, None) as fresh:
        with statements(fresh, "revision <= ") as reads:
            firsts = await first_messages(fresh, house, 2, 100)
    assert len(reads) == 1
    assert {WatchSeatsResponse.FromString(first).revision for first in firsts} == {5}
    assert len({id(first) for first in firsts}) == 1


async def test_a_crowd_that_is_behind_shares_one_message_with_all_it_missed(server: FeedServer, house: Staged) -> None:
    joined = metrics.JOINED._value.get()
    streams = [server.hub.watch(house.performance_id).messages() for _ in range(100)]
    recording = Recording(house.performance_id, [Stream(0)])
    firsts = [await anext(stream) for stream in streams]
    recording.take(WatchSeatsResponse.FromString(firsts[0]))
    # They do not read while a seat is held, given back and held again.
    await server.release(await server.hold(house.performance_id, 7))
    await server.hold(house.performance_id, 7, 8)
    messages = [await anext(stream) for stream in streams]

    assert len({id(message) for message in messages}) == 1
    assert metrics.JOINED._value.get() == joined + 100
    message = WatchSeatsResponse.FromString(messages[0])
    assert list(told_by(message)) == [1, 2, 3]
    held = int(SeatState.HELD)
    assert {change.index: int(change.state) for change in message.changes.changes} == {7: held, 8: held}
    assert len(message.changes.changes) == 2
    recording.take(message)
    # Up to date again, they are told the next revision alone, in the bytes that are stored.
    await server.hold(house.performance_id, 9)
    nexts = [await anext(stream) for stream in streams]
    assert set(nexts) == {frame(4, encode_changes([(9, SeatState.HELD)]))}
    recording.take(WatchSeatsResponse.FromString(nexts[0]))
    assert not faults(recording, Truth.read(server.database, house.performance_id))
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("first", "changes", "promise"),
    [
        (2, [(1, SeatState.HELD), (2, SeatState.HELD)], "W3"),
        (1, [(0, SeatState.HELD), (2, SeatState.HELD)], "W4"),
        (1, [(0, SeatState.HELD), (1, SeatState.SOLD), (2, SeatState.HELD)], "W4"),
        (1, [(0, SeatState.HELD), (1, SeatState.HELD), (1, SeatState.HELD), (2, SeatState.HELD)], "W2"),
        (-1, [(0, SeatState.HELD), (1, SeatState.HELD), (2, SeatState.HELD)], "W8"),
        (4, [(0, SeatState.HELD), (1, SeatState.HELD), (2, SeatState.HELD)], "W3"),
    ],
)
async def test_the_checkers_find_a_fault_in_a_joined_message(
    server: FeedServer, house: Staged, first: int, changes: list[tuple[int, SeatState]], promise: str
) -> None:
    for place in range(3):
        await server.hold(house.performance_id, place)
    right = [(place, SeatState.HELD) for place in range(3)]
    truth = Truth.read(server.database, house.performance_id)

    def found(first: int, changes: list[tuple[int, SeatState]]) -> set[str]:
        recording = Recording(house.performance_id, [Stream(0)])
        for raw in (
            frame(0, snapshot_body(bytes([1] * len(house.hall)), reset=False)),
            frame(3, encode_changes(changes, first)),
        ):
            recording.take(WatchSeatsResponse.FromString(raw))
        return {fault.split()[0] for fault in faults(recording, truth)}

    assert found(1, right) == set()
    assert promise in found(first, changes)


async def test_any_number_of_performances_is_compared_in_one_statement(server: FeedServer, database: Database) -> None:
    houses = [database.run_transaction(stage) for _ in range(5)]
    streams = [server.hub.watch(one.performance_id).messages() for one in houses]
    for stream in streams:
        await anext(stream)
    compared: list[set[int]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "IS DISTINCT FROM w.known" in statement:
            compared.append(set(values["ids"]))

    event.listen(server.database.engine, "before_cursor_execute", note)
    await until(lambda: len(compared) >= 4)
    event.remove(server.database.engine, "before_cursor_execute", note)
    # The first may have been on its way when the last of them came.
    assert compared[1:] == [{one.performance_id for one in houses}] * (len(compared) - 1)
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]


async def test_rubbish_in_the_channel_is_counted_and_changes_nothing(
    server: FeedServer, house: Staged, fresh_valkey_url: str
) -> None:
    place = channel("rowlock", house.performance_id)
    refused = metrics.REFUSED_FRAMES._value.get()
    async with listening(server.address, server.token(), house.performance_id) as recording:
        with redis.Redis.from_url(fresh_valkey_url) as client:
            await until(lambda: client.pubsub_numsub(place)[0][1] == 1)
            for payload in (
                b"",
                b"short",
                to_payload(1, b"\xff\xff"),
                to_payload(1, encode_changes([(10_000, SeatState.HELD)])),
                to_payload(2**62, encode_changes([(1, SeatState.SOLD)])),
                to_payload(3, encode_changes([(1, SeatState.SOLD)])),
            ):
                client.publish(place, payload)
        await until(lambda: metrics.REFUSED_FRAMES._value.get() >= refused + 4)
        with statements(server, "IS DISTINCT FROM w.known") as compared:
            # What was never committed is forgotten at the next comparison, which is over when another one begins.
            await until(lambda: len(compared) >= 2)
        await server.hold(house.performance_id, 1)
        await server.hold(house.performance_id, 2)
        await server.hold(house.performance_id, 3)
        await until(lambda: recording.revision == 3)
        assert not faults(recording, Truth.read(server.database, house.performance_id))


async def test_a_performance_that_nobody_watches_is_forgotten_after_a_while(
    server: FeedServer, house: Staged, fresh_valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = channel("rowlock", house.performance_id)
    with redis.Redis.from_url(fresh_valkey_url) as client:
        async with listening(server.address, server.token(), house.performance_id):
            await until(lambda: client.pubsub_numsub(place)[0][1] == 1)
        await asyncio.sleep(0.7)
        assert client.pubsub_numsub(place)[0][1] == 1
        monkeypatch.setattr("server.seats.hub._LINGER", 0.0)
        await until(lambda: client.pubsub_numsub(place)[0][1] == 0)
    assert not server.hub._feeds


async def test_work_for_the_feed_does_not_inherit_the_deadline_of_a_call(
    server: FeedServer, house: Staged, database_url: str
) -> None:
    """The ledger publishes in the context of whoever asked last, and streams open feeds for others."""
    async with feed_server(database_url, None) as other:
        token = deadline.set(time.monotonic() + 0.2)
        stream = other.hub.watch(house.performance_id).messages()
        await anext(stream)
        deadline.reset(token)
        await asyncio.sleep(0.3)
        await server.hold(house.performance_id, 1)
        message = await asyncio.wait_for(anext(stream), 60)
        assert WatchSeatsResponse.FromString(message).revision == 1
        await stream.aclose()  # type: ignore[attr-defined]


# --- publication --------------------------------------------------------------------------------------------------


def some(count: int) -> list[Published]:
    body = encode_changes([(0, SeatState.HELD)])
    return [Published(1, revision, body, ((0, SeatState.HELD),)) for revision in range(1, count + 1)]


async def test_publishing_never_raises_and_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("a fault in the hub")

    monkeypatch.setattr("server.seats.feed_publication._PAUSE_AFTER_FAILURE", 3600.0)
    client = AsyncRedis.from_url("redis://127.0.0.1:1", socket_timeout=60)
    publisher = Publisher(client, deliver=fail)
    dropped = metrics.DROPPED._value.get()
    too_many, few = some(20_000), some(10)
    publisher.publish(too_many)
    publisher.publish(few)  # while the first is on its way, and nobody has waited for it
    await publisher.close()
    publisher.publish(some(5))  # still silent after the failure
    assert metrics.DROPPED._value.get() == dropped + 20_015
    await client.aclose()


async def test_frames_are_published_in_order_on_the_channel_of_their_performance(fresh_valkey_url: str) -> None:
    client = AsyncRedis.from_url(fresh_valkey_url)
    publisher = Publisher(client, prefix="test")
    async with client.pubsub() as heard:
        await heard.subscribe(channel("test", 1))
        await heard.get_message(timeout=60)
        for one in some(50):
            publisher.publish([one])
        payloads = [(await heard.get_message(timeout=60))["data"] for _ in range(50)]
    assert [int.from_bytes(payload[:8], "big") for payload in payloads] == list(range(1, 51))
    await publisher.close()
    await client.aclose()


# --- trimming -----------------------------------------------------------------------------------------------------


async def test_trimming_takes_the_oldest_first_and_no_more_than_it_may(
    server: FeedServer, house: Staged, database: Database
) -> None:
    for place in range(5):
        await server.hold(house.performance_id, place)

    def left() -> list[int]:
        query = text("SELECT revision FROM seat_changes WHERE performance_id = :id ORDER BY 1")
        return list(database.run_transaction(lambda s: s.scalars(query, {"id": house.performance_id}).all()))

    hour = timedelta(hours=1)
    assert database.run_transaction(lambda s: trim(s, retention=hour)) == 0
    database.run_transaction(
        lambda s: s.execute(
            text("UPDATE seat_changes SET commit_time = commit_time - interval '2 h' WHERE performance_id = :id"),
            {"id": house.performance_id},
        )
    )
    assert database.run_transaction(lambda s: trim(s, retention=hour, limit=2)) == 2
    assert left() == [3, 4, 5]
    assert_sound(database)
    assert database.run_transaction(lambda s: trim(s, retention=hour)) == 3
    assert left() == []
    assert_sound(database)


async def test_the_ring_is_bounded_however_much_happens(house: Staged, database_url: str) -> None:
    async with (
        feed_server(database_url, None, replace(QUICK, ring_frames=8)) as server,
        listening(server.address, server.token(), house.performance_id),
    ):
        await server.churn(house.performance_id, range(10), 2)
        state = server.hub._feeds[house.performance_id].state
        assert state.revision == 40
        assert state.revision - state.base < 16
