"""The programme in the console: what is made there is on sale, and nobody's change is lost."""

from collections.abc import Callable
from datetime import UTC, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import FilePayload, Page, expect

from rowlock.v1 import event_pb2, seat_map_pb2, venue_pb2
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock_client import Client
from rowlock_client.errors import FailedPrecondition
from rowlock_client.rpc import Rpc
from server import clock
from server.states import Role
from tests.console.conftest import BackOffice, Visitor

Visit = Callable[..., Visitor]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def save(page: Page) -> None:
    """Send the form, which then leads to the list."""
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="successfully")).to_be_visible()


def confirm(page: Page, button: str) -> None:
    """Press a button of the dialog that asks before something is done."""
    page.locator("#modal-action.show").get_by_role("button", name=button, exact=True).click()


def choose(page: Page, label: str, text: str) -> None:
    """The one with this text in it."""
    field = page.get_by_label(label, exact=True)
    value = field.locator("option").filter(has_text=text).first.get_attribute("value")
    assert value
    field.select_option(value)


def made_event(api: Client, title: str) -> event_pb2.Event:
    [event] = api.events(text=title).events
    return event


def test_what_is_made_in_the_console_can_be_bought(office: BackOffice, visit: Visit) -> None:
    title, mill = f"Night {uuid4().hex}", f"Mill {uuid4().hex}"
    email = office.account(Role.STAFF, "Grace")
    api, customer = office.client(email), office.client(office.account())
    staff = visit("/venues/create", email)
    page = staff.page
    page.get_by_label("Name").fill(mill)
    page.get_by_label("Time zone").select_option("America/New_York")
    save(page)
    staff.open("/seat-maps/create")
    choose(page, "Venue", mill)
    page.get_by_label("File").set_input_files(EXAMPLES / "cinema.json")
    save(page)
    staff.open("/categories/create")
    page.get_by_label("Name").fill(f"Plays {title}")
    save(page)
    staff.open("/events/create")
    page.get_by_label("Title").fill(title)
    choose(page, "Category", title)
    page.get_by_label("Minutes").fill("90")
    save(page)
    event = made_event(api, title)
    assert (event.state, event.running_time.seconds) == (event_pb2.Event.DRAFT, 90 * 60)

    begins = clock.now() + timedelta(days=40)
    staff.open(f"/performances/create?event={event.name}")
    choose(page, "Seat map", mill)
    page.get_by_label("Begins", exact=True).fill(begins.strftime("%Y-%m-%dT19:30"))
    page.get_by_label("Places a customer").fill("3")
    save(page)
    [performance] = api.performances(event=event.name).performances
    local = performance.start_time.ToDatetime(UTC).astimezone(ZoneInfo("America/New_York"))
    assert f"{local:%H:%M}" == "19:30"
    assert (performance.time_zone, performance.customer_limit) == ("America/New_York", 3)

    staff.open(f"/ticket-types/create?performance={performance.name}")
    page.get_by_label("Name", exact=True).fill("Adult")
    page.get_by_label("Price", exact=True).fill("12,50 eur")
    save(page)
    assert not list(customer.events(text=title).events)

    staff.open(f"/events/detail?pk={event.name}")
    page.get_by_role("button", name="Publish").click()
    confirm(page, "Publish")
    expect(page.get_by_text("Published", exact=True)).to_be_visible()

    assert made_event(customer, title).name == event.name
    place = customer.seats(performance.name, page_size=1).seats[0].seat.id
    booking = customer.hold(performance.name, place)
    assert (booking.total.units, booking.total.nanos) == (12, 500_000_000)
    staff.open(f"/performances/detail?pk={performance.name}")
    expect(page.locator("#counts").get_by_role("row", name="All")).to_contain_text("179")


def test_a_change_by_somebody_else_meanwhile_is_not_overwritten(office: BackOffice, visit: Visit) -> None:
    title = f"Lost {uuid4().hex}"
    email = office.account(Role.STAFF)
    api = office.client(email)
    new = event_pb2.Event(title=title, description="As it was.")
    rpc: Rpc[event_pb2.Event] = Rpc(EventServiceStub, "CreateEvent", event_pb2.CreateEventRequest(event=new))
    event = api.call(rpc)
    slow, quick = visit(f"/events/edit?pk={event.name}", email), visit(f"/events/edit?pk={event.name}", email)
    quick.page.get_by_label("Minutes").fill("75")
    save(quick.page)

    slow.page.get_by_label("Description").fill("As I want it.")
    slow.page.get_by_role("button", name="Save", exact=True).click()
    expect(slow.page.get_by_role("alert").first).to_contain_text("Somebody else changed this")
    expect(slow.page.get_by_label("Description")).to_have_value("As I want it.")
    found = made_event(api, title)
    assert (found.description, found.running_time.seconds) == ("As it was.", 75 * 60)

    # Sent again it is refused again: only a form that shows the other change may be sent.
    slow.page.get_by_role("button", name="Save", exact=True).click()
    expect(slow.page.get_by_role("alert").first).to_contain_text("Somebody else changed this")
    slow.open(f"/events/edit?pk={event.name}")
    expect(slow.page.get_by_label("Minutes")).to_have_value("75")
    slow.page.get_by_label("Description").fill("As I want it.")
    save(slow.page)
    found = made_event(api, title)
    assert (found.description, found.running_time.seconds) == ("As I want it.", 75 * 60)


def test_what_is_used_is_not_deleted_and_what_is_not_used_is(office: BackOffice, visit: Visit) -> None:
    house = office.house()
    email = office.account(Role.STAFF)
    api = office.client(email)
    title = f"Idea {uuid4().hex}"
    new = event_pb2.CreateEventRequest(event=event_pb2.Event(title=title))
    rpc: Rpc[event_pb2.Event] = Rpc(EventServiceStub, "CreateEvent", new)
    draft = api.call(rpc)
    staff = visit(f"/events/detail?pk=events/{house.event_id}", email)
    page = staff.page
    page.get_by_role("button", name="Delete").click()
    confirm(page, "Yes, delete")
    expect(page.get_by_role("alert")).to_contain_text("IN_USE")

    staff.open(f"/events/detail?pk={draft.name}")
    page.get_by_role("button", name="Delete").click()
    confirm(page, "Yes, delete")
    expect(page.get_by_role("alert")).to_contain_text("deleted")
    assert not api.events(text=title).events


def test_lists_are_made_files_of(office: BackOffice, visit: Visit) -> None:
    house = office.house()
    name = f"performances/{house.performance_id}"
    staff = visit(f"/ticket-types/list?performance={name}", office.account(Role.STAFF))
    for path, wanted in (
        (f"/ticket-types/list?performance={name}", "25.00 EUR"),
        (f"/performances/list?event=events/{house.event_id}", name),
        (f"/seat-maps/list?venue=venues/{house.venue_id}", f"venues/{house.venue_id}/seatMaps/"),
        ("/events/list?text=A+Play", "A Play"),
        ("/venues/list?text=House", "The House"),
    ):
        staff.open(path)
        staff.page.locator("[data-sa-name=export]").click()
        with staff.page.expect_download() as download:
            staff.page.get_by_role("dialog").get_by_role("button", name="Export", exact=True).click()
        assert wanted in download.value.path().read_text(), path


def test_a_form_sends_only_what_was_changed(office: BackOffice, visit: Visit) -> None:
    house = office.house()
    email = office.account(Role.STAFF)
    name = f"performances/{house.performance_id}"
    before = office.client(email).performance(name)
    staff = visit(f"/performances/edit?pk={name}", email)
    staff.page.get_by_label("Hall", exact=True).fill("Hall 3")
    save(staff.page)
    after = office.client(email).performance(name)
    assert after.hall == "Hall 3"
    # To the microsecond, which no form shows.
    for field in ("start_time", "sale_start_time", "sale_end_time", "refund_deadline", "hold_duration", "seat_map"):
        assert getattr(after, field) == getattr(before, field), field


def test_a_cancelled_performance_is_wound_up_before_ones_eyes(office: BackOffice, visit: Visit) -> None:
    house = office.house()
    name = f"performances/{house.performance_id}"
    customer = office.client(office.account())
    booking = customer.hold(name, "Stalls-A-1")
    staff = visit(f"/performances/detail?pk={name}", office.account(Role.STAFF))
    page = staff.page
    page.get_by_role("button", name="Cancel the performance").click()
    page.get_by_label("Why, for those who have tickets").fill("Snow.")
    confirm(page, "Cancel the performance")
    expect(page.locator("#cancellation")).to_contain_text("Wound up. 1 of 1 bookings are ended.")
    assert customer.booking(booking.name).state != booking.state
    with pytest.raises(FailedPrecondition, match="PERFORMANCE_CANCELLED"):
        customer.hold(name, "Stalls-A-2")
    staff.open("/performances/list?state=CANCELLED&page_size=500")
    expect(page.get_by_role("cell", name=name, exact=True)).to_be_visible()
    staff.open("/performances/list?state=SCHEDULED&page_size=500")
    expect(page.get_by_role("cell", name=name, exact=True)).to_have_count(0)


def test_seat_maps_are_read_drawn_and_given_versions(office: BackOffice, visit: Visit) -> None:
    email = office.account(Role.STAFF)
    api = office.client(email)
    new = venue_pb2.Venue(display_name=f"Tent {uuid4().hex}")
    made: Rpc[venue_pb2.Venue] = Rpc(EventServiceStub, "CreateVenue", venue_pb2.CreateVenueRequest(venue=new))
    venue = api.call(made)
    staff = visit(f"/seat-maps/create?venue={venue.name}", email)
    page = staff.page

    wrong = FilePayload(name="hall.json", mimeType="application/json", buffer=b'{"format": "rowlock-seat-map"}')
    page.get_by_label("File").set_input_files(wrong)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#document-error")).to_contain_text("sections")
    expect(page.get_by_label("Venue", exact=True)).to_have_value(venue.name)

    page.get_by_label("File").set_input_files(EXAMPLES / "cinema.pretix.json")
    save(page)
    listing = seat_map_pb2.ListSeatMapsRequest(parent=venue.name)
    listed: Rpc[seat_map_pb2.ListSeatMapsResponse] = Rpc(EventServiceStub, "ListSeatMaps", listing)
    [seat_map] = api.call(listed).seat_maps
    assert (seat_map.version, seat_map.place_count) == (1, 180)

    staff.open(f"/seat-maps/create?replaces={seat_map.name}&venue={venue.name}")
    page.get_by_label("File").set_input_files(EXAMPLES / "theatre.json")
    save(page)
    assert [one.version for one in api.call(listed).seat_maps] == [2]

    staff.open(f"/seat-maps/detail?pk={seat_map.name}")
    expect(page.locator("#said")).to_have_text("Version 2: 1,191 places.")
    page.get_by_label("Version").select_option("1")
    expect(page.locator("#said")).to_have_text("Version 1: 180 places.")

    staff.open(f"/seat-maps/edit?pk={seat_map.name}")
    page.get_by_label("Name").fill("Big top")
    save(page)
    assert [one.display_name for one in api.call(listed).seat_maps] == ["Big top"]
