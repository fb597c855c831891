"""Every field of every request of EventService, filled with what nobody should send."""

import json
import math
from collections.abc import Iterator
from typing import Any

import grpc.aio
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from rowlock.v1 import category_pb2, performance_pb2, seat_map_pb2, ticket_type_pb2, venue_pb2
from rowlock.v1 import event_pb2 as pb
from server.db.engine import Database
from server.interceptors.method import Method, methods_of
from tests.invariants import assert_sound
from tests.rpc.auth.conftest import refusal
from tests.rpc.auth.test_bad_input import BETRAYALS, REFUSALS, fields, outcome, wrong_values
from tests.rpc.catalogue.conftest import House, euros, in_days, unique
from tests.staging import hall_document

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHODS = [
    method
    for method in methods_of(pb.DESCRIPTOR.services_by_name["EventService"])
    if not method.server_streaming and method.name not in {"CancelEvent", "CancelPerformance"}
]
NAMES = ("events/0", "events/9223372036854775808", "venues/999999/seatMaps/1", "categories/999999", "performances/-")
DOUBLES = (math.nan, math.inf, -math.inf, -1.0, 1e300)


async def examples(house: House) -> dict[str, Message]:
    """For each RPC a request that would be served, but for deletions, of which there is nothing left then."""
    category, event, venue = (await house.category()).name, (await house.event()).name, (await house.new_venue()).name
    performance = (await house.on_sale(event)).name
    kind = (await house.ticket_type(performance)).name
    seat_map = house.seat_map
    layout = seat_map_pb2.SeatMapLayout(
        zones=[seat_map_pb2.PriceZone(zone="Z")],
        seats=[seat_map_pb2.Seat(id="1", section="S", row="A", number="1", zone="Z")],
    )
    document = json.dumps(hall_document(rows=1, seats=2)).encode()
    requests: list[Message] = [
        category_pb2.CreateCategoryRequest(category=category_pb2.Category(display_name=unique("Kind"))),
        category_pb2.GetCategoryRequest(name=category),
        category_pb2.ListCategoriesRequest(),
        category_pb2.UpdateCategoryRequest(category=category_pb2.Category(name=category, description="x")),
        category_pb2.DeleteCategoryRequest(name=category),
        venue_pb2.CreateVenueRequest(venue=venue_pb2.Venue(display_name="House")),
        venue_pb2.GetVenueRequest(name=venue),
        venue_pb2.ListVenuesRequest(),
        venue_pb2.UpdateVenueRequest(venue=venue_pb2.Venue(name=venue, description="x")),
        venue_pb2.DeleteVenueRequest(name=venue),
        seat_map_pb2.CreateSeatMapRequest(
            parent=venue, seat_map=seat_map_pb2.SeatMap(display_name="Map", layout=layout)
        ),
        seat_map_pb2.GetSeatMapRequest(name=seat_map),
        seat_map_pb2.ListSeatMapsRequest(parent=venue),
        seat_map_pb2.UpdateSeatMapRequest(seat_map=seat_map_pb2.SeatMap(name=seat_map, display_name="Map")),
        seat_map_pb2.DeleteSeatMapRequest(name=seat_map),
        seat_map_pb2.ImportSeatMapRequest(
            parent=venue, format=seat_map_pb2.ImportSeatMapRequest.ROWLOCK, document=document
        ),
        pb.CreateEventRequest(event=pb.Event(title="Play")),
        pb.GetEventRequest(name=event),
        pb.ListEventsRequest(),
        pb.UpdateEventRequest(event=pb.Event(name=event, description="x")),
        pb.DeleteEventRequest(name=event),
        pb.PublishEventRequest(name=event),
        performance_pb2.CreatePerformanceRequest(
            performance=performance_pb2.Performance(event=event, seat_map=seat_map, start_time=in_days(9))
        ),
        performance_pb2.GetPerformanceRequest(name=performance),
        performance_pb2.ListPerformancesRequest(),
        performance_pb2.UpdatePerformanceRequest(
            performance=performance_pb2.Performance(name=performance, hall="Hall 1")
        ),
        performance_pb2.DeletePerformanceRequest(name=performance),
        ticket_type_pb2.CreateTicketTypeRequest(
            parent=performance,
            ticket_type=ticket_type_pb2.TicketType(display_name=unique("Adult"), price=euros(100)),
        ),
        ticket_type_pb2.GetTicketTypeRequest(name=kind),
        ticket_type_pb2.ListTicketTypesRequest(parent=performance),
        ticket_type_pb2.UpdateTicketTypeRequest(ticket_type=ticket_type_pb2.TicketType(name=kind, position=3)),
        ticket_type_pb2.DeleteTicketTypeRequest(name=kind),
        performance_pb2.GetPerformanceSeatMapRequest(performance=performance),
        performance_pb2.ListSeatsRequest(parent=performance),
        performance_pb2.GetAvailabilityRequest(performance=performance),
        performance_pb2.BlockSeatsRequest(performance=performance, seats=["Stalls-A-1"]),
        performance_pb2.UnblockSeatsRequest(performance=performance, seats=["Stalls-A-1"]),
    ]
    return {type(request).__name__.removesuffix("Request"): request for request in requests}


def wrong(field: FieldDescriptor) -> Iterator[tuple[str, Any]]:
    yield from wrong_values(field)
    if field.type == FieldDescriptor.TYPE_STRING:
        yield from ((name, name) for name in NAMES)
    elif field.type == FieldDescriptor.TYPE_DOUBLE:
        yield from ((str(number), number) for number in DOUBLES)
    elif field.type == FieldDescriptor.TYPE_BYTES:
        yield from (("no bytes", b""), ("NUL", b"\0"), ("brackets", b"[" * 10_000))


def faults(good: Message) -> Iterator[tuple[str, Message]]:
    """Every field in turn, with every wrong value that its type can hold."""
    for path, parents, field in fields(good.DESCRIPTOR):
        for what, value in wrong(field):
            request = type(good)()
            request.CopyFrom(good)
            target: Any = request
            for parent in parents:
                target = getattr(target, parent)
            if field.is_repeated:
                getattr(target, field.name).extend([value] * (1001 if what == "1,001 times" else 1))
            elif field.message_type is not None:
                getattr(target, field.name).CopyFrom(value)
            else:
                setattr(target, field.name, value)
            yield f"{path}: {what}", request


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_wrong_values_are_refused_or_harmless(house: House, database: Database, method: Method) -> None:
    good = (await examples(house))[method.name]
    call: Any = house.client.channel.unary_unary(
        method.path, request_serializer=type(good).SerializeToString, response_deserializer=None
    )
    tried = 0
    for what, request in faults(good):
        tried += 1
        code, message = await outcome(call(request, metadata=house.staff, timeout=10))
        told = f"{method.name} {what}: {code} {message}"
        assert code in {"OK", *REFUSALS}, told
        assert not [word for word in BETRAYALS if word in message], told
    assert tried
    assert_sound(database)


@pytest.mark.parametrize(
    ("call", "request_", "field"),
    [
        ("GetEvent", pb.GetEventRequest(), "name"),
        ("GetEvent", pb.GetEventRequest(name="events/one"), "name"),
        ("GetEvent", pb.GetEventRequest(name="events/0"), "name"),
        ("GetEvent", pb.GetEventRequest(name="performances/1"), "name"),
        ("GetEvent", pb.GetEventRequest(name="events/9223372036854775808"), "name"),
        ("ListEvents", pb.ListEventsRequest(page_size=-1), "page_size"),
        ("ListEvents", pb.ListEventsRequest(page_token="edited"), "page_token"),
        ("ListEvents", pb.ListEventsRequest(category="venues/1"), "category"),
        ("ListEvents", pb.ListEventsRequest(order_by="title"), "order_by"),
        ("ListEvents", pb.ListEventsRequest(state=9), "state"),  # type: ignore[arg-type]
        ("ListEvents", pb.ListEventsRequest(text="a\0b"), "text"),
        (
            "ListEvents",
            pb.ListEventsRequest(start_time_from=in_days(2), start_time_before=in_days(1)),
            "start_time_before",
        ),
        ("ListEvents", pb.ListEventsRequest(start_time_from=Timestamp(seconds=-62135596800)), "start_time_from"),
        ("ListEvents", pb.ListEventsRequest(start_time_from=Timestamp(seconds=253402300799)), "start_time_from"),
        ("CreateEvent", pb.CreateEventRequest(), "event"),
        ("CreateEvent", pb.CreateEventRequest(event=pb.Event()), "event.title"),
        ("CreateEvent", pb.CreateEventRequest(event=pb.Event(title="a\u202eb")), "event.title"),
        ("CreateEvent", pb.CreateEventRequest(event=pb.Event(title="x" * 201)), "event.title"),
        (
            "CreateEvent",
            pb.CreateEventRequest(event=pb.Event(title="x", image_uris=["http://x"])),
            "event.image_uris[0]",
        ),
        ("CreateEvent", pb.CreateEventRequest(event=pb.Event(title="x"), request_id="no good"), "request_id"),
        ("DeleteEvent", pb.DeleteEventRequest(name="events/1", etag="\n"), "etag"),
    ],
)
async def test_a_field_that_breaks_its_rule_is_named(house: House, call: str, request_: Message, field: str) -> None:
    refused = await refusal(getattr(house.events, call)(request_, metadata=house.staff))
    assert refused.code == "INVALID_ARGUMENT"
    assert field in refused.fields


async def test_a_mask_that_names_what_cannot_be_changed_is_refused(house: House) -> None:
    event = await house.event()
    for path in ("state", "name", "create_time", "nothing", "title.x", "etag"):
        request = pb.UpdateEventRequest(event=event, update_mask={"paths": [path]})  # type: ignore[arg-type]
        refused = await refusal(house.events.UpdateEvent(request, metadata=house.staff))
        assert refused.code == "INVALID_ARGUMENT"
        assert refused.reason in {"INVALID_FIELD", "UPDATE_MASK_INVALID"}
    assert await house.events.GetEvent(pb.GetEventRequest(name=event.name)) == event


async def test_a_request_above_the_limit_is_refused(house: House) -> None:
    request = seat_map_pb2.ImportSeatMapRequest(
        parent=house.venue, format=seat_map_pb2.ImportSeatMapRequest.ROWLOCK, document=b" " * 300_000
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await house.events.ImportSeatMap(request, metadata=house.staff)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
