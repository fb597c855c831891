"""The watcher against a feed that misbehaves on cue, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio
import pytest

from rowlock.v1 import auth_pb2, auth_pb2_grpc, booking_pb2, booking_pb2_grpc, event_pb2_grpc
from rowlock.v1.booking_pb2 import Booking, WatchBookingResponse
from rowlock.v1.seat_feed_pb2 import SeatChange, SeatChanges, SeatSnapshot, WatchSeatsRequest, WatchSeatsResponse
from rowlock.v1.stream_pb2 import Heartbeat, Reconnect
from rowlock_client import RetryPolicy, Tokens, aio
from rowlock_client.aio import SeatWatcher, StreamState
from rowlock_client.errors import NotFound, Unauthenticated, Unavailable
from rowlock_client.tokens import MemoryStore
from server.errors import InvalidArgument, RowlockError
from server.errors import NotFound as ServerNotFound
from server.errors import Unauthenticated as Refused
from server.errors import Unavailable as Away
from server.interceptors.status import refuse

Scene = Callable[[WatchSeatsRequest], AsyncIterator[WatchSeatsResponse]]
QUICK = RetryPolicy(first_pause=0.001, longest_pause=0.01)


@dataclass
class Feed(event_pb2_grpc.EventServiceServicer, auth_pb2_grpc.AuthServiceServicer):
    """Plays one scene per connection."""

    scenes: list[Scene] = field(default_factory=list)
    resumed_from: list[int] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def WatchSeats(self, request: WatchSeatsRequest, context: Any) -> AsyncIterator[WatchSeatsResponse]:
        self.resumed_from.append(request.resume_revision)
        self.tokens.append(dict(context.invocation_metadata()).get("authorization", ""))
        try:
            async for message in self.scenes[len(self.resumed_from) - 1](request):
                yield message
        except RowlockError as error:
            await refuse(context, error)

    async def RefreshToken(self, request: auth_pb2.RefreshTokenRequest, context: Any) -> auth_pb2.RefreshTokenResponse:
        answer = auth_pb2.RefreshTokenResponse(access_token="renewed", refresh_token="refresh-2")
        answer.access_expire_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=15))
        return answer


@pytest.fixture
async def feed() -> AsyncIterator[tuple[Feed, str]]:
    server = grpc.aio.server()
    played = Feed()  # type: ignore[abstract]  # it plays only what is asked for
    event_pb2_grpc.add_EventServiceServicer_to_server(played, server)
    auth_pb2_grpc.add_AuthServiceServicer_to_server(played, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield played, f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
async def client(feed: tuple[Feed, str]) -> AsyncIterator[aio.Client]:
    now = datetime.now(UTC)
    held = Tokens("first", now + timedelta(minutes=15), now, "refresh-1")
    async with aio.Client(feed[1], store=MemoryStore(held), retry=QUICK) as opened:
        yield opened


def snapshot(revision: int, *states: int, reset: bool = False) -> WatchSeatsResponse:
    return WatchSeatsResponse(revision=revision, snapshot=SeatSnapshot(states=bytes(states), reset=reset))


def change(revision: int, index: int, state: int) -> WatchSeatsResponse:
    told = SeatChanges(changes=[SeatChange(index=index, state=state)])  # type: ignore[arg-type]
    return WatchSeatsResponse(revision=revision, changes=told)


def heartbeat(revision: int) -> WatchSeatsResponse:
    return WatchSeatsResponse(revision=revision, heartbeat=Heartbeat())


def reconnect(revision: int, reason: Reconnect.Reason.ValueType) -> WatchSeatsResponse:
    return WatchSeatsResponse(revision=revision, reconnect=Reconnect(reason=reason))


def scene(*steps: WatchSeatsResponse | RowlockError, then_silent: bool = False) -> Scene:
    """Say these messages, then end, fail or fall silent."""

    async def play(request: WatchSeatsRequest) -> AsyncIterator[WatchSeatsResponse]:
        for step in steps:
            if isinstance(step, RowlockError):
                raise step
            yield step
        if then_silent:
            await asyncio.sleep(60)

    return play


async def take(watcher: SeatWatcher, updates: int) -> list[tuple[int, bytes]]:
    """Revision and states after each of so many updates."""
    seen = []
    async with asyncio.timeout(60):
        for _ in range(updates):
            update = await anext(watcher)
            assert update.revision == watcher.view.revision
            seen.append((update.revision, watcher.view.states))
    return seen


async def test_it_follows_the_feed(feed: tuple[Feed, str], client: aio.Client) -> None:
    feed[0].scenes = [scene(snapshot(3, 1, 1), heartbeat(3), change(4, 1, 2), heartbeat(4), change(5, 1, 3))]

    async with client.watch_seats("performances/1") as watcher:
        assert await take(watcher, 3) == [(3, b"\1\1"), (4, b"\1\2"), (5, b"\1\3")]
        states = [watcher.state]

    assert [*states, watcher.state] == [StreamState.LIVE, StreamState.ENDED]
    assert watcher.faults == []
    assert feed[0].tokens == ["Bearer first"]


@pytest.mark.parametrize(
    "end",
    [
        reconnect(4, Reconnect.AGE),
        reconnect(4, Reconnect.DRAIN),
        reconnect(4, Reconnect.SLOW),
        Away("DRAINING", "stopping"),
        RowlockError("INTERNAL", "a fault"),
        None,
    ],
    ids=["age", "drain", "slow", "unavailable", "internal", "end without a word"],
)
async def test_it_resumes_from_the_last_revision(
    feed: tuple[Feed, str], client: aio.Client, end: WatchSeatsResponse | RowlockError | None
) -> None:
    first = [snapshot(3, 1, 1), change(4, 0, 2), *([end] if end else [])]
    feed[0].scenes = [scene(*first), scene(change(5, 0, 3))]

    async with client.watch_seats("performances/1") as watcher:
        assert [revision for revision, _ in await take(watcher, 3)] == [3, 4, 5]

    assert feed[0].resumed_from == [0, 4]
    assert watcher.connections == 2
    assert watcher.faults == []


async def test_silence_means_a_dead_connection(feed: tuple[Feed, str], client: aio.Client) -> None:
    def play(request: WatchSeatsRequest) -> AsyncIterator[WatchSeatsResponse]:
        begins = request.resume_revision == 0
        return (scene(snapshot(3, 1), then_silent=True) if begins else scene(heartbeat(3), change(4, 0, 2)))(request)

    # As many connections as it takes: if the machine stands still, those that work are silent, too.
    feed[0].scenes = [play] * 100

    async with client.watch_seats("performances/1", silence=0.1) as watcher:
        assert await take(watcher, 2) == [(3, b"\1"), (4, b"\2")]
        assert isinstance(watcher.last_error, Unavailable)

    assert (feed[0].resumed_from[0], feed[0].resumed_from[-1]) == (0, 3)


async def test_heartbeats_keep_a_quiet_connection(feed: tuple[Feed, str], client: aio.Client) -> None:
    async def quiet(request: WatchSeatsRequest) -> AsyncIterator[WatchSeatsResponse]:
        yield heartbeat(3) if request.resume_revision else snapshot(3, 1)
        for _ in range(8):
            await asyncio.sleep(0.05)
            yield heartbeat(3)
        yield change(4, 0, 2)

    # Without the heartbeats no connection would live to see the change; one of them does, whatever the machine does.
    feed[0].scenes = [quiet] * 100

    async with client.watch_seats("performances/1", silence=0.2) as watcher:
        assert await take(watcher, 2) == [(3, b"\1"), (4, b"\2")]


@pytest.mark.parametrize(
    "lie", [change(6, 0, 3), change(4, 0, 3), heartbeat(5), snapshot(2, 1)], ids=["gap", "twice", "silent gap", "back"]
)
async def test_a_broken_promise_is_noted_and_healed_by_a_snapshot(
    feed: tuple[Feed, str], client: aio.Client, lie: WatchSeatsResponse
) -> None:
    feed[0].scenes = [scene(snapshot(3, 1), change(4, 0, 2), lie, then_silent=True), scene(snapshot(6, 3))]

    async with client.watch_seats("performances/1") as watcher:
        assert (await take(watcher, 3))[-1] == (6, b"\3")

    assert feed[0].resumed_from == [0, 0]
    assert len(watcher.faults) == 1


async def test_a_database_put_back_in_time_is_followed(feed: tuple[Feed, str], client: aio.Client) -> None:
    future = InvalidArgument("REVISION_IN_FUTURE", "not yet", revision="2")
    feed[0].scenes = [scene(snapshot(9, 3), reconnect(9, Reconnect.DRAIN)), scene(future), scene(snapshot(2, 1))]

    async with client.watch_seats("performances/1") as watcher:
        assert await take(watcher, 2) == [(9, b"\3"), (2, b"\1")]

    assert feed[0].resumed_from == [0, 9, 0]


async def test_a_slow_application_gets_one_snapshot_with_the_differences(
    feed: tuple[Feed, str], client: aio.Client
) -> None:
    feed[0].scenes = [scene(snapshot(3, 1, 1, 1), snapshot(90, 1, 3, 2, reset=True), change(91, 0, 2))]

    async with client.watch_seats("performances/1") as watcher:
        await anext(watcher)
        update = await anext(watcher)
        assert [(change.index, change.before, change.after) for change in update.changes] == [(1, 1, 3), (2, 1, 2)]
        await anext(watcher)

    assert watcher.faults == []


async def test_a_cancelled_wait_loses_nothing(feed: tuple[Feed, str], client: aio.Client) -> None:
    feed[0].scenes = [scene(snapshot(3, 1), then_silent=True), scene(change(4, 0, 2))]

    async with client.watch_seats("performances/1") as watcher:
        await anext(watcher)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(watcher), 0.05)
        assert await take(watcher, 1) == [(4, b"\2")]


async def test_the_end_of_the_token_brings_a_new_one(feed: tuple[Feed, str], client: aio.Client) -> None:
    feed[0].scenes = [scene(snapshot(3, 1), reconnect(3, Reconnect.TOKEN)), scene(change(4, 0, 2))]

    async with client.watch_seats("performances/1") as watcher:
        await take(watcher, 2)

    assert feed[0].tokens == ["Bearer first", "Bearer renewed"]


async def test_a_refused_token_is_renewed_once(feed: tuple[Feed, str], client: aio.Client) -> None:
    refusal = Refused("TOKEN_REVOKED", "no")
    feed[0].scenes = [scene(refusal), scene(refusal)]

    async with client.watch_seats("performances/1") as watcher:
        with pytest.raises(Unauthenticated):
            await take(watcher, 1)

    assert feed[0].tokens == ["Bearer first", "Bearer renewed"]


async def test_what_does_not_exist_cannot_be_watched(feed: tuple[Feed, str], client: aio.Client) -> None:
    feed[0].scenes = [scene(ServerNotFound.of("performances/1"))]

    async with client.watch_seats("performances/1") as watcher:
        with pytest.raises(NotFound):
            await anext(watcher)


async def test_patience_ends_where_nobody_answers(client: aio.Client) -> None:
    async with aio.Client("127.0.0.1:1") as nobody:
        watcher = nobody.watch_seats("performances/1", retry=RetryPolicy(first_pause=0.01, patience=0.1))
        with pytest.raises(Unavailable):
            await asyncio.wait_for(anext(watcher), 60)


async def test_it_outlives_a_restart_of_the_server() -> None:
    async def serve(port: int, *scenes: Scene) -> tuple[grpc.aio.Server, Feed, int]:
        server, played = grpc.aio.server(), Feed(scenes=list(scenes))  # type: ignore[abstract]
        event_pb2_grpc.add_EventServiceServicer_to_server(played, server)
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        return server, played, bound

    first, _, port = await serve(0, scene(snapshot(3, 1), then_silent=True))
    async with aio.Client(f"127.0.0.1:{port}", retry=QUICK) as client, client.watch_seats("performances/1") as watcher:
        await anext(watcher)
        waiting = asyncio.create_task(anext(watcher))
        await first.stop(None)
        second, played, _ = await serve(port, scene(change(4, 0, 2), then_silent=True))
        assert (await asyncio.wait_for(waiting, 60)).revision == 4
        assert played.resumed_from == [3]
        await second.stop(None)


class Box(booking_pb2_grpc.BookingServiceServicer):
    def __init__(self) -> None:
        self.calls = 0

    async def WatchBooking(
        self, request: booking_pb2.WatchBookingRequest, context: Any
    ) -> AsyncIterator[WatchBookingResponse]:
        self.calls += 1
        if self.calls == 1:
            yield WatchBookingResponse(booking=Booking(name=request.name, state=Booking.HELD))
            yield WatchBookingResponse(heartbeat=Heartbeat())
            yield WatchBookingResponse(reconnect=Reconnect(reason=Reconnect.DRAIN))
        else:
            yield WatchBookingResponse(booking=Booking(name=request.name, state=Booking.EXPIRED))
            yield WatchBookingResponse(reconnect=Reconnect(reason=Reconnect.FINISHED))


async def test_a_booking_is_watched_to_its_end() -> None:
    server = grpc.aio.server()
    booking_pb2_grpc.add_BookingServiceServicer_to_server(Box(), server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.Client(f"127.0.0.1:{port}", retry=QUICK) as client:
        states = [booking.state async for booking in client.watch_booking("performances/1/bookings/x")]
    await server.stop(None)

    assert states == [Booking.HELD, Booking.EXPIRED]
