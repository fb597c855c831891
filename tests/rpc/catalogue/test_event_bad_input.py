"""What EventService refuses as malformed, and how it names it. ``tests/rpc/test_bad_input.py`` tries every field."""

import grpc.aio
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from rowlock.v1 import event_pb2 as pb
from rowlock.v1 import seat_map_pb2
from tests.rpc.auth.conftest import refusal
from tests.rpc.catalogue.conftest import House, in_days

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
