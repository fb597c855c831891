"""What applications that watch seats were told, message by message, over as many streams as it took."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from rowlock.v1 import seat_feed_pb2 as pb

PATH = "/rowlock.v1.EventService/WatchSeats"


@dataclass
class Stream:
    """One call of WatchSeats: what it resumed from, and everything that came."""

    resume_revision: int
    messages: list[pb.WatchSeatsResponse] = field(default_factory=list)


@dataclass
class Recording:
    """One application: its streams in order. It keeps a seat map as a client would."""

    performance_id: int
    streams: list[Stream] = field(default_factory=list)
    revision: int = 0
    states: bytearray = field(default_factory=bytearray)

    @property
    def messages(self) -> list[pb.WatchSeatsResponse]:
        """Everything that it was told, over all its streams."""
        return [message for stream in self.streams for message in stream.messages]

    def take(self, message: pb.WatchSeatsResponse) -> None:
        """Do what a client does with a message."""
        self.streams[-1].messages.append(message)
        if message.HasField("snapshot"):
            self.states = bytearray(message.snapshot.states)
        for change in message.changes.changes:
            self.states[change.index] = change.state
        self.revision = message.revision

    def forget(self, count: int) -> None:
        """Lose the last messages, as an application does that ends before it has saved them."""
        kept = self.messages[: max(0, len(self.messages) - count)]
        streams = self.streams
        self.streams, self.revision, self.states = [], 0, bytearray()
        for stream in streams:
            self.streams.append(Stream(stream.resume_revision))
            for message in stream.messages[: len(kept)]:
                self.take(message)
            kept = kept[len(stream.messages) :]
            if not kept:
                return


def seat_stream(
    channel: grpc.aio.Channel, token: str, performance_id: int, resume_revision: int = 0
) -> "grpc.aio.UnaryStreamCall[Any, pb.WatchSeatsResponse]":
    """Call WatchSeats."""
    call = channel.unary_stream(
        PATH,
        request_serializer=pb.WatchSeatsRequest.SerializeToString,
        response_deserializer=pb.WatchSeatsResponse.FromString,
    )
    request = pb.WatchSeatsRequest(performance=f"performances/{performance_id}", resume_revision=resume_revision)
    stream: grpc.aio.UnaryStreamCall[Any, pb.WatchSeatsResponse] = call(
        request, metadata=(("authorization", f"Bearer {token}"),)
    )
    return stream


async def listen(
    recording: Recording,
    address: str,
    token: str,
    *,
    pause: Callable[[], float] = lambda: 0.0,
    stop_when: Callable[[pb.WatchSeatsResponse], bool] = lambda _message: False,
) -> None:
    """Watch over one stream, from where the recording ends, until the server or the condition ends it.

    Args:
        recording: goes on.
        address: of the server.
        token: for it.
        pause: seconds to wait before each message is read.
        stop_when: a message after which the stream is let go.
    """
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        stream = seat_stream(channel, token, recording.performance_id, recording.revision)
        recording.streams.append(Stream(recording.revision))
        async for message in stream:
            recording.take(message)
            if message.HasField("reconnect") or stop_when(message):
                return
            if (seconds := pause()) > 0:
                await asyncio.sleep(seconds)


@asynccontextmanager
async def listening(address: str, token: str, performance_id: int, **how: Any) -> AsyncIterator[Recording]:
    """A recording of one stream that goes on for the length of the block."""
    recording = Recording(performance_id)
    task = asyncio.create_task(listen(recording, address, token, **how))
    try:
        await until(lambda: bool(recording.messages) or task.done())
        yield recording
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
            await task


async def next_changes(stream: Any) -> tuple[int, list[tuple[int, int]]]:
    """The revision and the changes, place and state, of the next message that has any; heartbeats are passed over."""
    async with asyncio.timeout(60):
        while not (message := await stream.read()).HasField("changes"):
            assert message.HasField("heartbeat"), message
    return message.revision, [(change.index, change.state) for change in message.changes.changes]


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Return when the condition holds.

    Raises:
        TimeoutError: it did not come to hold in time.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is of any kind
            await asyncio.sleep(0.005)
