"""What every RPC passes, over a real socket: guards, validation, errors as statuses, streams and their ends.

The servicers here are stand-ins whose behaviour each test chooses; everything around them is real.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from rowlock.v1 import auth_pb2, auth_pb2_grpc, event_pb2_grpc, seat_feed_pb2, waiting_room_pb2, waiting_room_pb2_grpc
from server.access_log import AccessLog
from server.config import LogFormat, LogLevel, Settings
from server.db.engine import Database, deadline
from server.domain.signing_keys import keys_of
from server.domain.tokens import Tokens
from server.errors import FailedPrecondition, FieldFault, InvalidArgument, Unavailable
from server.interceptors import make_chain
from server.interceptors.address import Addresses
from server.interceptors.authentication import Authenticator, caller
from server.interceptors.draining import Draining
from server.interceptors.observe import Observer
from server.interceptors.rate_limit import LocalBuckets, RateLimits
from server.interceptors.revocations import Revocations
from server.interceptors.streams import OpenStreams
from server.interceptors.validation import Validation
from server.listening import channel_options
from server.rates import Rate
from server.registration import register
from server.states import Role
from tests.eventually import eventually

OWN = auth_pb2.GetUserRequest(name="users/me")
HALL = seat_feed_pb2.WatchSeatsRequest(performance="performances/1")


class Accounts(auth_pb2_grpc.AuthServiceServicer):
    """GetUser does what the test says."""

    act: Callable[[Any], Awaitable[Any]]

    async def GetUser(self, request: Any, context: Any) -> Any:
        return await self.act(request)

    async def LogIn(self, request: Any, context: Any) -> Any:
        return auth_pb2.LogInResponse()


class Events(event_pb2_grpc.EventServiceServicer):
    """WatchSeats streams what the test says."""

    stream: Callable[[], AsyncIterator[Any]]

    def WatchSeats(self, request: Any, context: Any) -> AsyncIterator[Any]:
        return self.stream()


@dataclass
class Stage:
    """A server with its stand-ins, and a client."""

    accounts: Accounts
    events: Events
    channel: grpc.aio.Channel
    streams: OpenStreams
    port: int
    metadata: tuple[tuple[str, str], ...]
    draining: Draining
    log: list[dict[str, Any]] = field(default_factory=list)

    async def get_user(self, **call: Any) -> auth_pb2.User:
        call.setdefault("metadata", self.metadata)
        return await auth_pb2_grpc.AuthServiceStub(self.channel).GetUser(OWN, timeout=60, **call)

    async def refusal(self, **call: Any) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.get_user(**call)
        return refused.value

    def raw(self, path: str = "/rowlock.v1.AuthService/GetUser") -> Any:
        return self.channel.unary_unary(path, None, None)

    def watch(self) -> Any:
        return event_pb2_grpc.EventServiceStub(self.channel).WatchSeats(HALL, metadata=self.metadata)


Staging = Callable[..., Any]


@pytest.fixture
def staged(database: Database, settings: Settings) -> Staging:
    keys = keys_of([Ed25519PrivateKey.generate()])
    tokens = Tokens(keys, issuer="i", audience="a", ttl=timedelta(minutes=5))
    revocations = Revocations(database, interval=timedelta(minutes=5), token_ttl=timedelta(minutes=5))

    @asynccontextmanager
    async def stage(limits: RateLimits | None = None, *, streams: OpenStreams | None = None) -> AsyncIterator[Stage]:
        lines: list[dict[str, Any]] = []
        log = AccessLog(lambda line: lines.append(json.loads(line)), LogFormat.JSON, LogLevel.INFO)
        if streams is None:  # one without any stream is false
            streams = OpenStreams(most=10, most_per_account=3, write_timeout=60)
        draining = Draining()
        chain = make_chain(
            observer=Observer(log, Addresses()),
            authenticator=Authenticator(tokens, revocations),
            rate_limits=limits or RateLimits(),
            validation=Validation(settings.max_receive_bytes),
            streams=streams,
            draining=draining,
            default_deadline=30,
        )
        accounts, events = Accounts(), Events()  # type: ignore[abstract]
        server = grpc.aio.server(options=channel_options(settings))
        register(server, [accounts, events], chain)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        token = tokens.issue(uuid4(), Role.CUSTOMER, session_id=uuid4()).text
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        yield Stage(accounts, events, channel, streams, port, (("authorization", f"Bearer {token}"),), draining, lines)
        await channel.close(None)
        await server.stop(None)

    return stage


def raising(error: BaseException) -> Callable[[Any], Awaitable[Any]]:
    async def act(_request: Any) -> Any:
        raise error

    return act


def details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """The details of a status, by their type."""
    metadata: Any = error.trailing_metadata()
    packed = dict(metadata)["grpc-status-details-bin"]
    assert len(packed) <= 2048
    status = status_pb2.Status.FromString(packed)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    found: dict[str, Any] = {}
    for detail in status.details:
        kind = getattr(error_details_pb2, detail.TypeName().rpartition(".")[2])
        found[kind.__name__] = kind.FromString(detail.value)
    return found


def fields(error: grpc.aio.AioRpcError) -> list[str]:
    return [violation.field for violation in details(error)["BadRequest"].field_violations]


# -- A call that goes well ----------------------------------------------------------------------------------


async def test_a_good_call_knows_its_caller_and_its_deadline(staged: Staging) -> None:
    seen: list[Any] = []

    async def act(request: Any) -> Any:
        seen.extend((request, caller().role, deadline.get()))
        return auth_pb2.User(name="users/me")

    async with staged() as stage:
        stage.accounts.act = act
        answer = await stage.get_user()
        assert answer.name == "users/me"
        assert seen[:2] == [OWN, Role.CUSTOMER]
        assert seen[2] is not None


async def test_an_answer_that_is_bytes_already_is_sent_as_it_is(staged: Staging) -> None:
    async def act(_request: Any) -> bytes:
        return auth_pb2.User(name="users/stored").SerializeToString()

    async with staged() as stage:
        stage.accounts.act = act
        assert (await stage.get_user()).name == "users/stored"


async def test_every_call_is_one_log_line(staged: Staging) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"

    async def act(_request: Any) -> Any:
        return auth_pb2.User()

    async with staged() as stage:
        stage.accounts.act = act
        await stage.get_user(metadata=(*stage.metadata, ("traceparent", f"00-{trace}-b7ad6b7169203331-01")))
        line = stage.log[-1]
        assert (line["method"], line["code"], line["reason"]) == ("/rowlock.v1.AuthService/GetUser", "OK", "")
        assert (line["address"], line["trace_id"], line["level"]) == ("127.0.0.1", trace, "info")
        assert line["caller"].startswith("users/")
        assert 0 < line["duration_ms"] < 5000
        await stage.refusal(metadata=())
        assert (stage.log[-1]["code"], stage.log[-1]["reason"]) == ("UNAUTHENTICATED", "TOKEN_MISSING")
        assert len(stage.log) == 2
        assert "eyJ" not in json.dumps(stage.log)


# -- Errors ----------------------------------------------------------------------------------------------------


async def test_a_refusal_carries_its_code_reason_metadata_and_delay(staged: Staging) -> None:
    async with staged() as stage:
        stage.accounts.act = raising(Unavailable("OVERLOADED", "come back", retry_after=1.5, queue="7"))
        error = await stage.refusal()
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        found = details(error)
        info = found["ErrorInfo"]
        assert (info.reason, info.domain, dict(info.metadata)) == ("OVERLOADED", "rowlock.dev", {"queue": "7"})
        assert found["RetryInfo"].retry_delay.ToTimedelta() == timedelta(seconds=1.5)
        assert found["RequestInfo"].request_id == stage.log[-1]["trace_id"]


async def test_the_synchronous_client_reads_the_details_too(staged: Staging) -> None:
    def call(port: int, metadata: Any) -> Any:
        with (
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
            pytest.raises(grpc.RpcError) as refused,
        ):
            auth_pb2_grpc.AuthServiceStub(channel).GetUser(OWN, metadata=metadata, timeout=60)
        return rpc_status.from_call(refused.value)  # type: ignore[arg-type]

    async with staged() as stage:
        stage.accounts.act = raising(FailedPrecondition("SEAT_TAKEN", "taken", seats="A-1"))
        status = await asyncio.to_thread(call, stage.port, stage.metadata)
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert info.metadata["seats"] == "A-1"


@pytest.mark.parametrize(
    "text", ["Plätze sind vergeben 🎭", "two\nlines\0and a zero", "a lone \ud800 surrogate", "%41%"]
)
async def test_any_text_survives_the_way(staged: Staging, text: str) -> None:
    async with staged() as stage:
        stage.accounts.act = raising(FailedPrecondition("SEAT_TAKEN", text, seats=text))
        error = await stage.refusal()
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert error.details() == text.replace("\ud800", "?")
        assert details(error)["ErrorInfo"].metadata["seats"] == error.details()


async def test_details_stay_small_and_say_what_they_leave_out(staged: Staging) -> None:
    seats = ",".join(f"Stalls-A-{number}" for number in range(1000))
    faults = [FieldFault(f"seats[{number}]", "é" * 300) for number in range(1000)]
    async with staged() as stage:
        stage.accounts.act = raising(InvalidArgument("SEAT_UNKNOWN", "m" * 5000, fields=faults, seats=seats))
        found = details(await stage.refusal())
        assert found["ErrorInfo"].metadata["seats"].endswith(",…")
        assert found["ErrorInfo"].metadata["seats"].startswith("Stalls-A-0,Stalls-A-1,")
        shown = found["BadRequest"].field_violations
        assert shown[0].field == "seats[0]"
        assert shown[-1].description == f"{1001 - len(shown)} further faults are not shown"


async def test_a_fault_of_ours_is_internal_and_says_only_where_to_look(
    staged: Staging, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged() as stage:
        stage.accounts.act = raising(RuntimeError("SELECT password FROM users"))
        error = await stage.refusal()
        assert error.code() is grpc.StatusCode.INTERNAL
        found = details(error)
        assert found["ErrorInfo"].reason == "INTERNAL"
        assert found["ErrorInfo"].metadata["incident"] == stage.log[-1]["trace_id"]
        assert "password" not in repr(error)
        assert stage.log[-1]["level"] == "error"


async def test_what_this_release_does_not_serve_is_unimplemented(staged: Staging) -> None:
    async with staged() as stage:
        stub = waiting_room_pb2_grpc.WaitingRoomServiceStub(stage.channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.JoinQueue(waiting_room_pb2.JoinQueueRequest(), timeout=60)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert details(refused.value)["ErrorInfo"].reason == "NOT_IMPLEMENTED"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.WatchQueueEntry(waiting_room_pb2.WatchQueueEntryRequest(), timeout=60).read()
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


# -- Bad input -------------------------------------------------------------------------------------------------


async def _invalid(stage: Stage, raw: bytes, path: str = "/rowlock.v1.AuthService/LogIn") -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stage.raw(path)(raw, timeout=60)
    return refused.value


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xff\xff",
        b"\x0a\x05ab",  # shorter than it says
        b"\x0a\x02\xc3\x28",  # not UTF-8
        b"\x0a\x03\xed\xa0\x80",  # a surrogate in UTF-8
        b"\x13" * 200,  # nested groups
    ],
)
async def test_bytes_that_are_no_message_are_invalid(staged: Staging, raw: bytes) -> None:
    async with staged() as stage:
        error = await _invalid(stage, raw)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert details(error)["ErrorInfo"].reason == "INVALID_FIELD"


async def test_every_field_at_fault_is_named(staged: Staging) -> None:
    async with staged() as stage:
        error = await _invalid(stage, auth_pb2.LogInRequest(password="x" * 10_000).SerializeToString())
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert set(fields(error)) == {"email", "password"}
        assert "x" * 50 not in str(error)


async def test_who_may_not_call_learns_nothing_about_the_request(staged: Staging) -> None:
    async with staged() as stage:
        error = await _invalid(stage, b"\xff", path="/rowlock.v1.AuthService/GetUser")
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_request_that_is_too_large_is_told_the_limit(staged: Staging, settings: Settings) -> None:
    async with staged() as stage:
        error = await _invalid(stage, b"\0" * (settings.max_receive_bytes + 1))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details(error)["ErrorInfo"].metadata["limit_bytes"] == str(int(settings.max_receive_bytes))
        error = await _invalid(stage, b"\0" * (settings.max_receive_bytes * 10))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_bomb_is_not_unpacked(staged: Staging) -> None:
    async with staged() as stage:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stage.raw()(b"\0" * 50_000_000, compression=grpc.Compression.Gzip, timeout=60)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_metadata_of_20_kb_is_refused_and_of_6_kb_is_not(staged: Staging) -> None:
    async def act(_request: Any) -> Any:
        return auth_pb2.User()

    async with staged() as stage:
        stage.accounts.act = act
        for _ in range(10):
            await stage.get_user(metadata=(*stage.metadata, ("x-much", "x" * 6_000)))
            error = await stage.refusal(metadata=(*stage.metadata, ("x-much", "x" * 20_000)))
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


# -- Limits and deadlines -----------------------------------------------------------------------------------


async def test_too_many_calls_are_told_when_to_come_back(staged: Staging) -> None:
    async def act(_request: Any) -> Any:
        return auth_pb2.User()

    async with staged(RateLimits(per_account=LocalBuckets(Rate(3, 10_800)))) as stage:
        stage.accounts.act = act
        for _ in range(3):
            await stage.get_user()
        error = await stage.refusal()
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        found = details(error)
        assert (found["ErrorInfo"].reason, dict(found["ErrorInfo"].metadata)) == ("RATE_LIMITED", {"limit": "account"})
        assert timedelta(minutes=50) < found["RetryInfo"].retry_delay.ToTimedelta() <= timedelta(hours=1)


async def test_who_asks_is_told_of_each_limit_how_much_of_it_is_left(staged: Staging) -> None:
    async def act(_request: Any) -> Any:
        return auth_pb2.User()

    limits = RateLimits(per_account=LocalBuckets(Rate(2, 3600)), per_address=LocalBuckets(Rate(100, 360_000)))
    async with staged(limits) as stage:
        stage.accounts.act = act
        call = auth_pb2_grpc.AuthServiceStub(stage.channel).GetUser(OWN, metadata=stage.metadata)
        await call
        assert not [key for key, _ in await call.trailing_metadata() if key.startswith("ratelimit")]

        asking = (*stage.metadata, ("rowlock-ratelimit", "1"))
        call = auth_pb2_grpc.AuthServiceStub(stage.channel).GetUser(OWN, metadata=asking)
        await call
        assert _told(await call.trailing_metadata()) == [
            ('"address";r=98', '"address";q=100;w=360000'),
            ('"account";r=0', '"account";q=2;w=3600'),
        ]
        error = await stage.refusal(metadata=asking)
        assert details(error)["ErrorInfo"].reason == "RATE_LIMITED"
        assert _told(error.trailing_metadata())[1][0] == '"account";r=0'


def _told(metadata: Any) -> list[tuple[str, str]]:
    """What is told of limits, but for the time, and of their policies."""
    told: dict[str, list[str]] = {"ratelimit": [], "ratelimit-policy": []}
    for key, value in metadata or ():
        if key in told:
            told[key].append(value.partition(";t=")[0])
    return list(zip(told["ratelimit"], told["ratelimit-policy"], strict=True))


async def test_a_call_whose_time_runs_out_is_logged_as_such(staged: Staging) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def act(_request: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with staged() as stage:
        stage.accounts.act = act
        get_user = auth_pb2_grpc.AuthServiceStub(stage.channel).GetUser
        patience = 0.2
        # On a machine that stands still meanwhile, the time may run out before the call has come to the server.
        while not begun.is_set():
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await get_user(OWN, metadata=stage.metadata, timeout=patience)
            assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            patience *= 2
        await asyncio.wait_for(ended.wait(), 60)
        await eventually(lambda: stage.log)
        assert stage.log[-1]["code"] == "DEADLINE_EXCEEDED"


# -- Streams -----------------------------------------------------------------------------------------------


def _heartbeat(revision: int) -> bytes:
    return seat_feed_pb2.WatchSeatsResponse(revision=revision).SerializeToString()


async def test_a_stream_carries_messages_and_bytes_alike(staged: Staging) -> None:
    async def stream() -> AsyncIterator[Any]:
        yield seat_feed_pb2.WatchSeatsResponse(revision=1)
        yield _heartbeat(2)

    async with staged() as stage:
        stage.events.stream = stream
        assert [message.revision async for message in stage.watch()] == [1, 2]
        assert stage.log[-1]["method"] == "/rowlock.v1.EventService/WatchSeats"
        assert stage.log[-1]["code"] == "OK"


@pytest.mark.parametrize("after", [0, 2])
async def test_a_stream_may_end_with_an_error_before_and_after_its_first_message(staged: Staging, after: int) -> None:
    async def stream() -> AsyncIterator[Any]:
        for number in range(after):
            yield _heartbeat(number)
        raise FailedPrecondition("PERFORMANCE_CANCELLED", "ç'est annulé")

    async with staged() as stage:
        stage.events.stream = stream
        watch = stage.watch()
        for _ in range(after):
            await watch.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await watch.read()
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert details(refused.value)["ErrorInfo"].reason == "PERFORMANCE_CANCELLED"


async def test_a_stream_is_closed_when_its_watcher_leaves(staged: Staging) -> None:
    closed = asyncio.Event()

    async def stream() -> AsyncIterator[Any]:
        try:
            yield _heartbeat(1)
            await asyncio.sleep(60)
        finally:
            closed.set()

    async with staged() as stage:
        stage.events.stream = stream
        watch = stage.watch()
        await watch.read()
        assert len(stage.streams) == 1
        watch.cancel()
        await asyncio.wait_for(closed.wait(), 60)
        await eventually(lambda: len(stage.streams) == 0 and stage.log)
        assert stage.log[-1]["code"] == "CANCELLED"


async def test_an_account_has_only_so_many_streams(staged: Staging) -> None:
    async def stream() -> AsyncIterator[Any]:
        yield _heartbeat(1)
        await asyncio.sleep(60)

    async with staged() as stage:
        stage.events.stream = stream
        open_streams = [stage.watch() for _ in range(3)]
        for watch in open_streams:
            await watch.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stage.watch().read()
        assert details(refused.value)["ErrorInfo"].metadata["limit"] == "streams"


async def test_a_reader_that_takes_nothing_is_cut_off_and_others_are_not(staged: Staging) -> None:
    frame = seat_feed_pb2.WatchSeatsResponse(revision=1).SerializeToString() + b"\xfa\x7f\x80\x80\x04" + b"\0" * 65_536
    running = 0

    async def stream() -> AsyncIterator[Any]:
        nonlocal running
        running += 1
        try:
            while True:
                yield frame
                await asyncio.sleep(0.005)  # slower than the reader that reads, so that nothing gathers for it
        finally:
            running -= 1

    limits = OpenStreams(most=10, most_per_account=3, write_timeout=3)
    async with staged(streams=limits) as stage:
        stage.events.stream = stream
        async with grpc.aio.insecure_channel(f"127.0.0.1:{stage.port}") as channel:
            reading = event_pb2_grpc.EventServiceStub(channel).WatchSeats(HALL, metadata=stage.metadata)
            lazy = stage.watch()
            await lazy.read()
            for _ in range(100):
                await reading.read()
            async with asyncio.timeout(60):
                while not (stage.log and stage.log[-1]["reason"] == "READER_STALLED"):
                    stage.streams.check()
                    await reading.read()
            assert running == 1
            assert len(stage.streams) == 1
            # A reader that comes back finds out why.
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await asyncio.wait_for(_drained(lazy), 60)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            reading.cancel()


async def _drained(watch: Any) -> None:
    while await watch.read():
        pass


async def test_a_server_about_to_stop_sends_new_calls_elsewhere(staged: Staging) -> None:
    async with staged() as stage:
        stage.draining.begin(0.3)
        error = await stage.refusal()
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert details(error)["ErrorInfo"].reason == "DRAINING"
        metadata: Any = error.trailing_metadata()
        # After the connection was closed, and soon.
        assert 300 <= int(dict(metadata)["grpc-retry-pushback-ms"]) + 50 <= 700
