"""WatchSeats: the seat feed, over gRPC.

It is apart from the rest of EventService because processes of the role ``edge`` serve it alone, and because its
messages are bytes already: encoded once for all watchers.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from rowlock.v1 import event_pb2_grpc
from rowlock.v1.seat_feed_pb2 import WatchSeatsRequest
from server.interceptors.authentication import Authenticator, caller
from server.resources import parse_performance
from server.seats.hub import Hub
from server.states import Role

_STAFF = frozenset({Role.STAFF, Role.ADMIN})


class SeatFeedService(event_pb2_grpc.EventServiceServicer):
    """The part of EventService that streams seats.

    Args:
        hub: the seat feed of this process.
        authenticator: knows when the callers' tokens end.
    """

    def __init__(self, hub: Hub, authenticator: Authenticator) -> None:
        self._hub = hub
        self._authenticator = authenticator

    def WatchSeats(  # type: ignore[override]  # bytes are what the stream writes
        self, request: WatchSeatsRequest, context: Any
    ) -> AsyncIterator[bytes]:
        """See ``Hub.watch``."""
        watching = caller()
        watcher = self._hub.watch(
            parse_performance(request.performance, "performance"),
            request.resume_revision,
            staff=watching.role in _STAFF,
            still_valid=partial(self._authenticator.still_valid, watching),
        )
        return watcher.messages()
