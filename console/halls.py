"""A hall as the drawing modules of the kiosk read it: its plan, and its live states as lines of JSON.

The form is that of the gateway, so one set of modules draws for customers and for staff.
"""

import asyncio
import base64
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.requests import Request

from console.calling import call, session_of
from rowlock.v1 import performance_pb2, seat_map_pb2
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock_client.aio import SeatWatcher, StreamState
from rowlock_client.errors import RowlockError, Unauthenticated
from rowlock_client.rpc import Rpc
from rowlock_client.seat_view import SeatUpdate

_BEAT_SECONDS: Final = 5.0
"""After so much silence the browser is told that nothing happened, and the session is looked at."""
_KEPT: Final = 8
_STATES: Final[dict[int, str]] = {number: name for name, number in seat_map_pb2.SeatState.items()}


class Drawings:
    """Drawings that were made lately. A version of a seat map never changes, so it is drawn once for everybody."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    async def of_performance(self, request: Request, name: str) -> bytes:
        """The places of a performance, in the order of the feed, as GetPerformanceSeatMap answers over REST.

        Raises:
            RowlockError: there is no such performance, or the server cannot say.
        """
        wanted = performance_pb2.GetPerformanceRequest(name=name)
        performance: performance_pb2.Performance = await call(request, Rpc(EventServiceStub, "GetPerformance", wanted))
        key = (performance.seat_map, performance.seat_map_version)
        if key not in self._kept:
            drawing = await session_of(request).client.seat_map(name)
            self._keep(key, await asyncio.to_thread(as_json, drawing))
        self._kept.move_to_end(key)
        return self._kept[key]

    async def of_seat_map(self, request: Request, name: str, version: int) -> bytes:
        """The drawing of one version of a seat map, in the same form; its places are those that have numbers.

        Raises:
            RowlockError: there is no such seat map or version, or the server cannot say.
        """
        view = seat_map_pb2.SEAT_MAP_VIEW_FULL
        wanted = seat_map_pb2.GetSeatMapRequest(name=name, version=version, view=view)
        found: seat_map_pb2.SeatMap = await call(request, Rpc(EventServiceStub, "GetSeatMap", wanted))
        layout = found.layout
        for seat in layout.seats:
            seat.kind = seat.kind or seat_map_pb2.Seat.SEAT
        drawing = performance_pb2.GetPerformanceSeatMapResponse(
            seat_map=found.name,
            version=found.version,
            place_count=found.place_count,
            width=layout.width,
            height=layout.height,
            zones=layout.zones,
            areas=layout.areas,
            seats=layout.seats,
        )
        return await asyncio.to_thread(as_json, drawing)

    def _keep(self, key: tuple[str, int], drawing: bytes) -> None:
        self._kept[key] = drawing
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


def as_json(message: Message) -> bytes:
    """A message as the gateway writes it."""
    return json.dumps(as_dict(message), separators=(",", ":")).encode()


def as_dict(message: Message) -> dict[str, Any]:
    """A message as the gateway writes it: with names in camelCase, and every field that can be empty."""
    found: dict[str, Any] = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    return found


def refusal(error: RowlockError) -> dict[str, Any]:
    """A refusal as the gateway writes it."""
    reason = "TOKEN_MISSING" if isinstance(error, Unauthenticated) else error.reason
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": error.metadata}
    return {"code": error.code.value[0], "message": error.message, "details": [info] if reason else []}


NOT_SIGNED_IN: Final = {
    "code": 16,
    "message": "sign in",
    "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TOKEN_MISSING", "metadata": {}}],
}


async def live(request: Request, performance: str) -> AsyncIterator[bytes]:
    """What happens to the places of a performance, one line of JSON each, as whoever asks.

    Nothing is kept for a browser that reads slowly: it is read from the server as fast as it reads, and the server
    gives a fresh snapshot to who falls behind. The lines end with the session, when the browser leaves, and when the
    server cannot be reached, which the browser is to see; it then asks again.
    """
    is_signed_in: Callable[[], bool] = request.state.is_signed_in
    waiting: asyncio.Future[SeatUpdate] | None = None
    revision = 0
    async with session_of(request).client.watch_seats(performance) as watcher:
        try:
            while is_signed_in():
                waiting = waiting or asyncio.ensure_future(anext(watcher))
                await asyncio.wait({waiting}, timeout=_BEAT_SECONDS)
                if waiting.done():
                    update, waiting = waiting.result(), None
                    yield _line(_told(watcher, update, revision))
                    revision = update.revision
                elif revision and watcher.state is StreamState.LIVE:
                    yield _line({"revision": str(revision), "heartbeat": {}})
                elif revision:
                    return
            yield json.dumps({"error": NOT_SIGNED_IN}).encode() + b"\n"
        except StopAsyncIteration:
            yield _line({"revision": str(revision), "reconnect": {"reason": "FINISHED"}})
        except RowlockError as error:
            yield json.dumps({"error": refusal(error)}).encode() + b"\n"
        finally:
            if waiting is not None:
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)


def _told(watcher: SeatWatcher, update: SeatUpdate, before: int) -> dict[str, Any]:
    if update.snapshot:
        states = base64.b64encode(watcher.view.states).decode()
        return {"revision": str(update.revision), "snapshot": {"states": states, "reset": False}}
    changes = [{"index": change.index, "state": _STATES[change.after]} for change in update.changes]
    return {"revision": str(update.revision), "changes": {"changes": changes, "firstRevision": str(before + 1)}}


def _line(result: dict[str, Any]) -> bytes:
    return json.dumps({"result": result}, separators=(",", ":")).encode() + b"\n"
