"""Performances and ticket types: defaults, and what may still be changed once somebody has booked."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from rowlock.v1 import booking_pb2, event_pb2
from rowlock.v1 import performance_pb2 as pb
from rowlock.v1 import ticket_type_pb2 as types
from server.db.engine import Database
from tests.invariants import assert_sound
from tests.rpc.auth.conftest import refusal
from tests.rpc.catalogue.conftest import House, at, euros, in_days, minutes
from tests.staging import hall_document

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def update(house: House, name: str, *paths: str, **fields: object) -> pb.Performance:
    request = pb.UpdatePerformanceRequest(
        performance=pb.Performance(name=name, **fields),  # type: ignore[arg-type]
        update_mask=FieldMask(paths=paths),
    )
    return await house.events.UpdatePerformance(request, metadata=house.staff)


async def update_type(house: House, name: str, *paths: str, **fields: object) -> types.TicketType:
    request = types.UpdateTicketTypeRequest(
        ticket_type=types.TicketType(name=name, **fields),  # type: ignore[arg-type]
        update_mask=FieldMask(paths=paths),
    )
    return await house.events.UpdateTicketType(request, metadata=house.staff)


@pytest.mark.promise("4.8")
async def test_a_performance_begins_with_every_place_available_and_the_usual_rules(house: House) -> None:
    event = await house.event(title="The Tempest", description="An island")
    made = await house.on_sale(event.name, start_time=in_days(30))
    read = await house.events.GetPerformance(pb.GetPerformanceRequest(name=made.name))
    assert read.start_time == in_days(30)
    shown = await house.events.GetEvent(event_pb2.GetEventRequest(name=read.event))
    assert (shown.title, shown.description) == ("The Tempest", "An island")
    assert (read.event, read.event_title) == (event.name, "The Tempest")
    assert (read.venue, read.seat_map, read.seat_map_version) == (house.venue, house.seat_map, 1)
    assert read.venue_display_name.startswith("House")
    assert read.time_zone == "Europe/Berlin"
    assert read.state == pb.Performance.SCHEDULED
    counts = read.counts
    assert (counts.total, counts.available, counts.held, counts.sold, counts.blocked) == (50, 50, 0, 0, 0)
    assert read.customer_limit == 4
    assert read.hold_duration == minutes(15)
    assert at(read.refund_deadline) == at(read.start_time) - timedelta(hours=3)
    assert at(read.sale_end_time) == at(read.start_time)
    assert at(read.sale_start_time) <= at(read.create_time) + timedelta(seconds=1)
    assert read.lowest_price == euros(2500)


async def test_what_staff_say_of_a_performance_is_kept(house: House) -> None:
    made = await house.performance(
        hall="Hall 3",
        end_time=in_days(30.1),
        time_zone="Asia/Tokyo",
        sale_start_time=in_days(1),
        sale_end_time=in_days(29),
        customer_limit=8,
        hold_duration=minutes(5),
        refund_deadline=in_days(20),
    )
    assert (made.hall, made.time_zone, made.customer_limit) == ("Hall 3", "Asia/Tokyo", 8)
    assert (made.sale_start_time, made.sale_end_time) == (in_days(1), in_days(29))
    assert made.hold_duration == minutes(5)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"end_time": in_days(29)}, "performance.end_time"),
        ({"sale_start_time": in_days(31)}, "performance.sale_end_time"),
        ({"sale_start_time": in_days(3), "sale_end_time": in_days(2)}, "performance.sale_end_time"),
        ({"time_zone": "Mars/Olympus"}, "performance.time_zone"),
        ({"hold_duration": minutes(31)}, "performance.hold_duration"),
        ({"customer_limit": -1}, "performance.customer_limit"),
    ],
)
async def test_a_performance_that_contradicts_itself_is_refused(
    house: House, fields: dict[str, Any], field: str
) -> None:
    event = (await house.event()).name
    refused = await refusal(house.performance(event, **fields))
    assert (refused.code, refused.reason, refused.fields) == ("INVALID_ARGUMENT", "INVALID_FIELD", (field,))
    listed = await house.events.ListPerformances(pb.ListPerformancesRequest(event=event))
    assert listed.total_size == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "events/999999"},
        {"seat_map": "venues/999999/seatMaps/1"},
        {"seat_map_version": 7},
    ],
)
async def test_a_performance_of_something_that_is_not_there_is_refused(house: House, fields: dict[str, Any]) -> None:
    refused = await refusal(house.performance(**fields))
    assert (refused.code, refused.reason) == ("NOT_FOUND", "NOT_FOUND")


async def test_an_update_is_held_against_what_stays(house: House) -> None:
    made = await house.performance(sale_start_time=in_days(2), sale_end_time=in_days(5))
    refused = await refusal(update(house, made.name, "sale_start_time", sale_start_time=in_days(6)))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ("performance.sale_end_time",))
    changed = await update(house, made.name, "sale_end_time", "hall", sale_end_time=in_days(9), hall="Hall 1")
    assert (changed.sale_start_time, changed.sale_end_time, changed.hall) == (in_days(2), in_days(9), "Hall 1")
    emptied = await update(house, made.name, "hall")
    assert (emptied.hall, emptied.sale_end_time) == ("", in_days(9))


async def test_a_stale_etag_changes_nothing(house: House) -> None:
    made = await house.performance()
    await update(house, made.name, customer_limit=5)
    refused = await refusal(update(house, made.name, customer_limit=6, etag=made.etag))
    assert (refused.code, refused.reason) == ("ABORTED", "ETAG_MISMATCH")
    assert (await house.reread(made.name)).customer_limit == 5


async def test_the_seat_map_changes_until_somebody_books(house: House, database: Database) -> None:
    larger = await house.new_seat_map(**hall_document(rows=8, seats=10))
    performance = await house.on_sale()
    # A server that has the old hall in mind:
    assert (await refusal(house.book(performance.name, "Stalls-H-1"))).reason == "SEAT_UNKNOWN"
    await house.events.BlockSeats(
        pb.BlockSeatsRequest(performance=performance.name, seats=["Stalls-A-1"]), metadata=house.staff
    )
    changed = await update(house, performance.name, "seat_map", seat_map=larger.name)
    assert (changed.seat_map, changed.counts.total, changed.counts.available) == (larger.name, 80, 80)
    assert changed.revision == 2
    booking = await house.book(performance.name, "Stalls-H-1")
    assert [seat.seat for seat in booking.seats] == ["Stalls-H-1"]
    await house.bookings.CancelBooking(booking_cancel(booking.name), metadata=house.customer)
    refused = await refusal(update(house, performance.name, "seat_map", seat_map=house.seat_map))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "HAS_BOOKINGS")
    assert_sound(database)


def booking_cancel(name: str) -> booking_pb2.CancelBookingRequest:
    return booking_pb2.CancelBookingRequest(name=name)


async def test_a_performance_is_deleted_until_somebody_books(house: House) -> None:
    performance = await house.on_sale()
    delete = pb.DeletePerformanceRequest(name=performance.name)
    await house.events.DeletePerformance(delete, metadata=house.staff)
    assert (await refusal(house.reread(performance.name))).code == "NOT_FOUND"
    booked = await house.on_sale()
    booking = await house.book(booked.name, "Stalls-A-1")
    await house.bookings.CancelBooking(booking_cancel(booking.name), metadata=house.customer)
    refused = await refusal(
        house.events.DeletePerformance(pb.DeletePerformanceRequest(name=booked.name), metadata=house.staff)
    )
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "HAS_BOOKINGS")


async def test_a_change_of_the_rules_counts_from_the_next_claim(house: House) -> None:
    draft = await house.event(published=False)
    performance = await house.on_sale(draft.name)
    assert (await refusal(house.book(performance.name, "Stalls-A-1"))).reason == "NOT_ON_SALE"
    await house.events.PublishEvent(event_pb2.PublishEventRequest(name=draft.name), metadata=house.staff)
    await house.book(performance.name, "Stalls-A-1")
    await update(house, performance.name, customer_limit=1)
    assert (await refusal(house.book(performance.name, "Stalls-A-2"))).reason == "CUSTOMER_LIMIT_REACHED"
    await update(house, performance.name, customer_limit=2)
    await house.book(performance.name, "Stalls-A-2")
    await update(house, performance.name, "sale_start_time", sale_start_time=in_days(1))
    assert (await refusal(house.book(performance.name, "Stalls-A-3"))).reason == "SALE_NOT_STARTED"
    await update(
        house, performance.name, "sale_start_time", "customer_limit", sale_start_time=in_days(-1), customer_limit=9
    )
    await house.book(performance.name, "Stalls-A-3")


@pytest.mark.promise("2.3", "3.1")
async def test_ticket_types_are_read_by_everybody_in_their_order(house: House) -> None:
    performance = await house.performance()
    student = await house.ticket_type(performance.name, display_name="Student", price=euros(1250), position=2)
    adult = await house.ticket_type(
        performance.name, display_name="Adult", zones=["Stalls"], quantity=30, customer_limit=2, position=1
    )
    assert (adult.price, adult.quantity, adult.customer_limit, list(adult.zones)) == (euros(2500), 30, 2, ["Stalls"])
    assert not student.HasField("quantity")
    listed = await house.events.ListTicketTypes(types.ListTicketTypesRequest(parent=performance.name))
    assert list(listed.ticket_types) == [adult, student]
    assert await house.events.GetTicketType(types.GetTicketTypeRequest(name=student.name)) == student


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"zones": ["Stalls", "Moon"]}, "INVALID_FIELD", "ticket_type.zones[1]"),
        ({"price": {"currency_code": "EUR", "units": 1, "nanos": 5_000_000}}, "INVALID_FIELD", "ticket_type.price"),
        ({"price": {"currency_code": "EUR", "units": -1}}, "INVALID_FIELD", "ticket_type.price"),
        ({"sale_start_time": in_days(2), "sale_end_time": in_days(1)}, "INVALID_FIELD", "ticket_type.sale_end_time"),
        ({"quantity": 0}, "INVALID_FIELD", "ticket_type.quantity"),
    ],
)
async def test_a_ticket_type_that_makes_no_sense_is_refused(
    house: House, fields: dict[str, Any], reason: str, field: str
) -> None:
    performance = await house.performance()
    refused = await refusal(house.ticket_type(performance.name, **fields))
    assert (refused.code, refused.reason, refused.fields) == ("INVALID_ARGUMENT", reason, (field,))


async def test_ticket_types_of_one_performance_have_one_currency_and_different_names(house: House) -> None:
    performance = await house.performance()
    adult = await house.ticket_type(performance.name, display_name="Adult")
    yen = {"currency_code": "JPY", "units": 3000}
    refused = await refusal(house.ticket_type(performance.name, price=yen))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "CURRENCY_MISMATCH")
    refused = await refusal(house.ticket_type(performance.name, display_name="Adult"))
    assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "ALREADY_EXISTS")
    # The only one may change its currency while nothing was sold.
    assert (await update_type(house, adult.name, "price", price=yen)).price.units == 3000


async def test_a_price_can_change_and_what_is_held_keeps_the_old_one(house: House) -> None:
    performance = await house.performance()
    adult = await house.ticket_type(performance.name)
    booking = await house.book(performance.name, "Stalls-A-1")
    await update_type(house, adult.name, "price", price=euros(3000))
    dearer = await house.book(performance.name, "Stalls-A-2")
    assert (booking.total, dearer.total) == (euros(2500), euros(3000))
    kept = await house.bookings.GetBooking(booking_get(booking.name), metadata=house.customer)
    assert kept.total == euros(2500)


def booking_get(name: str) -> booking_pb2.GetBookingRequest:
    return booking_pb2.GetBookingRequest(name=name)


async def test_a_quantity_is_never_below_what_is_claimed(house: House) -> None:
    performance = await house.performance()
    adult = await house.ticket_type(performance.name, quantity=10)
    await house.book(performance.name, "Stalls-A-1", "Stalls-A-2")
    refused = await refusal(update_type(house, adult.name, "quantity", quantity=1))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "CAPACITY_BELOW_SOLD")
    assert refused.facts["sold"] == "2"
    full = await update_type(house, adult.name, "quantity", quantity=2)
    assert (full.quantity, full.claimed) == (2, 2)
    assert (await refusal(house.book(performance.name, "Stalls-A-3"))).reason == "TICKET_TYPE_SOLD_OUT"
    unbounded = await update_type(house, adult.name, "quantity")
    assert not unbounded.HasField("quantity")
    await house.book(performance.name, "Stalls-A-3")


async def test_a_limit_per_customer_begins_before_the_first_claim_or_never(house: House) -> None:
    performance = await house.performance()
    adult = await house.ticket_type(performance.name)
    booking = await house.book(performance.name, "Stalls-A-1")
    refused = await refusal(update_type(house, adult.name, "customer_limit", customer_limit=2))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "HAS_BOOKINGS")
    await house.bookings.CancelBooking(booking_cancel(booking.name), metadata=house.customer)
    await update_type(house, adult.name, "customer_limit", customer_limit=2)
    await house.book(performance.name, "Stalls-A-1", "Stalls-A-2")
    assert (await refusal(house.book(performance.name, "Stalls-A-3"))).reason == "TICKET_TYPE_LIMIT_REACHED"
    await update_type(house, adult.name, "customer_limit", customer_limit=3)
    await house.book(performance.name, "Stalls-A-3")


async def test_a_ticket_type_that_was_ever_used_is_kept(house: House) -> None:
    performance = await house.performance()
    used, unused = await house.ticket_type(performance.name), await house.ticket_type(performance.name)
    booking = await house.book(performance.name, "Stalls-A-1")
    await house.bookings.CancelBooking(booking_cancel(booking.name), metadata=house.customer)
    delete = types.DeleteTicketTypeRequest
    refused = await refusal(house.events.DeleteTicketType(delete(name=used.name), metadata=house.staff))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "HAS_BOOKINGS")
    await house.events.DeleteTicketType(delete(name=unused.name), metadata=house.staff)
    gone = await refusal(house.events.GetTicketType(types.GetTicketTypeRequest(name=unused.name)))
    assert gone.code == "NOT_FOUND"


async def test_the_performances_and_prices_of_a_draft_are_seen_by_staff_only(house: House) -> None:
    draft = await house.event(published=False)
    performance = await house.on_sale(draft.name)
    hidden: list[Awaitable[Any]] = [
        house.events.GetPerformance(pb.GetPerformanceRequest(name=performance.name)),
        house.events.ListTicketTypes(types.ListTicketTypesRequest(parent=performance.name)),
        house.events.GetPerformanceSeatMap(pb.GetPerformanceSeatMapRequest(performance=performance.name)),
        house.events.ListSeats(pb.ListSeatsRequest(parent=performance.name)),
        house.events.GetAvailability(pb.GetAvailabilityRequest(performance=performance.name)),
    ]
    for call in hidden:
        refused = await refusal(call)
        assert (refused.code, refused.message) == ("NOT_FOUND", f"{performance.name} was not found")
    listed = await house.events.ListPerformances(pb.ListPerformancesRequest(event=draft.name))
    assert (list(listed.performances), listed.total_size) == ([], 0)
    request = pb.ListPerformancesRequest(event=draft.name)
    listed = await house.events.ListPerformances(request, metadata=house.staff)
    assert [one.name for one in listed.performances] == [performance.name]


async def test_an_unknown_ticket_type_of_a_known_performance_is_not_found(house: House) -> None:
    performance = await house.performance()
    name = f"{performance.name}/ticketTypes/999999"
    refused = await refusal(house.events.GetTicketType(types.GetTicketTypeRequest(name=name)))
    assert (refused.code, refused.message) == ("NOT_FOUND", f"{name} was not found")
