"""What forms and lists let people choose from, read as whoever looks at them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from starlette.requests import Request

from console.calling import call
from console.form_fields import MOST_CHOICES, Choices
from console.known import performance_label
from rowlock.v1 import category_pb2, event_pb2, performance_pb2, seat_map_pb2, venue_pb2
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock_client.rpc import Rpc

_JUST_NOW: Final = timedelta(hours=12)
"""A performance that began so long ago is still one of today's."""
_PAST: Final = 100


async def categories(request: Request) -> Choices:
    """Categories by name."""
    page = await _page(request, "ListCategories", category_pb2.ListCategoriesRequest())
    return [(one.name, one.display_name) for one in page.categories]


async def venues(request: Request) -> Choices:
    """Venues by name."""
    page = await _page(request, "ListVenues", venue_pb2.ListVenuesRequest())
    return [(one.name, one.display_name) for one in page.venues]


async def events(request: Request) -> Choices:
    """Events, those with coming performances first."""
    page = await _page(request, "ListEvents", event_pb2.ListEventsRequest())
    cancelled = event_pb2.Event.CANCELLED
    return [(one.name, f"{one.title} ({one.name})") for one in page.events if one.state != cancelled]


async def performances(request: Request) -> Choices:
    """Performances to come, the next first; behind them those that are over, the last first."""
    since = Timestamp()
    since.FromDatetime(datetime.now(UTC) - _JUST_NOW)
    coming, past = await asyncio.gather(
        _page(request, "ListPerformances", performance_pb2.ListPerformancesRequest(start_time_from=since)),
        _page(
            request,
            "ListPerformances",
            performance_pb2.ListPerformancesRequest(start_time_before=since, order_by="start_time desc"),
            _PAST,
        ),
    )
    return [(one.name, performance_label(one)) for one in (*coming.performances, *past.performances)]


async def seat_maps(request: Request) -> Choices:
    """Seat maps of all venues."""
    page = await _page(request, "ListSeatMaps", seat_map_pb2.ListSeatMapsRequest(parent="venues/-"))
    named = dict(await venues(request))
    found = [
        (
            one.name,
            f"{named.get(venue_of(one.name), venue_of(one.name))}: {one.display_name} ({one.place_count:,} places)",
        )
        for one in page.seat_maps
    ]
    return sorted(found, key=lambda one: one[1].lower())


def venue_of(seat_map: str) -> str:
    """`venues/1` of `venues/1/seatMaps/2`."""
    return seat_map.partition("/seatMaps/")[0]


async def _page(request: Request, method: str, message: Any, count: int = MOST_CHOICES) -> Any:
    message.page_size = count
    return await call(request, Rpc(EventServiceStub, method, message))
