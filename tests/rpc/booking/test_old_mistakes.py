"""Mistakes that other systems make with bookings, each tried here from outside; the rest stands where it belongs."""

import asyncio
from typing import Any

import pytest

from rowlock.v1 import booking_pb2 as pb
from rowlock.v1 import event_pb2_grpc, payment_pb2, performance_pb2, seat_feed_pb2, ticket_pb2
from server import resources
from tests.rpc.auth.conftest import refusal
from tests.rpc.booking.conftest import BoxOffice, Metadata
from tests.rpc.catalogue.test_event_lists import statements
from tests.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def available(office: BoxOffice, house: Staged) -> int:
    """Places left, as everybody reads it; the counts of the zones and of the whole agree."""
    events: event_pb2_grpc.EventServiceAsyncStub = event_pb2_grpc.EventServiceStub(office.client.channel)
    name = resources.performance(house.performance_id)
    answer = await events.GetAvailability(performance_pb2.GetAvailabilityRequest(performance=name))
    assert sum(zone.counts.available for zone in answer.zones) == answer.counts.available
    performance = await events.GetPerformance(performance_pb2.GetPerformanceRequest(name=name))
    assert performance.counts == answer.counts
    return int(answer.counts.available)


@pytest.mark.mistake("sold seats can be selected again")
async def test_a_sold_seat_is_nobodys_to_select_not_even_its_owners(office: BoxOffice, house: Staged) -> None:
    anna, bob = await office.customer(), await office.customer()
    sold, _ = await office.buy(house, anna, "Stalls-A-1")
    assert sold.state == pb.Booking.CONFIRMED
    for who in (anna, bob):
        assert (await refusal(office.book(house, who, "Stalls-A-1"))).reason == "SEAT_TAKEN"
        held = await office.book(house, who, f"Stalls-B-{1 + (who is bob)}")
        add = pb.AddSeatsRequest(name=held.name, seats=[pb.SeatClaim(seat="Stalls-A-1")])
        assert (await refusal(office.bookings.AddSeats(add, metadata=who))).reason == "SEAT_TAKEN"
    assert await office.get(sold, anna) == sold


@pytest.mark.mistake("negative or zero quantity")
@pytest.mark.parametrize("quantity", [0, -1, -(2**31)])
async def test_nobody_books_less_than_one_place(office: BoxOffice, house: Staged, quantity: int) -> None:
    anna = await office.customer()
    before = await available(office, house)
    kind = resources.ticket_type(house.performance_id, house.ticket_type_ids[2])
    claims: list[tuple[str, dict[str, Any]]] = [
        ("best_available.quantity", {"best_available": pb.BestAvailable(quantity=quantity)}),
        (
            "general_admission[0].quantity",
            {"general_admission": [pb.GeneralAdmissionClaim(ticket_type=kind, quantity=quantity)]},
        ),
    ]
    for field, claim in claims:
        refused = await refusal(office.book(house, anna, **claim))
        assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", (field,))
    assert (await refusal(office.book(house, anna))).code == "INVALID_ARGUMENT"
    assert await available(office, house) == before


@pytest.mark.promise("3.4")
@pytest.mark.mistake("stock subtracted twice")
async def test_a_place_is_counted_once_from_hold_to_refund(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    everything = await available(office, house)
    booking = await office.book(house, anna, "Stalls-C-1", "Stalls-C-2", request_id="once")
    assert await office.book(house, anna, "Stalls-C-1", "Stalls-C-2", request_id="once") == booking
    assert await available(office, house) == everything - 2
    payment = await office.simulate(await office.pay(booking, anna), anna)
    assert payment.state == payment_pb2.Payment.SUCCEEDED
    assert await available(office, house) == everything - 2
    await office.bookings.CancelBooking(pb.CancelBookingRequest(name=booking.name), metadata=anna)
    assert await available(office, house) == everything


@pytest.mark.mistake("status or price or total taken from the client")
async def test_a_customer_cannot_write_what_is_the_servers(office: BoxOffice, house: Staged) -> None:
    anna, bob = await office.customer(), await office.client.sign_up()
    booking = await office.book(house, anna, "Stalls-D-1")
    wish = pb.Booking(name=booking.name, note="Mine", customer=bob.name, state=pb.Booking.CONFIRMED)
    wish.total.units = 1
    wish.seats.add(seat="Stalls-D-2").price.units = 0
    for path in ("state", "total", "seats", "customer", "hold_expire_time", "payment"):
        request = pb.UpdateBookingRequest(booking=wish, update_mask={"paths": [path]})  # type: ignore[arg-type]
        assert (await refusal(office.bookings.UpdateBooking(request, metadata=anna))).code == "INVALID_ARGUMENT"
    changed = await office.bookings.UpdateBooking(pb.UpdateBookingRequest(booking=wish), metadata=anna)
    assert changed.note == "Mine"
    for field in ("state", "total", "seats", "customer", "hold_expire_time", "payment"):
        assert getattr(changed, field) == getattr(booking, field)


@pytest.mark.promise("1.4")
@pytest.mark.mistake("errors broadcast to everybody")
async def test_a_refusal_is_told_to_nobody_else(office: BoxOffice, house: Staged) -> None:
    anna, bob = await office.customer(), await office.customer()
    await office.book(house, anna, "Stalls-E-1")
    events: event_pb2_grpc.EventServiceAsyncStub = event_pb2_grpc.EventServiceStub(office.client.channel)
    request = seat_feed_pb2.WatchSeatsRequest(performance=resources.performance(house.performance_id))
    watch: Any = events.WatchSeats(request, metadata=anna)
    assert (await watch.read()).HasField("snapshot")
    for _ in range(5):
        assert (await refusal(office.book(house, bob, "Stalls-E-1"))).reason == "SEAT_TAKEN"
    await office.book(house, bob, "Stalls-E-2")
    async with asyncio.timeout(60):
        while not (message := await watch.read()).HasField("changes"):
            assert message.HasField("heartbeat")
    assert [change.index for change in message.changes.changes] == [house.hall.index_of["Stalls-E-2"]]
    watch.cancel()


@pytest.mark.promise("3.7")
@pytest.mark.mistake("list end point that runs a query per row")
async def test_lists_of_a_customer_take_as_many_statements_for_many_rows_as_for_few(office: BoxOffice) -> None:
    house = office.stage(customer_limit=50)
    anna = await office.customer()
    parent = resources.performance(house.performance_id)

    async def counted() -> list[tuple[int, int]]:
        found = []
        for call, request in (
            (office.bookings.ListBookings, pb.ListBookingsRequest(parent=parent)),
            (office.bookings.ListTickets, ticket_pb2.ListTicketsRequest(parent=sold.name)),
            (office.payments.ListPayments, payment_pb2.ListPaymentsRequest(parent=f"{parent}/bookings/-")),
        ):
            found.append(await least_statements(call, request, anna))
        return found

    sold = await office.book(house, anna, *(f"Stalls-A-{n}" for n in range(1, 3)))
    await office.simulate(await office.pay(sold, anna), anna)
    few = await counted()
    for n in range(1, 9):
        await office.buy(house, anna, f"Stalls-B-{n}")
    sold = await office.book(house, anna, *(f"Stalls-C-{n}" for n in range(1, 10)))
    await office.simulate(await office.pay(sold, anna), anna)
    many = await counted()
    assert [rows for rows, _ in many] == [10, 9, 10]
    assert [count for _, count in few] == [count for _, count in many]


async def least_statements(call: Any, request: Any, who: Metadata) -> tuple[int, int]:
    """How many rows a list has, and the statements for it; the server asks something of its own now and then."""
    rows = (await call(request, metadata=who)).total_size
    runs = []
    for _ in range(8):
        with statements() as seen:
            await call(request, metadata=who)
        runs.append(len(seen))
    return rows, min(runs)
