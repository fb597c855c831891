"""The streams that are open: how many there may be, what they carry, and the end of those nobody reads.

A reader that takes nothing lets a few megabytes pass into buffers, and then a write waits for ever, without an
error. So once a second every write that has lasted since the last look is that much older, and those that have
lasted too long are cut off: what fed the stream is closed and its place is free. Its status waits behind the blocked
message, since gRPC for Python offers no way to reset a call, and so does a small task, until the reader reads on or
the connection ends.

Time in which this process itself stood still (stopped and continued, starved of CPU) is no reader's fault: however
long the pause between two looks, no write becomes older by more than `_LONGEST_STEP`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Any, Final

import grpc.aio
from google.protobuf.message import Message

from server.errors import ResourceExhausted, Unavailable
from server.interceptors.method import Context, Method
from server.interceptors.status import refuse
from server.metrics import STREAM_BYTES, STREAM_MESSAGES, STREAMS, STREAMS_STALLED

_CHECK_INTERVAL: Final = 1.0
_LONGEST_STEP: Final = 2 * _CHECK_INTERVAL


class StalledError(asyncio.CancelledError):
    """The stream was cut off because its reader took nothing."""


class ReaderGoneError(asyncio.CancelledError):
    """The reader went away while a message was written to it."""


class OpenStream:
    """One stream: its method, its task, and how long it has been writing its present message."""

    __slots__ = (
        "counted_bytes",
        "counted_messages",
        "method",
        "sent_bytes",
        "sent_messages",
        "stalled",
        "task",
        "waited",
        "writing",
    )

    def __init__(self, method: Method) -> None:
        self.method = method
        self.task = asyncio.current_task()
        self.writing = self.stalled = False
        self.waited = 0.0  # seconds, as far as the checks have seen
        self.sent_messages = self.sent_bytes = 0
        self.counted_messages = self.counted_bytes = 0

    async def send(self, messages: AsyncIterator[Any], context: Context) -> None:
        """Write every message; those that are bytes already are written as they are.

        Raises:
            StalledError: the reader took nothing for too long.
            ReaderGoneError: it went away.
        """
        write = context.write
        try:
            async with aclosing(messages) as source:  # type: ignore[type-var]
                async for message in source:
                    data = message.SerializeToString() if isinstance(message, Message) else message
                    self.writing = True
                    await write(data)
                    self.writing = False
                    self.sent_messages += 1
                    self.sent_bytes += len(data)
        except asyncio.CancelledError:
            if self.stalled:
                self._say_farewell(context)
                raise StalledError from None
            raise
        except grpc.aio.InternalError:
            # What a write says when the call has ended before gRPC cancels this task. No fault of anybody's.
            raise ReaderGoneError from None

    def _say_farewell(self, context: Context) -> None:
        error = Unavailable("OVERLOADED", "the stream was ended because its reader took nothing for too long")

        async def farewell() -> None:
            with suppress(grpc.aio.AbortError, grpc.aio.InternalError):
                await refuse(context, error)

        task = asyncio.create_task(farewell(), name="farewell")
        _farewells.add(task)
        task.add_done_callback(_farewells.discard)


# The event loop itself only keeps weak references to tasks.
_farewells: Final[set[asyncio.Task[None]]] = set()


class OpenStreams:
    """All streams of this process.

    Args:
        most: streams that may be open.
        most_per_account: of one account or key.
        write_timeout: seconds that one write may take.
    """

    def __init__(self, *, most: int, most_per_account: int, write_timeout: float) -> None:
        self._most = most
        self._most_per_account = most_per_account
        self._write_timeout = write_timeout
        self._open: set[OpenStream] = set()
        self._of_account: Counter[str] = Counter()
        self._looked = time.monotonic()

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def opened(self, method: Method, account: str) -> Iterator[OpenStream]:
        """A place for one stream of the running task, given back at the end of the block.

        Args:
            method: what is streamed.
            account: whose it is; empty for the anonymous, who are not counted one by one.

        Raises:
            Unavailable: this process carries as many as it can.
            ResourceExhausted: the account has as many as it may.
        """
        if len(self._open) >= self._most:
            raise Unavailable("OVERLOADED", "this server carries as many streams as it can", retry_after=5)
        if account and self._of_account[account] >= self._most_per_account:
            raise ResourceExhausted(
                "RATE_LIMITED",
                f"this account has {self._most_per_account} streams open, which is the most; end one first",
                retry_after=5,
                limit="streams",
            )
        stream = OpenStream(method)
        gauge = STREAMS.labels(method.service, method.name)
        self._open.add(stream)
        self._of_account[account] += 1
        gauge.inc()
        try:
            yield stream
        finally:
            gauge.dec()
            self._open.discard(stream)
            self._of_account[account] -= 1
            if not self._of_account[account]:
                del self._of_account[account]
            _count(stream)

    async def watch(self) -> None:
        """Once a second, for ever: bring the counters up to date and cut off what has stalled."""
        while True:
            await asyncio.sleep(_CHECK_INTERVAL)
            self.check()

    def check(self) -> None:
        """Do so once."""
        now = time.monotonic()
        step, self._looked = min(now - self._looked, _LONGEST_STEP), now
        for stream in tuple(self._open):
            sent_some = _count(stream)
            stream.waited = stream.waited + step if stream.writing and not sent_some else 0.0
            if stream.waited > self._write_timeout and not stream.stalled and stream.task is not None:
                stream.stalled = True
                STREAMS_STALLED.labels(stream.method.service, stream.method.name).inc()
                stream.task.cancel()


def _count(stream: OpenStream) -> bool:
    """Add to the counters what the stream has sent since the last time; a counter per message would cost more.

    Returns:
        whether it sent anything.
    """
    labels = (stream.method.service, stream.method.name)
    if messages := stream.sent_messages - stream.counted_messages:
        STREAM_MESSAGES.labels(*labels).inc(messages)
        STREAM_BYTES.labels(*labels).inc(stream.sent_bytes - stream.counted_bytes)
        stream.counted_messages, stream.counted_bytes = stream.sent_messages, stream.sent_bytes
    return bool(messages)
