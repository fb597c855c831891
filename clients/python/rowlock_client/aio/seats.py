"""Watching a performance's seats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock.v1.seat_feed_pb2 import WatchSeatsRequest, WatchSeatsResponse
from rowlock_client.aio.stream import SILENCE, ResumingStream, StreamState
from rowlock_client.errors import InvalidArgument, RowlockError
from rowlock_client.retrying import RetryPolicy
from rowlock_client.rpc import Rpc
from rowlock_client.seat_view import FeedFault, SeatMapView, SeatUpdate

if TYPE_CHECKING:
    from rowlock_client.aio.client import Client


class SeatWatcher(AsyncIterator[SeatUpdate]):
    """The seats of a performance, for as long as one likes.

    ::

        async with client.watch_seats("performances/1") as watcher:
            async for update in watcher:
                show(watcher.view.states, update.changes)

    The view changes only between two updates. Reconnections are not seen, except that an update after a long one may
    be a snapshot. A feed that breaks a promise is noted in `faults` and begun again with a snapshot.
    An application that is slow to ask for the next update gets a snapshot in place of what it missed.

    Args:
        client: who watches.
        performance: `performances/{performance}`.
        retry: pauses between connections; with a `patience`, after which failure is raised.
        silence: seconds without a word after which the connection is taken for dead.
    """

    def __init__(
        self, client: Client, performance: str, *, retry: RetryPolicy | None = None, silence: float = SILENCE
    ) -> None:
        self.performance = performance
        self.view = SeatMapView()
        self.faults: list[str] = []
        self._stream: ResumingStream[WatchSeatsResponse] = ResumingStream(
            client, self._request, retry=retry, silence=silence
        )

    @property
    def state(self) -> StreamState:
        """How the connection is."""
        return self._stream.state

    @property
    def connections(self) -> int:
        """How often it was opened."""
        return self._stream.connections

    @property
    def heard(self) -> float:
        """When the server was last heard, if only by a heartbeat: monotonic seconds."""
        return self._stream.heard

    @property
    def last_error(self) -> RowlockError | None:
        """Why it was last opened anew, if that was for an error."""
        return self._stream.last_error

    async def __anext__(self) -> SeatUpdate:
        """Wait for the next update. May be cancelled and called again.

        Raises:
            RowlockError: watching further is no use, such as when the performance does not exist.
        """
        while True:
            try:
                message = await self._stream.next()
                update = self.view.apply(message)
            except FeedFault as fault:
                self.faults.append(str(fault))
                self._begin_again()
            except InvalidArgument as error:
                # The server's history is shorter than ours: its database was put back to an earlier time.
                if error.reason != "REVISION_IN_FUTURE" or not self.view.resume_revision:
                    raise
                self.faults.append(str(error))
                self._begin_again()
            else:
                if update is not None:
                    return update

    def _begin_again(self) -> None:
        self.view.distrust()
        self._stream.restart()

    def _request(self) -> Rpc[WatchSeatsResponse]:
        request = WatchSeatsRequest(performance=self.performance, resume_revision=self.view.resume_revision)
        return Rpc(EventServiceStub, "WatchSeats", request)

    def close(self) -> None:
        """Stop watching."""
        self._stream.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
