"""The places of a performance: drawn in the stream's order, listed, counted right after every commit, blocked."""

import json
from pathlib import Path

import pytest

from rowlock.v1 import booking_pb2
from rowlock.v1 import performance_pb2 as pb
from rowlock.v1 import seat_map_pb2 as maps
from server.db.engine import Database
from tests.invariants import assert_sound
from tests.rpc.auth.conftest import refusal
from tests.rpc.catalogue.conftest import House, euros, in_days
from tests.staging import hall_document

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = Path(__file__).parents[3] / "examples"
SEATS = [f"Stalls-{row}-{number}" for row in "ABCDE" for number in range(1, 11)]


async def availability(house: House, performance: str) -> pb.GetAvailabilityResponse:
    return await house.events.GetAvailability(pb.GetAvailabilityRequest(performance=performance))


def numbers(counts: pb.SeatCounts) -> tuple[int, int, int, int, int]:
    return counts.total, counts.available, counts.held, counts.sold, counts.blocked


async def block(house: House, performance: str, *seats: str, **fields: str) -> pb.BlockSeatsResponse:
    request = pb.BlockSeatsRequest(performance=performance, seats=seats, **fields)
    return await house.events.BlockSeats(request, metadata=house.staff)


async def test_the_drawing_has_every_place_in_the_order_of_its_index(house: House) -> None:
    seat_map = await house.new_seat_map(**hall_document(standing=30))
    performance = await house.performance(seat_map=seat_map.name)
    request = pb.GetPerformanceSeatMapRequest(performance=performance.name)
    drawing = await house.events.GetPerformanceSeatMap(request)
    assert (drawing.seat_map, drawing.version, drawing.place_count) == (seat_map.name, 1, 80)
    assert [seat.index for seat in drawing.seats] == list(range(80))
    assert [seat.id for seat in drawing.seats][:50] == SEATS
    assert drawing.seats[50].id == "Floor-0001"
    assert drawing.seats[50].kind == maps.Seat.GENERAL_ADMISSION
    assert [area.capacity for area in drawing.areas] == [30]
    assert await house.events.GetPerformanceSeatMap(request) == drawing


async def test_a_large_drawing_comes_in_pages(house: House) -> None:
    seat_map = await house.new_seat_map(**json.loads((EXAMPLES / "arena.json").read_bytes()))
    performance = await house.performance(seat_map=seat_map.name)
    assert performance.counts.total == 20114
    first = await house.events.GetPerformanceSeatMap(pb.GetPerformanceSeatMapRequest(performance=performance.name))
    assert (len(first.seats), first.place_count) == (20_000, 20_114)
    assert first.areas
    second = await house.events.GetPerformanceSeatMap(
        pb.GetPerformanceSeatMapRequest(performance=performance.name, page_token=first.next_page_token)
    )
    assert [seat.index for seat in second.seats] == list(range(20_000, 20_114))
    assert (second.next_page_token, list(second.areas)) == ("", [])
    other = await house.performance(seat_map=seat_map.name)
    strange = pb.GetPerformanceSeatMapRequest(performance=other.name, page_token=first.next_page_token)
    assert (await refusal(house.events.GetPerformanceSeatMap(strange))).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.promise("1.2")
async def test_places_are_listed_with_their_states_and_what_can_buy_them(house: House) -> None:
    seat_map = await house.new_seat_map(**hall_document(standing=5))
    performance = await house.performance(seat_map=seat_map.name)
    stalls = await house.ticket_type(performance.name, zones=["Stalls"], position=1)
    everywhere = await house.ticket_type(performance.name, position=2)
    held = await house.book(performance.name, "Stalls-A-2")
    sold = await house.book(performance.name, "Stalls-A-3")
    await house.sell(sold.name)
    blocked = await block(house, performance.name, "Stalls-A-4")
    listed = await house.events.ListSeats(pb.ListSeatsRequest(parent=performance.name, page_size=5))
    assert [(one.seat.id, one.seat.index, one.state) for one in listed.seats] == [
        ("Stalls-A-1", 0, maps.SEAT_STATE_AVAILABLE),
        ("Stalls-A-2", 1, maps.SEAT_STATE_HELD),
        ("Stalls-A-3", 2, maps.SEAT_STATE_SOLD),
        ("Stalls-A-4", 3, maps.SEAT_STATE_BLOCKED),
        ("Stalls-A-5", 4, maps.SEAT_STATE_AVAILABLE),
    ]
    assert list(listed.seats[0].ticket_types) == [stalls.name, everywhere.name]
    assert (listed.total_size, listed.revision) == (55, blocked.revision)
    floor = await house.events.ListSeats(pb.ListSeatsRequest(parent=performance.name, zone="Floor"))
    assert [one.seat.id for one in floor.seats] == [f"Floor-000{number}" for number in range(1, 6)]
    assert {tuple(one.ticket_types) for one in floor.seats} == {(everywhere.name,)}
    request = pb.ListSeatsRequest(parent=performance.name, section="Stalls", state=maps.SEAT_STATE_HELD)
    assert [one.seat.id for one in (await house.events.ListSeats(request)).seats] == [held.seats[0].seat]
    nothing = await house.events.ListSeats(pb.ListSeatsRequest(parent=performance.name, zone="Moon"))
    assert (list(nothing.seats), nothing.total_size) == ([], 0)


async def test_pages_of_places_join_to_the_hall(house: House) -> None:
    performance = await house.on_sale()
    found, token = [], ""
    while True:
        request = pb.ListSeatsRequest(parent=performance.name, page_size=20, page_token=token)
        page = await house.events.ListSeats(request)
        found += [one.seat.id for one in page.seats]
        token = page.next_page_token
        if not token:
            break
    assert found == SEATS


@pytest.mark.promise("3.4", "4.2")
async def test_availability_is_right_after_every_acknowledged_change(house: House, database: Database) -> None:
    seat_map = await house.new_seat_map(**hall_document(standing=10))
    performance = (await house.performance(seat_map=seat_map.name, customer_limit=20)).name
    adult = await house.ticket_type(performance, zones=["Stalls"], quantity=6, position=1)
    anywhere = await house.ticket_type(performance, position=2, price=euros(999))
    before = await availability(house, performance)
    assert numbers(before.counts) == (60, 60, 0, 0, 0)
    assert [(zone.zone, numbers(zone.counts)) for zone in before.zones] == [
        ("Stalls", (50, 50, 0, 0, 0)),
        ("Floor", (10, 10, 0, 0, 0)),
    ]
    assert [(kind.ticket_type, kind.available, kind.on_sale) for kind in before.ticket_types] == [
        (adult.name, 6, True),
        (anywhere.name, 60, True),
    ]
    assert before.ticket_types[1].price == euros(999)

    booking = await house.book(performance, "Stalls-A-1", "Stalls-A-2")
    held = await availability(house, performance)
    assert held.revision > before.revision
    assert numbers(held.counts) == (60, 58, 2, 0, 0)
    assert numbers(held.zones[0].counts) == (50, 48, 2, 0, 0)
    assert [kind.available for kind in held.ticket_types] == [4, 58]

    await house.sell(booking.name)
    assert numbers((await availability(house, performance)).counts) == (60, 58, 0, 2, 0)

    await block(house, performance, "Floor-0001")
    assert numbers((await availability(house, performance)).zones[1].counts) == (10, 9, 0, 0, 1)

    other = await house.book(performance, "Stalls-B-1")
    assert numbers((await availability(house, performance)).counts) == (60, 56, 1, 2, 1)
    await house.bookings.CancelBooking(booking_pb2.CancelBookingRequest(name=other.name), metadata=house.customer)
    assert numbers((await availability(house, performance)).counts) == (60, 57, 0, 2, 1)
    assert (await availability(house, performance)).ticket_types[0].available == 4
    assert numbers((await house.reread(performance)).counts) == (60, 57, 0, 2, 1)
    assert_sound(database)


async def test_what_is_not_sold_now_is_not_on_sale(house: House) -> None:
    later = await house.performance(sale_start_time=in_days(1))
    await house.ticket_type(later.name)
    assert [kind.on_sale for kind in (await availability(house, later.name)).ticket_types] == [False]
    now = await house.performance()
    await house.ticket_type(now.name, sale_end_time=in_days(-1), position=1)
    await house.ticket_type(now.name, sale_start_time=in_days(-1), position=2)
    assert [kind.on_sale for kind in (await availability(house, now.name)).ticket_types] == [False, True]


async def test_blocked_places_cannot_be_claimed_until_they_are_unblocked(house: House, database: Database) -> None:
    performance = (await house.on_sale()).name
    blocked = await block(house, performance, "Stalls-A-1", "Stalls-A-2", reason="camera")
    assert (blocked.revision, numbers(blocked.counts)) == (1, (50, 48, 0, 0, 2))
    assert (await refusal(house.book(performance, "Stalls-A-1"))).reason == "SEAT_TAKEN"
    again = await block(house, performance, "Stalls-A-1")
    assert (again.revision, numbers(again.counts)) == (1, (50, 48, 0, 0, 2))
    request = pb.UnblockSeatsRequest(performance=performance, seats=["Stalls-A-1", "Stalls-A-3"])
    freed = await house.events.UnblockSeats(request, metadata=house.staff)
    assert (freed.revision, numbers(freed.counts)) == (2, (50, 49, 0, 0, 1))
    await house.book(performance, "Stalls-A-1")
    assert_sound(database)


async def test_a_block_is_all_or_nothing(house: House) -> None:
    performance = (await house.on_sale()).name
    await house.book(performance, "Stalls-A-2")
    refused = await refusal(block(house, performance, "Stalls-A-1", "Stalls-A-2"))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "SEAT_NOT_FREE")
    assert refused.facts["seats"] == "Stalls-A-2"
    unknown = await refusal(block(house, performance, "Stalls-A-1", "Stalls-Z-9"))
    assert (unknown.code, unknown.reason) == ("INVALID_ARGUMENT", "SEAT_UNKNOWN")
    assert (unknown.facts["seats"], unknown.fields) == ("Stalls-Z-9", ("seats[1]",))
    assert numbers((await availability(house, performance)).counts) == (50, 49, 1, 0, 0)


async def test_a_repeated_block_has_one_effect(house: House) -> None:
    performance = (await house.on_sale()).name
    first = await block(house, performance, "Stalls-A-1", request_id="block-1")
    assert await block(house, performance, "Stalls-A-1", request_id="block-1") == first
    refused = await refusal(block(house, performance, "Stalls-A-2", request_id="block-1"))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")


@pytest.mark.parametrize("seats", [[], ["Stalls-A-1"] * 2, [""], ["x" * 129], [f"s{n}" for n in range(1001)]], ids=len)
async def test_a_list_of_seats_that_is_none_is_refused(house: House, seats: list[str]) -> None:
    performance = (await house.on_sale()).name
    refused = await refusal(block(house, performance, *seats))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert refused.fields[0].startswith("seats")
