"""A server stream that is opened anew whenever it ends, from where it had come to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import Message

from rowlock.v1.booking_pb2 import WatchBookingResponse
from rowlock.v1.seat_feed_pb2 import WatchSeatsResponse
from rowlock.v1.stream_pb2 import Reconnect
from rowlock.v1.waiting_room_pb2 import WatchQueueEntryResponse
from rowlock_client.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RowlockError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    error_of,
)
from rowlock_client.retrying import RetryPolicy
from rowlock_client.rpc import Rpc

if TYPE_CHECKING:
    from rowlock_client.aio.client import Client

_FINAL: Final = (
    InvalidArgument,
    FailedPrecondition,
    NotFound,
    AlreadyExists,
    Unauthenticated,
    PermissionDenied,
    Unimplemented,
)
"""No second attempt can end otherwise."""

SILENCE: Final = 30.0
"""Seconds without a word after which a stream is taken for dead: two heartbeats of the server's."""


MessageT = TypeVar("MessageT", WatchSeatsResponse, WatchBookingResponse, WatchQueueEntryResponse)


class StreamState(Enum):
    """How a stream is at present."""

    CONNECTING = "connecting"
    LIVE = "live"
    WAITING = "waiting to reconnect"
    ENDED = "ended"


class ResumingStream(Generic[MessageT]):
    """One message after the other, over any number of connections.

    It is opened anew, after a growing pause, when the connection breaks, the server says `reconnect`, or nothing is
    heard for `silence` seconds. It ends for good when the server says that there will be no more news, and with an
    exception when trying again is no use.

    Args:
        client: gives stub and tokens.
        rpc: makes the call ready that begins where the last one ended.
        retry: the pauses; with a `patience`, what fails for so many seconds on end is raised.
        silence: seconds.
    """

    def __init__(
        self,
        client: Client,
        rpc: Callable[[], Rpc[Any]],
        *,
        retry: RetryPolicy | None = None,
        silence: float = SILENCE,
    ) -> None:
        self._client = client
        self._rpc = rpc
        self._retry = retry or RetryPolicy()
        self._silence = silence
        self._call: grpc.aio.UnaryStreamCall[Message, MessageT] | None = None
        self._failures = 0
        self._failing_since = time.monotonic()
        self._refused_token = False
        self.state = StreamState.CONNECTING
        self.connections = 0
        """How often the stream was opened."""
        self.last_error: RowlockError | None = None
        """Why it was last opened anew, if that was for an error."""
        self.heard = time.monotonic()
        """When the last word came, monotonic seconds; before the first one, when watching began."""

    async def next(self) -> MessageT:
        """Wait for the next message other than `reconnect`. May be cancelled and called again.

        Raises:
            StopAsyncIteration: the server says that there will be no more.
            RowlockError: trying again is no use.
        """
        while self.state is not StreamState.ENDED:
            try:
                message = await self._read()
            except RowlockError as error:
                await self._recover(error)
                continue
            except BaseException:
                # A cancelled read has cancelled the call: the next one begins where the last message ended.
                self.restart()
                raise
            if message is None:
                self.restart()
            elif message.WhichOneof("event") == "reconnect":
                self._reconnect(message.reconnect.reason)
            else:
                return message
        raise StopAsyncIteration

    async def messages(self) -> AsyncIterator[MessageT]:
        """Every message, to the end; then the stream is closed.

        Raises:
            RowlockError: trying again is no use.
        """
        try:
            while True:
                try:
                    message = await self.next()
                except StopAsyncIteration:
                    return
                yield message
        finally:
            self.close()

    def restart(self) -> None:
        """Give up this connection; `next` opens another one at once."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        if self.state is not StreamState.ENDED:
            self.state = StreamState.CONNECTING

    def close(self) -> None:
        """End for good."""
        self.state = StreamState.ENDED
        self.restart()

    async def _read(self) -> MessageT | None:
        """The next message; None: the connection ended in good order.

        Raises:
            RowlockError: it did not.
        """
        if self._call is None:
            self._call = await self._open()
        try:
            # Not wait_for: until Python 3.12 it forgets a cancellation that comes together with the message.
            async with asyncio.timeout(self._silence):
                message = await self._call.read()
        except TimeoutError:
            text = f"nothing was heard for {self._silence:g} s"
            raise Unavailable(grpc.StatusCode.UNAVAILABLE, text) from None
        except grpc.aio.AioRpcError as refusal:
            raise error_of(refusal) from None
        if not isinstance(message, Message):  # grpc.aio.EOF
            return None
        self.state = StreamState.LIVE
        self.heard = time.monotonic()
        self._failures = 0
        self._refused_token = False
        return cast("MessageT", message)

    async def _open(self) -> grpc.aio.UnaryStreamCall[Message, MessageT]:
        self.state = StreamState.CONNECTING
        rpc = self._rpc()
        call = await self._client.open_stream(rpc)
        self.connections += 1
        return call

    def _reconnect(self, reason: Reconnect.Reason.ValueType) -> None:
        if reason == Reconnect.FINISHED:
            self.close()
            return
        if reason == Reconnect.TOKEN:
            self._client.distrust_token()
        self.restart()

    async def _recover(self, error: RowlockError) -> None:
        """Pause before the next connection.

        Raises:
            RowlockError: `error`, if there should be none.
        """
        self.restart()
        self.last_error = error
        if isinstance(error, Unauthenticated) and not self._refused_token and self._client.tokens is not None:
            self._refused_token = True
            self._client.distrust_token()
            return
        if isinstance(error, _FINAL):
            raise error
        now = time.monotonic()
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        pause = max(self._retry.backoff(self._failures), error.retry_after or 0.0)
        patience = self._retry.patience
        if patience is not None and now - self._failing_since + pause > patience:
            raise error
        self.state = StreamState.WAITING
        await asyncio.sleep(pause)
