"""Categories, venues and events: staff write, everybody reads, and drafts are nobody's business."""

import grpc.aio
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from rowlock.v1 import category_pb2, venue_pb2
from rowlock.v1 import event_pb2 as pb
from tests.rpc.auth.conftest import refusal
from tests.rpc.catalogue.conftest import House, minutes, unique

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.promise("2.3")
async def test_staff_make_a_category_and_anybody_reads_it(house: House) -> None:
    made = await house.category(name := unique("Film"))
    read = await house.events.GetCategory(category_pb2.GetCategoryRequest(name=made.name))
    assert read == made
    assert read.display_name == name
    listed = await house.events.ListCategories(category_pb2.ListCategoriesRequest(page_size=1000))
    assert made in listed.categories
    assert [one.display_name for one in listed.categories] == sorted(one.display_name for one in listed.categories)
    assert listed.total_size == len(listed.categories)


async def test_the_name_of_a_category_is_unique_without_regard_to_case(house: House) -> None:
    made = await house.category(name := unique("Opera"))
    refused = await refusal(house.category(name.upper()))
    assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "ALREADY_EXISTS")
    assert refused.facts["field"] == "category.display_name"
    other = await house.category()
    change = category_pb2.UpdateCategoryRequest(
        category=category_pb2.Category(name=other.name, display_name=made.display_name)
    )
    assert (await refusal(house.events.UpdateCategory(change, metadata=house.staff))).reason == "ALREADY_EXISTS"


async def test_an_update_changes_what_the_mask_names_and_needs_the_current_etag(house: House) -> None:
    made = await house.category()
    request = category_pb2.UpdateCategoryRequest(
        category=category_pb2.Category(name=made.name, display_name="ignored", description="New words", etag=made.etag),
        update_mask=FieldMask(paths=["description"]),
    )
    changed = await house.events.UpdateCategory(request, metadata=house.staff)
    assert (changed.display_name, changed.description) == (made.display_name, "New words")
    assert changed.etag != made.etag
    assert (changed.update_time.ToNanoseconds()) > made.update_time.ToNanoseconds()
    refused = await refusal(house.events.UpdateCategory(request, metadata=house.staff))
    assert (refused.code, refused.reason) == ("ABORTED", "ETAG_MISMATCH")


async def test_a_category_with_events_is_kept(house: House) -> None:
    category = await house.category()
    event = await house.event(category=category.name)
    delete = category_pb2.DeleteCategoryRequest(name=category.name)
    refused = await refusal(house.events.DeleteCategory(delete, metadata=house.staff))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "IN_USE")
    await house.events.DeleteEvent(pb.DeleteEventRequest(name=event.name), metadata=house.staff)
    await house.events.DeleteCategory(delete, metadata=house.staff)
    gone = await refusal(house.events.GetCategory(category_pb2.GetCategoryRequest(name=category.name)))
    assert (gone.code, gone.reason) == ("NOT_FOUND", "NOT_FOUND")


async def test_the_same_request_id_makes_one_category(house: House) -> None:
    request = category_pb2.CreateCategoryRequest(
        category=category_pb2.Category(display_name=unique("Ballet")), request_id="once-1"
    )
    first = await house.events.CreateCategory(request, metadata=house.staff)
    assert await house.events.CreateCategory(request, metadata=house.staff) == first
    request.category.display_name = unique("Ballet")
    refused = await refusal(house.events.CreateCategory(request, metadata=house.staff))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")


async def test_a_venue_is_made_found_by_words_changed_and_deleted(house: House) -> None:
    made = await house.new_venue(display_name=unique("Aurora"), address="1 Polar_Street", description="By tram 7")
    assert made.time_zone == "Europe/Berlin"
    listed = await house.events.ListVenues(venue_pb2.ListVenuesRequest(text="polar_str"))
    assert list(listed.venues) == [made]
    change = venue_pb2.UpdateVenueRequest(venue=venue_pb2.Venue(name=made.name, time_zone="Asia/Tokyo"))
    changed = await house.events.UpdateVenue(change, metadata=house.staff)
    assert (changed.time_zone, changed.description) == ("Asia/Tokyo", "By tram 7")
    await house.events.DeleteVenue(venue_pb2.DeleteVenueRequest(name=made.name), metadata=house.staff)
    assert (await refusal(house.events.GetVenue(venue_pb2.GetVenueRequest(name=made.name)))).code == "NOT_FOUND"


async def test_an_underscore_in_a_search_is_an_underscore(house: House) -> None:
    await house.new_venue(address="100% Street")
    listed = await house.events.ListVenues(venue_pb2.ListVenuesRequest(text="100_ street"))
    assert list(listed.venues) == []


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "zone.tab"])
async def test_a_time_zone_that_does_not_exist_is_refused(house: House, zone: str) -> None:
    refused = await refusal(house.new_venue(time_zone=zone))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert refused.fields == ("venue.time_zone",)


async def test_a_venue_with_a_seat_map_is_kept(house: House) -> None:
    refused = await refusal(
        house.events.DeleteVenue(venue_pb2.DeleteVenueRequest(name=house.venue), metadata=house.staff)
    )
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "IN_USE")


@pytest.mark.promise("0.3", "1.1", "4.4")
async def test_everybody_reads_a_published_event(house: House) -> None:
    category = await house.category()
    event = await house.event(
        title="The Tempest",
        description="An island",
        category=category.name,
        image_uris=["https://example.com/poster.jpg"],
        running_time=minutes(150),
    )
    read = await house.events.GetEvent(pb.GetEventRequest(name=event.name))
    assert read == event
    assert (read.title, read.description, read.category) == ("The Tempest", "An island", category.name)
    assert read.running_time == minutes(150)
    assert read.state == pb.Event.PUBLISHED


async def test_a_draft_is_seen_by_staff_only(house: House) -> None:
    draft = await house.event(published=False, title=unique("Secret"))
    assert draft.state == pb.Event.DRAFT
    read = pb.GetEventRequest(name=draft.name)
    for metadata in ((), house.customer):
        assert (await refusal(house.events.GetEvent(read, metadata=metadata))).code == "NOT_FOUND"
        listed = await house.events.ListEvents(pb.ListEventsRequest(text=draft.title), metadata=metadata)
        assert (list(listed.events), listed.total_size) == ([], 0)
        asked = pb.ListEventsRequest(text=draft.title, state=pb.Event.DRAFT)
        assert list((await house.events.ListEvents(asked, metadata=metadata)).events) == []
    assert await house.events.GetEvent(read, metadata=house.staff) == draft
    listed = await house.events.ListEvents(pb.ListEventsRequest(text=draft.title), metadata=house.staff)
    assert list(listed.events) == [draft]


async def test_a_draft_and_an_absent_event_look_alike(house: House) -> None:
    draft = await house.event(published=False)
    hidden = await refusal(house.events.GetEvent(pb.GetEventRequest(name=draft.name)))
    absent = await refusal(house.events.GetEvent(pb.GetEventRequest(name="events/9999999")))
    assert (hidden.code, hidden.reason, hidden.fields) == (absent.code, absent.reason, absent.fields)
    assert hidden.message.replace(draft.name, "") == absent.message.replace("events/9999999", "")


async def test_publishing_twice_changes_nothing(house: House) -> None:
    event = await house.event()
    again = await house.events.PublishEvent(pb.PublishEventRequest(name=event.name), metadata=house.staff)
    assert again == event


@pytest.mark.promise("0.4", "4.4")
async def test_an_event_is_created_read_changed_and_deleted(house: House) -> None:
    event = await house.event()
    change = pb.UpdateEventRequest(
        event=pb.Event(name=event.name, title="Renamed", etag=event.etag), update_mask=FieldMask(paths=["title"])
    )
    changed = await house.events.UpdateEvent(change, metadata=house.staff)
    assert (changed.title, changed.state) == ("Renamed", pb.Event.PUBLISHED)
    await house.events.DeleteEvent(pb.DeleteEventRequest(name=event.name, etag=changed.etag), metadata=house.staff)
    assert (await refusal(house.events.GetEvent(pb.GetEventRequest(name=event.name)))).code == "NOT_FOUND"


async def test_an_event_with_performances_is_kept(house: House) -> None:
    event = await house.event()
    performance = await house.on_sale(event.name)
    delete = pb.DeleteEventRequest(name=event.name)
    assert (await refusal(house.events.DeleteEvent(delete, metadata=house.staff))).reason == "IN_USE"
    await house.book(performance.name, "Stalls-A-1")
    assert (await refusal(house.events.DeleteEvent(delete, metadata=house.staff))).reason == "HAS_BOOKINGS"


async def test_an_event_of_an_unknown_category_is_refused(house: House) -> None:
    refused = await refusal(house.event(category="categories/999999"))
    assert (refused.code, refused.reason) == ("NOT_FOUND", "NOT_FOUND")
    assert "categories/999999" in refused.message


@pytest.mark.promise("0.4")
@pytest.mark.parametrize("who", ["nobody", "customer"])
async def test_only_staff_write(house: House, who: str) -> None:
    """Every mutating RPC of the service, so that a new one cannot be forgotten."""
    metadata = house.customer if who == "customer" else ()
    wanted = (
        (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        if who == "customer"
        else (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    )
    writing = [
        method
        for method in pb.DESCRIPTOR.services_by_name["EventService"].methods
        if method.name.startswith(("Create", "Update", "Delete", "Publish", "Cancel", "Import", "Block", "Unblock"))
    ]
    assert len(writing) == 24
    for method in writing:
        call = house.client.channel.unary_unary(f"/rowlock.v1.EventService/{method.name}", bytes, bytes)
        refused = await refusal(call(b"", metadata=metadata))
        assert (refused.code, refused.reason) == (wanted[0].name, wanted[1]), method.name
