"""What forms of the programme let people choose from, read as whoever fills them in."""

from typing import Any

from starlette.requests import Request

from console.calling import call
from console.form_fields import MOST_CHOICES, Choices
from rowlock.v1 import category_pb2, event_pb2, seat_map_pb2, venue_pb2
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock_client.rpc import Rpc


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


async def _page(request: Request, method: str, message: Any) -> Any:
    message.page_size = MOST_CHOICES
    return await call(request, Rpc(EventServiceStub, method, message))
