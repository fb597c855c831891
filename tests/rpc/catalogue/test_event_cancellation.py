"""CancelPerformance and CancelEvent over a socket."""

import asyncio

import pytest

from rowlock.v1 import booking_pb2, performance_pb2
from rowlock.v1 import event_pb2 as pb
from rowlock.v1 import ticket_type_pb2 as types
from server.db.engine import Database
from tests.invariants import assert_sound
from tests.rpc.auth.conftest import refusal
from tests.rpc.catalogue.conftest import House, euros, in_days

pytestmark = pytest.mark.asyncio(loop_scope="module")

Cancel = performance_pb2.CancelPerformanceRequest


async def until_free(house: House, performance: str) -> performance_pb2.Performance:
    """Wait until every place is free again."""
    async with asyncio.timeout(60):
        while True:
            read = await house.reread(performance)
            if read.counts.available == read.counts.total:
                return read
            await asyncio.sleep(0.05)


async def test_a_cancelled_performance_gives_every_place_back(house: House, database: Database) -> None:
    performance = (await house.on_sale()).name
    held, sold = await house.book(performance, "Stalls-A-1"), await house.book(performance, "Stalls-A-2")
    await house.sell(sold.name)
    cancelled = await house.events.CancelPerformance(Cancel(name=performance, reason="flood"), metadata=house.staff)
    assert cancelled.state == performance_pb2.Performance.CANCELLED
    await until_free(house, performance)
    for booking in (held, sold):
        request = booking_pb2.GetBookingRequest(name=booking.name)
        read = await house.bookings.GetBooking(request, metadata=house.customer)
        assert read.state == booking_pb2.Booking.CANCELLED
    refused = await refusal(house.book(performance, "Stalls-A-3"))
    assert refused.code == "FAILED_PRECONDITION"
    again = await house.events.CancelPerformance(Cancel(name=performance), metadata=house.staff)
    assert again.etag == cancelled.etag
    assert_sound(database)


async def test_nothing_of_a_cancelled_performance_can_be_changed(house: House) -> None:
    performance = await house.performance()
    kind = await house.ticket_type(performance.name)
    await house.events.CancelPerformance(Cancel(name=performance.name), metadata=house.staff)
    update = performance_pb2.UpdatePerformanceRequest(
        performance=performance_pb2.Performance(name=performance.name, hall="Hall 2")
    )
    dearer = types.UpdateTicketTypeRequest(ticket_type=types.TicketType(name=kind.name, price=euros(3000)))
    block = performance_pb2.BlockSeatsRequest(performance=performance.name, seats=["Stalls-A-1"])
    for call, reason in (
        (house.events.UpdatePerformance(update, metadata=house.staff), "PERFORMANCE_STATE"),
        (house.events.UpdateTicketType(dearer, metadata=house.staff), "PERFORMANCE_STATE"),
        (house.ticket_type(performance.name), "PERFORMANCE_STATE"),
        (house.events.BlockSeats(block, metadata=house.staff), "PERFORMANCE_CANCELLED"),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", reason)


async def test_an_event_is_cancelled_with_its_performances_to_come(house: House, database: Database) -> None:
    event = await house.event()
    over = await house.on_sale(event.name, start_time=in_days(-1), sale_start_time=in_days(-9))
    coming = [await house.on_sale(event.name, start_time=in_days(day)) for day in (3, 4)]
    await house.book(coming[0].name, "Stalls-A-1")
    cancelled = await house.events.CancelEvent(pb.CancelEventRequest(name=event.name), metadata=house.staff)
    assert cancelled.state == pb.Event.CANCELLED
    assert not cancelled.HasField("next_start_time")
    assert (await house.reread(over.name)).state == performance_pb2.Performance.SCHEDULED
    for performance in coming:
        assert (await until_free(house, performance.name)).state == performance_pb2.Performance.CANCELLED
    # It is no longer offered, but who has a ticket can still read what became of it.
    assert (await house.events.GetEvent(pb.GetEventRequest(name=event.name))).state == pb.Event.CANCELLED
    listed = await house.events.ListEvents(pb.ListEventsRequest(text=event.title))
    assert list(listed.events) == []
    for refused, reason in (
        (house.performance(event.name), "EVENT_STATE"),
        (house.events.PublishEvent(pb.PublishEventRequest(name=event.name), metadata=house.staff), "EVENT_STATE"),
    ):
        assert (await refusal(refused)).reason == reason
    again = await house.events.CancelEvent(pb.CancelEventRequest(name=event.name), metadata=house.staff)
    assert again == cancelled
    assert_sound(database)


async def test_a_draft_that_is_cancelled_was_never_there(house: House) -> None:
    draft = await house.event(published=False)
    await house.events.CancelEvent(pb.CancelEventRequest(name=draft.name), metadata=house.staff)
    assert (await refusal(house.events.GetEvent(pb.GetEventRequest(name=draft.name)))).code == "NOT_FOUND"


async def test_a_cancellation_that_did_not_see_the_last_change_is_refused(house: House) -> None:
    performance = await house.performance()
    refused = await refusal(
        house.events.CancelPerformance(Cancel(name=performance.name, etag="v99"), metadata=house.staff)
    )
    assert (refused.code, refused.reason) == ("ABORTED", "ETAG_MISMATCH")
    assert (await house.reread(performance.name)).state == performance_pb2.Performance.SCHEDULED
