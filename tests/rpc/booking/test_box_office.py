"""Places set aside for somebody, and what is sold at a till."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from google.type.money_pb2 import Money
from sqlalchemy import text

from rowlock.v1 import booking_pb2, box_office_pb2, box_office_pb2_grpc, event_pb2_grpc, performance_pb2
from tests.rpc.auth.conftest import refusal
from tests.rpc.booking.conftest import BoxOffice, Metadata
from tests.staging import Staged

AVAILABLE, HELD, SOLD, BLOCKED = 1, 2, 3, 4
pytestmark = pytest.mark.asyncio(loop_scope="module")


def euros(cents: int) -> Money:
    return Money(currency_code="EUR", units=cents // 100, nanos=cents % 100 * 10_000_000)


def cents(money: Money) -> int:
    return int(money.units) * 100 + int(money.nanos) // 10_000_000


class Counter:
    """Short ways of the box office."""

    def __init__(self, office: BoxOffice, staff: Metadata) -> None:
        self.office, self.staff = office, staff
        channel = office.client.channel
        self.stub: box_office_pb2_grpc.BoxOfficeServiceAsyncStub = box_office_pb2_grpc.BoxOfficeServiceStub(channel)
        self.events: event_pb2_grpc.EventServiceAsyncStub = event_pb2_grpc.EventServiceStub(channel)

    async def set_aside(
        self, house: Staged, *seats: str, until: datetime | None = None, **fields: str
    ) -> box_office_pb2.Allocation:
        allocation = box_office_pb2.Allocation(owner="Sponsor X", seats=seats)
        if until is not None:
            allocation.release_time.FromDatetime(until)
        request = box_office_pb2.CreateAllocationRequest(
            parent=f"performances/{house.performance_id}", allocation=allocation, **fields
        )
        return await self.stub.CreateAllocation(request, metadata=self.staff)

    async def read(self, allocation: box_office_pb2.Allocation) -> box_office_pb2.Allocation:
        request = box_office_pb2.GetAllocationRequest(name=allocation.name)
        return await self.stub.GetAllocation(request, metadata=self.staff)

    async def release(self, allocation: box_office_pb2.Allocation, **fields: str) -> box_office_pb2.Allocation:
        request = box_office_pb2.ReleaseAllocationRequest(name=allocation.name, **fields)
        return await self.stub.ReleaseAllocation(request, metadata=self.staff)

    async def states(self, house: Staged, *seats: str) -> list[int]:
        request = performance_pb2.ListSeatsRequest(parent=f"performances/{house.performance_id}", page_size=1000)
        listed = await self.events.ListSeats(request, metadata=self.staff)
        by_id = {seat.seat.id: seat.state for seat in listed.seats}
        return [by_id[seat] for seat in seats]

    async def confirm(self, booking: booking_pb2.Booking, method: int = booking_pb2.Booking.CASH) -> None:
        request = booking_pb2.ConfirmBookingRequest(
            name=booking.name, method=booking_pb2.Booking.Method.ValueType(method)
        )
        await self.office.bookings.ConfirmBooking(request, metadata=self.staff)

    async def cancel(self, booking: booking_pb2.Booking) -> None:
        request = booking_pb2.CancelBookingRequest(name=booking.name, reason="came back")
        await self.office.bookings.CancelBooking(request, metadata=self.staff)

    async def open_shift(self, till: str, cash: int = 10_000) -> box_office_pb2.Shift:
        request = box_office_pb2.OpenShiftRequest(shift=box_office_pb2.Shift(till=till, opening_cash=euros(cash)))
        return await self.stub.OpenShift(request, metadata=self.staff)

    async def close_shift(self, shift: box_office_pb2.Shift, counted: int, note: str = "") -> box_office_pb2.Shift:
        request = box_office_pb2.CloseShiftRequest(name=shift.name, counted_cash=euros(counted), note=note)
        return await self.stub.CloseShift(request, metadata=self.staff)

    async def current_shift(self) -> box_office_pb2.Shift:
        return await self.stub.GetShift(box_office_pb2.GetShiftRequest(name="shifts/current"), metadata=self.staff)


@pytest_asyncio.fixture(loop_scope="module")
async def counter(office: BoxOffice) -> AsyncIterator[Counter]:
    """A member of staff of the test's own at a counter."""
    person = await office.client.staff(await office.client.admin())
    yield Counter(office, person.token)


async def test_places_set_aside_are_kept_from_the_public_and_sold_to_their_owner(
    counter: Counter, house: Staged
) -> None:
    seats = ("Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    allocation = await counter.set_aside(house, *seats)
    assert (allocation.owner, tuple(allocation.seats), allocation.blocked) == ("Sponsor X", seats, 3)
    assert allocation.state == box_office_pb2.Allocation.LIVE
    assert await counter.states(house, *seats) == [BLOCKED] * 3

    office, customer = counter.office, await counter.office.customer()
    assert (await refusal(office.book(house, customer, "Stalls-A-1"))).reason == "SEAT_TAKEN"
    named = office.book(house, customer, "Stalls-A-1", allocation=allocation.name)
    assert (await refusal(named)).reason == "PERMISSION_DENIED"

    # One from the allocation and one from the general sale, in one booking.
    booking = await office.book(house, counter.staff, "Stalls-A-1", "Stalls-B-1", allocation=allocation.name)
    await counter.confirm(booking)
    assert await counter.states(house, "Stalls-A-1", "Stalls-B-1", "Stalls-A-2") == [SOLD, SOLD, BLOCKED]
    assert (await counter.read(allocation)).blocked == 2


async def test_what_an_owner_gives_back_returns_to_the_allocation(counter: Counter, house: Staged) -> None:
    allocation = await counter.set_aside(house, "Stalls-A-1", "Stalls-A-2")
    held = await counter.office.book(house, counter.staff, "Stalls-A-1", "Stalls-B-1", allocation=allocation.name)
    await counter.cancel(held)
    assert await counter.states(house, "Stalls-A-1", "Stalls-B-1") == [BLOCKED, AVAILABLE]
    sold = await counter.office.book(house, counter.staff, "Stalls-A-2", allocation=allocation.name)
    await counter.confirm(sold)
    await counter.cancel(sold)
    assert await counter.states(house, "Stalls-A-2") == [BLOCKED]
    assert (await counter.read(allocation)).blocked == 2


async def test_a_released_allocation_gives_its_places_to_everybody(counter: Counter, house: Staged) -> None:
    allocation = await counter.set_aside(house, "Stalls-A-1", "Stalls-A-2")
    held = await counter.office.book(house, counter.staff, "Stalls-A-1", allocation=allocation.name)
    released = await counter.release(allocation, etag=allocation.etag)
    assert released.state == box_office_pb2.Allocation.RELEASED
    assert not released.seats
    assert await counter.states(house, "Stalls-A-1", "Stalls-A-2") == [HELD, AVAILABLE]
    await counter.cancel(held)
    assert await counter.states(house, "Stalls-A-1") == [AVAILABLE]
    again = await counter.release(allocation)
    assert again == released
    update = box_office_pb2.UpdateAllocationRequest(
        allocation=box_office_pb2.Allocation(name=allocation.name, owner="Y"), update_mask=FieldMask(paths=["owner"])
    )
    assert (
        await refusal(counter.stub.UpdateAllocation(update, metadata=counter.staff))
    ).reason == "ALLOCATION_RELEASED"


async def test_an_allocation_is_released_by_itself_when_its_time_comes(counter: Counter, house: Staged) -> None:
    allocation = await counter.set_aside(house, "Stalls-A-1", until=datetime.now(UTC) + timedelta(hours=1))
    its_time = text("UPDATE allocations SET release_time = clock_timestamp() WHERE performance_id = :id")
    await counter.office.database.transaction(lambda session: session.execute(its_time, {"id": house.performance_id}))
    async with asyncio.timeout(60):
        while await counter.states(house, "Stalls-A-1") != [AVAILABLE]:  # noqa: ASYNC110 - a worker does it
            await asyncio.sleep(0.1)
    assert (await counter.read(allocation)).state == box_office_pb2.Allocation.RELEASED


async def test_an_allocation_follows_the_performances_start(counter: Counter, house: Staged) -> None:
    name = f"performances/{house.performance_id}"
    shown = await counter.events.GetPerformance(performance_pb2.GetPerformanceRequest(name=name))
    start = shown.start_time.ToDatetime(UTC)
    at_the_start = await counter.set_aside(house, "Stalls-A-1")
    before_it = await counter.set_aside(house, "Stalls-A-2", until=start - timedelta(hours=1))
    for moved in (timedelta(hours=5), -timedelta(hours=3)):
        changed = performance_pb2.Performance(name=name)
        changed.start_time.FromDatetime(start + moved)
        changed.sale_end_time.FromDatetime(start + moved)
        changed.refund_deadline.FromDatetime(start + moved)
        mask = FieldMask(paths=["start_time", "sale_end_time", "refund_deadline"])
        request = performance_pb2.UpdatePerformanceRequest(performance=changed, update_mask=mask)
        await counter.events.UpdatePerformance(request, metadata=counter.staff)
        times = [(await counter.read(one)).release_time.ToDatetime(UTC) for one in (at_the_start, before_it)]
        assert times == [start + moved, min(start - timedelta(hours=1), start + moved)]


async def test_who_sets_aside_and_who_buys_at_once_do_not_both_get_the_seat(counter: Counter, house: Staged) -> None:
    customers = [await counter.office.customer() for _ in range(8)]
    calls = [counter.office.book(house, customer, "Stalls-C-1") for customer in customers]
    aside = [counter.set_aside(house, "Stalls-C-1", "Stalls-C-2") for _ in range(4)]
    outcomes = await asyncio.gather(*calls, *aside, return_exceptions=True)
    granted = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(granted) == 1
    assert all(isinstance(o, grpc.aio.AioRpcError) for o in outcomes if o not in granted)


async def test_of_a_release_and_a_sale_at_once_both_hold(counter: Counter, house: Staged) -> None:
    seats = [f"Stalls-D-{n}" for n in range(1, 9)]
    allocation = await counter.set_aside(house, *seats)
    sales = [counter.office.book(house, counter.staff, seat, allocation=allocation.name) for seat in seats]
    outcomes = await asyncio.gather(*sales[:4], counter.release(allocation), *sales[4:], return_exceptions=True)
    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert await counter.states(house, *seats) == [HELD] * 8
    for booking in (outcome for outcome in outcomes if isinstance(outcome, booking_pb2.Booking)):
        await counter.cancel(booking)
    assert await counter.states(house, *seats) == [AVAILABLE] * 8


async def test_an_allocation_is_made_once_however_often_it_is_asked_for(counter: Counter, house: Staged) -> None:
    first = await counter.set_aside(house, "Stalls-A-1", request_id="aside-1")
    assert await counter.set_aside(house, "Stalls-A-1", request_id="aside-1") == first
    assert (await refusal(counter.set_aside(house, "Stalls-A-2", request_id="aside-1"))).reason == "REQUEST_ID_REUSED"


async def test_an_allocation_is_refused_with_a_reason(counter: Counter, house: Staged) -> None:
    await counter.set_aside(house, "Stalls-A-1")
    past = datetime.now(UTC) - timedelta(minutes=1)
    late = datetime.now(UTC) + timedelta(days=3650)
    for call, reason in (
        (counter.set_aside(house, "Stalls-A-1"), "SEAT_NOT_FREE"),
        (counter.set_aside(house, "Stalls-Z-1"), "SEAT_UNKNOWN"),
        (counter.set_aside(house, "Stalls-A-2", until=past), "INVALID_FIELD"),
        (counter.set_aside(house, "Stalls-A-2", until=late), "INVALID_FIELD"),
        (counter.set_aside(house), "INVALID_FIELD"),
    ):
        assert (await refusal(call)).reason == reason
    assert await counter.states(house, "Stalls-A-2") == [AVAILABLE]


async def test_staff_change_what_is_said_of_an_allocation_and_list_them(counter: Counter, house: Staged) -> None:
    allocation = await counter.set_aside(house, "Stalls-A-1")
    changed = await counter.stub.UpdateAllocation(
        box_office_pb2.UpdateAllocationRequest(
            allocation=box_office_pb2.Allocation(name=allocation.name, owner="The band", note="ask Kim"),
            update_mask=FieldMask(paths=["owner", "note"]),
        ),
        metadata=counter.staff,
    )
    assert (changed.owner, changed.note, list(changed.seats)) == ("The band", "ask Kim", ["Stalls-A-1"])
    request = box_office_pb2.ListAllocationsRequest(
        parent=f"performances/{house.performance_id}", state=box_office_pb2.Allocation.LIVE
    )
    listed = await counter.stub.ListAllocations(request, metadata=counter.staff)
    assert list(listed.allocations) == [changed]
    assert listed.total_size == 1


async def test_a_shift_adds_up_what_was_sold_for_several_performances(counter: Counter, house: Staged) -> None:
    office, other = counter.office, counter.office.stage()
    opened = await counter.open_shift("Foyer 1", cash=5_000)
    assert cents(opened.expected_cash) == 5_000
    for where, seats, method in (
        (house, ("Stalls-A-1", "Stalls-A-2"), booking_pb2.Booking.CASH),
        (other, ("Stalls-A-1",), booking_pb2.Booking.CASH),
        (other, ("Stalls-B-1",), booking_pb2.Booking.COMP),
    ):
        await counter.confirm(await office.book(where, counter.staff, *seats), method)
    returned = await office.book(house, counter.staff, "Stalls-C-1")
    await counter.confirm(returned)
    await counter.cancel(returned)

    shift = await counter.current_shift()
    totals = shift.totals
    assert (totals.cash_bookings, totals.cash_tickets, cents(totals.cash_in)) == (3, 4, 10_000)
    assert (totals.comp_bookings, totals.comp_tickets) == (1, 1)
    assert (totals.cash_refunds, cents(totals.cash_out)) == (1, 2_500)
    assert [part.performance for part in shift.performances] == [
        f"performances/{staged.performance_id}" for staged in sorted((house, other), key=lambda s: s.performance_id)
    ]
    assert cents(shift.expected_cash) == 12_500

    closed = await counter.close_shift(shift, counted=12_400, note="one euro short")
    assert closed.state == box_office_pb2.Shift.CLOSED
    assert cents(closed.difference) == -100
    # What is sold afterwards is not in it.
    await counter.confirm(await office.book(house, counter.staff, "Stalls-D-1"))
    again = await counter.stub.GetShift(box_office_pb2.GetShiftRequest(name=shift.name), metadata=counter.staff)
    assert again == closed
    assert await counter.close_shift(shift, counted=1) == closed


async def test_sales_and_a_closing_at_once_leave_no_sale_half_counted(counter: Counter, house: Staged) -> None:
    shift = await counter.open_shift("Foyer 2", cash=0)
    bookings = [await counter.office.book(house, counter.staff, f"Stalls-A-{n}") for n in range(1, 9)]
    sales = [counter.confirm(booking) for booking in bookings]
    closing = asyncio.create_task(counter.close_shift(shift, counted=0))
    await asyncio.gather(*sales, closing)
    closed = closing.result()
    later = await counter.stub.GetShift(box_office_pb2.GetShiftRequest(name=shift.name), metadata=counter.staff)
    assert later.totals == closed.totals
    assert cents(closed.totals.cash_in) == 2_500 * closed.totals.cash_bookings


@pytest.mark.race
async def test_control_without_the_shifts_lock_a_sale_is_counted_after_the_closing(
    counter: Counter, house: Staged
) -> None:
    """What the shared lock is for: with a plain read of the open shift, its totals change after the closing."""
    shift = await counter.open_shift("Foyer 3", cash=0)
    shift_id = shift.name.removeprefix("shifts/")
    database = counter.office.database
    with database.engine.connect() as sale:
        # The sale of the control: the open shift is read, and not locked.
        found = sale.execute(text("SELECT id FROM shifts WHERE id = :id AND state = 1"), {"id": shift_id}).scalar_one()
        closed = await counter.close_shift(shift, counted=0)
        sale.execute(
            text(
                "INSERT INTO till_entries VALUES "
                "(:performance, gen_random_uuid(), :shift, gen_random_uuid(), 1, 1, 2500, 'EUR', now())"
            ),
            {"performance": house.performance_id, "shift": found},
        )
        sale.commit()
    later = await counter.stub.GetShift(box_office_pb2.GetShiftRequest(name=shift.name), metadata=counter.staff)
    assert later.totals != closed.totals
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM till_entries WHERE shift_id = :shift"), {"shift": shift_id})


async def test_nobody_has_two_shifts_and_a_till_has_one(counter: Counter, office: BoxOffice) -> None:
    await counter.open_shift("Foyer 4")
    assert (await refusal(counter.open_shift("Foyer 5"))).reason == "SHIFT_OPEN"
    colleague = Counter(office, (await office.client.staff(await office.client.admin())).token)
    assert (await refusal(colleague.open_shift("foyer 4"))).reason == "SHIFT_OPEN"
    mine = await counter.current_shift()
    request = box_office_pb2.GetShiftRequest(name=mine.name)
    assert (await refusal(colleague.stub.GetShift(request, metadata=colleague.staff))).reason == "NOT_FOUND"
    assert (await refusal(colleague.close_shift(mine, counted=0))).reason == "NOT_FOUND"
    listed = await colleague.stub.ListShifts(box_office_pb2.ListShiftsRequest(), metadata=colleague.staff)
    assert not listed.shifts


async def test_customers_have_no_business_behind_the_counter(office: BoxOffice, house: Staged) -> None:
    stranger = Counter(office, await office.customer())
    for call in (stranger.set_aside(house, "Stalls-A-1"), stranger.open_shift("Foyer 9")):
        assert (await refusal(call)).reason == "PERMISSION_DENIED"


async def test_blocked_places_can_be_set_aside_and_unblocked_out_of_an_allocation(
    counter: Counter, house: Staged
) -> None:
    where = f"performances/{house.performance_id}"
    block = performance_pb2.BlockSeatsRequest(performance=where, seats=["Stalls-A-1"])
    await counter.events.BlockSeats(block, metadata=counter.staff)
    allocation = await counter.set_aside(house, "Stalls-A-1", "Stalls-A-2")
    unblock = performance_pb2.UnblockSeatsRequest(performance=where, seats=["Stalls-A-1"])
    await counter.events.UnblockSeats(unblock, metadata=counter.staff)
    assert list((await counter.read(allocation)).seats) == ["Stalls-A-2"]
    assert await counter.states(house, "Stalls-A-1", "Stalls-A-2") == [AVAILABLE, BLOCKED]
