"""WatchSeats over a socket: what a watcher is told, when, and how a stream ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest
import redis
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from rowlock.v1 import event_pb2_grpc
from rowlock.v1.seat_feed_pb2 import WatchSeatsRequest, WatchSeatsResponse
from rowlock.v1.stream_pb2 import Reconnect
from server.clock import now
from server.db.engine import Database
from server.seats.change_log import trim
from server.seats.feed_publication import channel
from server.seats.inventory import delete_inventory
from server.states import Role, SeatState
from tests.feed_checkers import Truth, faults, told_by
from tests.feed_recording import Recording, listen, listening, seat_stream, until
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


@asynccontextmanager
async def watching(server: FeedServer, house: Staged, **how: Any) -> AsyncIterator[Recording]:
    async with listening(server.address, server.token(), house.performance_id, **how) as recording:
        yield recording


def execute(database: Database, statement: str, **values: Any) -> None:
    database.run_transaction(lambda session: session.execute(text(statement), values))


async def refusal(
    server: FeedServer, performance_id: int, resume_revision: int = 0, *, token: str | None = None
) -> tuple[grpc.StatusCode, str, list[str]]:
    """The code, the reason and the fields at fault of a stream that never begins."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        stream = seat_stream(channel, token or server.token(), performance_id, resume_revision)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stream.read()
    status = rpc_status.from_call(refused.value)  # type: ignore[arg-type]
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return refused.value.code(), info.reason, [one.field for one in bad.field_violations]


def kinds(recording: Recording) -> list[str | None]:
    return [message.WhichOneof("event") for message in recording.messages]


@pytest.mark.promise("1.3", "1.4")
async def test_a_watcher_sees_all_places_at_once_and_then_every_change(
    server: FeedServer, house: Staged, database: Database
) -> None:
    async with watching(server, house) as recording:
        assert (kinds(recording), recording.revision) == (["snapshot"], 0)
        assert bytes(recording.states) == bytes([SeatState.AVAILABLE] * len(house.hall))

        booking = await server.hold(house.performance_id, 3, 4)
        await until(lambda: recording.revision == 1)
        assert [recording.states[place] for place in (3, 4, 5)] == [SeatState.HELD, SeatState.HELD, SeatState.AVAILABLE]

        await server.release(booking)
        await until(lambda: recording.revision == 2)
        assert kinds(recording) == ["snapshot", "changes", "changes"]
        assert not faults(recording, Truth.read(database, house.performance_id))
    assert_sound(database)


@pytest.mark.promise("1.4")
async def test_nobody_hears_of_another_performance(server: FeedServer, house: Staged, database: Database) -> None:
    other = database.run_transaction(stage)
    async with watching(server, house) as here, watching(server, other) as there:
        await server.hold(house.performance_id, 1)
        await until(lambda: here.revision == 1)
        # Whatever had gone astray would have come before this.
        await server.hold(other.performance_id, 2)
        await until(lambda: there.revision == 1)
        assert kinds(there) == ["snapshot", "changes"]
        assert [place for place, state in enumerate(there.states) if state != SeatState.AVAILABLE] == [2]


async def test_changes_of_another_process_come_through_redis(
    server: FeedServer, house: Staged, database_url: str, fresh_valkey_url: str
) -> None:
    never = replace(QUICK, poll_interval=3600.0)
    place = channel("rowlock", house.performance_id)
    async with feed_server(database_url, fresh_valkey_url, never) as other, watching(other, house) as recording:
        with redis.Redis.from_url(fresh_valkey_url) as client:
            await until(lambda: client.pubsub_numsub(place)[0][1] == 1)
        await server.hold(house.performance_id, 1)
        await until(lambda: recording.revision == 1)


async def test_without_redis_changes_come_with_the_next_comparison(
    house: Staged, database_url: str, database: Database
) -> None:
    async with (
        feed_server(database_url, None) as one,
        feed_server(database_url, None) as other,
        watching(other, house) as recording,
    ):
        for place in range(5):
            await one.hold(house.performance_id, place)
        await until(lambda: recording.revision == 5)
        assert not faults(recording, Truth.read(database, house.performance_id))


# --- resuming -----------------------------------------------------------------------------------------------------


async def resumed(server: FeedServer, house: Staged, revision: int) -> Recording:
    """What a watcher that comes back with ``revision`` is told until it is up to date."""
    recording = Recording(house.performance_id, revision=revision, states=bytearray(len(house.hall)))
    board = await server.database.read(
        lambda session: session.execute(
            text("SELECT revision FROM inventories WHERE performance_id = :id"), {"id": house.performance_id}
        ).scalar_one()
    )
    async with asyncio.timeout(60):
        await listen(recording, server.address, server.token(), stop_when=lambda message: message.revision >= board)
    return recording


async def test_a_stream_resumes_with_exactly_what_it_missed(server: FeedServer, house: Staged) -> None:
    async with watching(server, house):
        for place in range(4):
            await server.hold(house.performance_id, place)
        recording = await resumed(server, house, 2)
    assert kinds(recording) == ["changes"]
    assert list(told_by(recording.messages[0])) == [3, 4]
    assert {change.index for change in recording.messages[0].changes.changes} == {2, 3}


async def test_a_stream_may_be_told_each_revision_alone(house: Staged, database_url: str) -> None:
    async with feed_server(database_url, None, replace(QUICK, pending_frames=8)) as server:
        for place in range(4):
            await server.hold(house.performance_id, place)
        recording = await resumed(server, house, 2)
    assert [list(told_by(message)) for message in recording.messages] == [[3], [4]]


async def test_who_missed_nothing_hears_so_at_once(server: FeedServer, house: Staged) -> None:
    await server.hold(house.performance_id, 1)
    recording = await resumed(server, house, 1)
    assert (kinds(recording), recording.revision) == (["heartbeat"], 1)


async def test_a_process_that_never_saw_the_changes_resumes_streams_from_the_log(
    server: FeedServer, house: Staged, database_url: str, valkey_url: str
) -> None:
    for place in range(4):
        await server.hold(house.performance_id, place)
    async with feed_server(database_url, valkey_url) as fresh:
        recordings = await asyncio.gather(*(resumed(fresh, house, revision) for revision in (1, 2, 3)))
    assert [[list(told_by(message)) for message in recording.messages] for recording in recordings] == [
        [[2, 3, 4]],
        [[3, 4]],
        [[4]],
    ]


async def test_a_revision_that_is_kept_no_more_gives_a_snapshot_that_says_so(
    house: Staged, database: Database, database_url: str
) -> None:
    async with feed_server(database_url, None) as writer:
        for place in range(4):
            await writer.hold(house.performance_id, place)
    execute(
        database,
        "UPDATE seat_changes SET commit_time = commit_time - interval '2 h'"
        " WHERE revision < 3 AND performance_id = :id",
        id=house.performance_id,
    )
    assert database.run_transaction(lambda session: trim(session, retention=timedelta(hours=1))) == 2
    async with feed_server(database_url, None) as fresh:
        kept = await resumed(fresh, house, 2)
        assert [list(told_by(message)) for message in kept.messages] == [[3, 4]]
        late = await resumed(fresh, house, 1)
    assert kinds(late) == ["snapshot"]
    assert late.messages[0].snapshot.reset
    assert late.states[3] == SeatState.HELD


async def test_further_back_than_the_ring_is_a_snapshot_too(house: Staged, database_url: str) -> None:
    async with feed_server(database_url, None, replace(QUICK, ring_frames=2)) as server:
        for place in range(6):
            await server.hold(house.performance_id, place)
        assert kinds(await resumed(server, house, 4)) == ["changes"]
        assert kinds(await resumed(server, house, 1)) == ["snapshot"]


async def test_a_revision_that_this_process_has_not_heard_of_yet_is_no_error(house: Staged, database_url: str) -> None:
    blind = replace(QUICK, poll_interval=60.0)
    async with (
        feed_server(database_url, None) as writer,
        feed_server(database_url, None, blind) as other,
        watching(other, house) as before,
    ):
        await until(lambda: kinds(before) == ["snapshot"])
        await writer.hold(house.performance_id, 1)
        assert before.revision == 0
        recording = await resumed(other, house, 1)
        assert kinds(recording) == ["heartbeat"]
        # The question brought the process up to date, and so everybody else.
        await until(lambda: before.revision == 1)


# --- refusals -----------------------------------------------------------------------------------------------------


async def test_a_revision_in_the_future_is_refused(server: FeedServer, house: Staged) -> None:
    await server.hold(house.performance_id, 1)
    for revision in (2, 2**63 - 1):
        code, reason, fields = await refusal(server, house.performance_id, revision)
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REVISION_IN_FUTURE")
        assert fields == ["resume_revision"]
    code, _, fields = await refusal(server, house.performance_id, -1)
    assert (code, fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["resume_revision"])


async def test_a_performance_that_is_not_there_is_not_found(server: FeedServer) -> None:
    for number in (999_999, 2**63 - 1):
        code, reason, _ = await refusal(server, number)
        assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_a_draft_is_for_staff_until_it_is_published(
    server: FeedServer, house: Staged, database: Database
) -> None:
    execute(database, "UPDATE events SET state = 1 WHERE id = :id", id=house.event_id)
    async with listening(server.address, server.token(Role.STAFF), house.performance_id) as recording:
        assert kinds(recording) == ["snapshot"]
        code, _, _ = await refusal(server, house.performance_id)
        assert code is grpc.StatusCode.NOT_FOUND
        execute(database, "UPDATE events SET state = 2 WHERE id = :id", id=house.event_id)
        async with watching(server, house) as public:
            assert kinds(public) == ["snapshot"]


@pytest.mark.promise("1.3")
async def test_a_watcher_needs_a_token(server: FeedServer, house: Staged) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        stream = event_pb2_grpc.EventServiceStub(channel).WatchSeats(
            WatchSeatsRequest(performance=f"performances/{house.performance_id}")
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stream.read()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    code, reason, _ = await refusal(server, house.performance_id, token="x.y.z")
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


# --- time and endings ---------------------------------------------------------------------------------------------


async def test_silence_is_broken_by_heartbeats(house: Staged, database_url: str) -> None:
    async with feed_server(database_url, None, replace(QUICK, heartbeat=0.5)) as server:
        await server.hold(house.performance_id, 1)
        async with watching(server, house) as recording:
            await until(lambda: len(recording.messages) >= 4)
    assert kinds(recording)[:4] == ["snapshot", "heartbeat", "heartbeat", "heartbeat"]
    assert {message.revision for message in recording.messages} == {1}


async def ended(recording: Recording, reason: Reconnect.Reason.ValueType, revision: int) -> None:
    """The stream says goodbye, and then ends with OK."""
    await until(lambda: kinds(recording)[-1] == "reconnect")
    last: WatchSeatsResponse = recording.messages[-1]
    assert (last.reconnect.reason, last.revision) == (reason, revision)


async def test_a_stream_ends_at_its_age_and_goes_on_where_it_ended(house: Staged, database_url: str) -> None:
    async with feed_server(database_url, None, replace(QUICK, heartbeat=1.0, max_age=0.6)) as server:
        recording = Recording(house.performance_id)

        async def hear(revision: int) -> None:
            """Watch over streams that live for a moment, until one of them has said so much."""
            async with asyncio.timeout(60):
                while recording.revision < revision:
                    await listen(recording, server.address, server.token())

        await server.hold(house.performance_id, 1)
        await hear(1)
        await ended(recording, Reconnect.AGE, 1)
        await server.hold(house.performance_id, 2)
        await hear(2)
        assert kinds(recording)[-2:] == ["changes", "reconnect"]
        assert not faults(recording, Truth.read(server.database, house.performance_id))


async def test_the_last_message_is_followed_by_ok(house: Staged, database_url: str) -> None:
    async with (
        feed_server(database_url, None, replace(QUICK, heartbeat=1.0, max_age=0.2)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stream = seat_stream(channel, server.token(), house.performance_id)
        messages = [message async for message in stream]
        assert messages[-1].HasField("reconnect")
        assert await stream.code() is grpc.StatusCode.OK


async def test_a_server_that_stops_says_so_and_takes_no_more(server: FeedServer, house: Staged) -> None:
    async with watching(server, house) as recording:
        server.draining.set()
        await ended(recording, Reconnect.DRAIN, 0)
    code, reason, _ = await refusal(server, house.performance_id)
    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")


async def test_a_revoked_token_ends_its_streams_and_no_others(house: Staged, database_url: str) -> None:
    async with feed_server(database_url, None, replace(QUICK, token_check=0.2)) as server:
        # The check of tokens happens on the ticks of the heartbeat's clock, twice a second.
        session = uuid4()
        token = server.token(session_id=session)
        async with (
            listening(server.address, token, house.performance_id) as recording,
            watching(server, house) as other,
        ):
            server.revocations.add([session])
            await ended(recording, Reconnect.TOKEN, 0)
            assert kinds(other) == ["snapshot"]


async def test_an_expired_token_ends_its_streams(
    house: Staged, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = replace(QUICK, token_check=0.2)
    async with (
        feed_server(database_url, None, quick, token_ttl=timedelta(hours=1)) as server,
        watching(server, house) as recording,
    ):
        later = now() + timedelta(hours=1)
        monkeypatch.setattr("server.interceptors.authentication.now", lambda: later)
        await ended(recording, Reconnect.TOKEN, 0)


async def test_a_performance_that_is_deleted_ends_its_streams_for_good(
    server: FeedServer, house: Staged, database: Database
) -> None:
    async with watching(server, house) as recording:
        database.run_transaction(lambda session: delete_inventory(session, house.performance_id))
        await ended(recording, Reconnect.FINISHED, 0)
    code, _, _ = await refusal(server, house.performance_id)
    assert code is grpc.StatusCode.NOT_FOUND


async def test_a_database_that_was_set_back_sends_watchers_to_the_start(
    server: FeedServer, house: Staged, database: Database
) -> None:
    """As after a restore from a backup: revisions that were told never happened."""
    async with watching(server, house) as recording:
        await server.hold(house.performance_id, 1)
        await server.hold(house.performance_id, 2)
        await until(lambda: recording.revision == 2)
        execute(
            database, "DELETE FROM seat_changes WHERE performance_id = :id AND revision = 2", id=house.performance_id
        )
        execute(database, "UPDATE inventories SET revision = 1 WHERE performance_id = :id", id=house.performance_id)
        await ended(recording, Reconnect.AGE, 0)
    code, reason, _ = await refusal(server, house.performance_id, 2)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REVISION_IN_FUTURE")


async def test_a_history_that_went_on_otherwise_after_a_restore_is_noticed(
    server: FeedServer, house: Staged, database: Database
) -> None:
    """The database was set back and has gone on beyond where it was: only the frames tell the histories apart."""
    async with watching(server, house) as recording:
        await server.hold(house.performance_id, 1)
        await until(lambda: recording.revision == 1)
        execute(
            database,
            "UPDATE seat_changes SET body = (SELECT body || body FROM seat_changes c WHERE c.performance_id = :id)"
            " WHERE performance_id = :id",
            id=house.performance_id,
        )
        execute(
            database,
            "INSERT INTO seat_changes (performance_id, revision, body)"
            " SELECT performance_id, 2, body FROM seat_changes WHERE performance_id = :id",
            id=house.performance_id,
        )
        execute(database, "UPDATE inventories SET revision = 2 WHERE performance_id = :id", id=house.performance_id)
        await ended(recording, Reconnect.AGE, 0)
