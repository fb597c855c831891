"""A house that sells: a real server per module, its staff, a customer, and short ways to make what a test needs."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

from rowlock.v1 import booking_pb2, booking_pb2_grpc, category_pb2, event_pb2_grpc, performance_pb2, venue_pb2
from rowlock.v1 import event_pb2 as pb
from rowlock.v1 import seat_map_pb2 as maps
from rowlock.v1 import ticket_type_pb2 as types
from server import clock
from server.config import Settings
from server.db.engine import Database
from tests.rpc.auth.conftest import QUICK, Client, Person, served
from tests.staging import hall_document

_numbers = count(1)
_START = clock.now().replace(microsecond=0)


def stamp(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message


def in_days(days: float) -> Timestamp:
    """A whole second, some days from the start of the tests: always the same for the same number."""
    return stamp(_START + timedelta(days=days))


def at(message: Timestamp) -> datetime:
    return message.ToDatetime(tzinfo=UTC)


def minutes(number: int) -> Duration:
    return Duration(seconds=60 * number)


def euros(cents: int) -> Money:
    return Money(currency_code="EUR", units=cents // 100, nanos=cents % 100 * 10_000_000)


def unique(word: str) -> str:
    return f"{word} {next(_numbers)}"


class House:
    """One venue, one seat map of 50 seats, and whatever is asked for."""

    def __init__(self, client: Client, staff: Person, customer: Person) -> None:
        self.client = client
        self.events: event_pb2_grpc.EventServiceAsyncStub = event_pb2_grpc.EventServiceStub(client.channel)
        self.bookings: booking_pb2_grpc.BookingServiceAsyncStub = booking_pb2_grpc.BookingServiceStub(client.channel)
        self.staff = staff.token
        self.customer = customer.token
        self.venue = ""
        self.seat_map = ""

    async def category(self, name: str = "") -> category_pb2.Category:
        request = category_pb2.CreateCategoryRequest(
            category=category_pb2.Category(display_name=name or unique("Kind"))
        )
        return await self.events.CreateCategory(request, metadata=self.staff)

    async def new_venue(self, **fields: Any) -> venue_pb2.Venue:
        venue = venue_pb2.Venue(**{"display_name": unique("House"), "time_zone": "Europe/Berlin"} | fields)
        return await self.events.CreateVenue(venue_pb2.CreateVenueRequest(venue=venue), metadata=self.staff)

    async def new_seat_map(self, venue: str = "", **document: Any) -> maps.SeatMap:
        request = maps.ImportSeatMapRequest(
            parent=venue or self.venue,
            format=maps.ImportSeatMapRequest.ROWLOCK,
            document=json.dumps(document or hall_document()).encode(),
        )
        return (await self.events.ImportSeatMap(request, metadata=self.staff)).seat_map

    async def event(self, *, published: bool = True, **fields: Any) -> pb.Event:
        event = pb.Event(**{"title": unique("Play")} | fields)
        made = await self.events.CreateEvent(pb.CreateEventRequest(event=event), metadata=self.staff)
        if published:
            made = await self.events.PublishEvent(pb.PublishEventRequest(name=made.name), metadata=self.staff)
        return made

    async def performance(self, event: str = "", **fields: Any) -> performance_pb2.Performance:
        """A performance in 30 days, its sale begun."""
        event = event or (await self.event()).name
        usual: dict[str, Any] = {"event": event, "seat_map": self.seat_map, "start_time": in_days(30)}
        request = performance_pb2.CreatePerformanceRequest(performance=performance_pb2.Performance(**usual | fields))
        return await self.events.CreatePerformance(request, metadata=self.staff)

    async def ticket_type(self, performance: str, **fields: Any) -> types.TicketType:
        wanted = {"display_name": unique("Adult"), "price": euros(2500)} | fields
        request = types.CreateTicketTypeRequest(parent=performance, ticket_type=types.TicketType(**wanted))
        return await self.events.CreateTicketType(request, metadata=self.staff)

    async def on_sale(self, event: str = "", **fields: Any) -> performance_pb2.Performance:
        """A performance with a ticket type."""
        performance = await self.performance(event, **fields)
        await self.ticket_type(performance.name)
        return performance

    async def book(self, performance: str, *seats: str) -> booking_pb2.Booking:
        """The customer's hold."""
        request = booking_pb2.CreateBookingRequest(
            parent=performance, seats=[booking_pb2.SeatClaim(seat=seat) for seat in seats]
        )
        return await self.bookings.CreateBooking(request, metadata=self.customer)

    async def sell(self, booking: str) -> booking_pb2.Booking:
        """Sold at the box office."""
        request = booking_pb2.ConfirmBookingRequest(name=booking, method=booking_pb2.Booking.CASH)
        return await self.bookings.ConfirmBooking(request, metadata=self.staff)

    async def reread(self, performance: str) -> performance_pb2.Performance:
        request = performance_pb2.GetPerformanceRequest(name=performance)
        return await self.events.GetPerformance(request, metadata=self.staff)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(settings: Settings, database: Database) -> AsyncIterator[House]:
    """A house with a seat map, of which staff and one customer are logged in."""
    changes = {**QUICK, "require_verified_email": False}
    async with served(settings.model_copy(update=changes), database) as client:
        house = House(client, await client.staff(await client.admin()), await client.sign_up())
        house.venue = (await house.new_venue()).name
        house.seat_map = (await house.new_seat_map()).name
        yield house
