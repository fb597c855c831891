"""Tickets and money given back over a socket, with a real worker behind: who may, what is answered, what is seen."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from rowlock.v1 import booking_pb2 as pb
from rowlock.v1 import event_pb2_grpc, payment_pb2, performance_pb2, ticket_pb2
from server.payments.simulator import REFUND, script
from server.resources import parse_payment
from server.states import SimulatedOutcome
from tests.rpc.auth.conftest import refusal
from tests.rpc.booking.conftest import BoxOffice, Metadata
from tests.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

Refund = payment_pb2.Refund
PARENT = "performances/{}/bookings/-/payments/-"


async def tickets_of(office: BoxOffice, booking: pb.Booking, who: Metadata) -> dict[str, ticket_pb2.Ticket]:
    """A booking's tickets by seat."""
    page = await office.bookings.ListTickets(ticket_pb2.ListTicketsRequest(parent=booking.name), metadata=who)
    return {ticket.seat: ticket for ticket in page.tickets}


async def refunds_of(office: BoxOffice, parent: str, who: Metadata, **fields: Any) -> list[payment_pb2.Refund]:
    request = payment_pb2.ListRefundsRequest(parent=parent, **fields)
    return list((await office.payments.ListRefunds(request, metadata=who)).refunds)


async def until(what: Callable[[], Awaitable[Any]]) -> Any:
    """What ``what`` gives as soon as it is anything."""
    async with asyncio.timeout(60):
        while not (found := await what()):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.05)
    return found


@pytest.mark.promise("1.9")
async def test_a_customer_gives_one_of_two_tickets_back(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking, payment = await office.buy(house, anna, "Stalls-A-1", "Stalls-A-2")
    tickets = await tickets_of(office, booking, anna)
    gone = tickets["Stalls-A-1"].name
    request = pb.RefundTicketsRequest(name=booking.name, tickets=[gone], reason="ill", request_id=str(uuid4()))

    left = await office.bookings.RefundTickets(request, metadata=anna)

    assert (left.state, [seat.seat for seat in left.seats], left.total.units) == (
        pb.Booking.CONFIRMED,
        ["Stalls-A-2"],
        25,
    )
    assert await office.bookings.RefundTickets(request, metadata=anna) == left
    states = {seat: ticket.state for seat, ticket in (await tickets_of(office, booking, anna)).items()}
    assert states == {"Stalls-A-1": ticket_pb2.Ticket.VOID, "Stalls-A-2": ticket_pb2.Ticket.VALID}

    async def done() -> list[payment_pb2.Refund]:
        return await refunds_of(office, payment.name, anna, state=Refund.SUCCEEDED)

    (refund,) = await until(done)
    assert (refund.amount.units, refund.reason, list(refund.tickets), refund.requester) == (25, "ill", [gone], "")
    (seen_by_staff,) = await refunds_of(office, payment.name, office.staff)
    assert seen_by_staff.requester == booking.customer
    anew = pb.RefundTicketsRequest(name=booking.name, tickets=[gone])
    again = await refusal(office.bookings.RefundTickets(anew, metadata=anna))
    assert (again.code, again.reason) == ("FAILED_PRECONDITION", "TICKET_VOID")
    await office.book(house, await office.customer(), "Stalls-A-1")


async def test_a_stranger_gives_nothing_back_and_learns_nothing(office: BoxOffice, house: Staged) -> None:
    anna, eve = await office.customer(), await office.customer()
    booking, _ = await office.buy(house, anna, "Stalls-A-1")
    other, _ = await office.buy(house, eve, "Stalls-A-2")
    ticket = (await tickets_of(office, booking, anna))["Stalls-A-1"].name
    hers = (await tickets_of(office, other, eve))["Stalls-A-2"].name
    absent = f"{booking.name}/tickets/{uuid4()}"

    async def refused(name: str, *tickets: str) -> str:
        request = pb.RefundTicketsRequest(name=name, tickets=tickets)
        return (await refusal(office.bookings.RefundTickets(request, metadata=eve))).code

    assert await refused(booking.name, ticket) == "NOT_FOUND"
    assert await refused(booking.name, absent) == "NOT_FOUND"
    assert await refused(booking.name, hers) == "NOT_FOUND"
    assert await refused(other.name) == "INVALID_ARGUMENT"
    assert await refused(other.name, hers, hers) == "INVALID_ARGUMENT"


@pytest.mark.promise("1.10")
async def test_after_the_deadline_only_staff_with_a_reason(office: BoxOffice) -> None:
    house = office.stage()
    anna = await office.customer()
    booking, payment = await office.buy(house, anna, "Stalls-A-1", "Stalls-A-2")
    late = (
        "WITH late AS (UPDATE performances SET refund_deadline = clock_timestamp() - interval '1s' WHERE id = :id)"
        " UPDATE inventories SET rules_version = rules_version + 1 WHERE performance_id = :id"
    )
    office.database.run_transaction(lambda s: s.execute(text(late), {"id": house.performance_id}))
    ticket = (await tickets_of(office, booking, anna))["Stalls-A-1"].name

    def give_back(who: Metadata, reason: str) -> Any:
        request = pb.RefundTicketsRequest(name=booking.name, tickets=[ticket], reason=reason)
        return office.bookings.RefundTickets(request, metadata=who)

    assert (await refusal(give_back(anna, "please"))).reason == "REFUND_DEADLINE_PASSED"
    assert (await refusal(give_back(office.staff, ""))).reason == "REFUND_DEADLINE_PASSED"
    left = await give_back(office.staff, "the view was blocked")
    assert [seat.seat for seat in left.seats] == ["Stalls-A-2"]
    (refund,) = await refunds_of(office, payment.name, office.staff)
    assert refund.reason == "the view was blocked"
    assert refund.requester.startswith("users/")
    assert refund.requester != booking.customer


@pytest.mark.promise("1.9")
async def test_a_refused_refund_is_listed_for_staff_and_tried_anew(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking, payment = await office.buy(house, anna, "Stalls-A-1")
    payment_id = parse_payment(payment.name)[2]

    def play(outcome: SimulatedOutcome) -> None:
        office.database.run_transaction(lambda s: script(s, payment_id, REFUND, outcome))

    play(SimulatedOutcome.DECLINE)
    await office.bookings.CancelBooking(pb.CancelBookingRequest(name=booking.name), metadata=anna)
    everywhere = PARENT.format(house.performance_id)

    async def failed() -> list[payment_pb2.Refund]:
        return await refunds_of(office, everywhere, office.staff, state=Refund.FAILED)

    (refund,) = await until(failed)
    assert (refund.error_reason, refund.HasField("next_attempt_time")) == ("REFUND_REFUSED", False)
    retry = payment_pb2.RetryRefundRequest(name=refund.name, reason="a new card")
    assert (await refusal(office.payments.RetryRefund(retry, metadata=anna))).code == "PERMISSION_DENIED"

    play(SimulatedOutcome.APPROVE)
    asked = await office.payments.RetryRefund(retry, metadata=office.staff)
    assert (asked.state, asked.reason) == (Refund.REQUESTED, "booking cancelled; a new card")

    async def done() -> list[payment_pb2.Refund]:
        return await refunds_of(office, payment.name, anna, state=Refund.SUCCEEDED)

    (refund,) = await until(done)
    again = await office.payments.RetryRefund(retry, metadata=office.staff)
    assert (again.name, again.state) == (refund.name, Refund.SUCCEEDED)


async def test_cash_waits_for_whom_gave_it_up_from_home(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    confirm = pb.ConfirmBookingRequest(name=booking.name, method=pb.Booking.CASH)
    await office.bookings.ConfirmBooking(confirm, metadata=office.staff)
    fetch = pb.PayOutCashRequest(name=booking.name, request_id=str(uuid4()))
    assert (await refusal(office.bookings.PayOutCash(fetch, metadata=office.staff))).reason == "NO_CASH_DUE"

    await office.bookings.CancelBooking(pb.CancelBookingRequest(name=booking.name), metadata=anna)

    assert (await refusal(office.bookings.PayOutCash(fetch, metadata=anna))).code == "PERMISSION_DENIED"
    paid = await office.bookings.PayOutCash(fetch, metadata=office.staff)
    assert (paid.amount.units, paid.amount.currency_code) == (25, "EUR")
    assert await office.bookings.PayOutCash(fetch, metadata=office.staff) == paid
    anew = pb.PayOutCashRequest(name=booking.name)
    assert (await refusal(office.bookings.PayOutCash(anew, metadata=office.staff))).reason == "NO_CASH_DUE"


async def test_a_cancellation_says_how_far_it_has_come(office: BoxOffice) -> None:
    house = office.stage()
    anna, bob = await office.customer(), await office.customer()
    paid, _ = await office.buy(house, anna, "Stalls-A-1", "Stalls-A-2")
    used, _ = await office.buy(house, bob, "Stalls-A-3")
    await office.book(house, bob, "Stalls-A-4")
    doors = "UPDATE performances SET start_time = now() + interval '1h' WHERE id = :id"
    office.database.run_transaction(lambda s: s.execute(text(doors), {"id": house.performance_id}))
    name = f"performances/{house.performance_id}"
    ticket = (await tickets_of(office, used, bob))["Stalls-A-3"]
    check_in = ticket_pb2.CheckInTicketRequest(performance=name, name=ticket.name)
    await office.bookings.CheckInTicket(check_in, metadata=office.staff)
    events: event_pb2_grpc.EventServiceAsyncStub = event_pb2_grpc.EventServiceStub(office.client.channel)

    def ask(of: str, who: Metadata = office.staff) -> Any:
        request = performance_pb2.GetCancellationProgressRequest(name=of)
        return events.GetCancellationProgress(request, metadata=who)

    assert (await refusal(ask(name))).reason == "PERFORMANCE_STATE"
    assert (await refusal(ask(name, anna))).code == "PERMISSION_DENIED"
    assert (await refusal(ask("performances/999999999"))).code == "NOT_FOUND"

    await events.CancelPerformance(performance_pb2.CancelPerformanceRequest(name=name), metadata=office.staff)

    async def finished() -> performance_pb2.CancellationProgress | None:
        progress = await ask(name)
        return progress if progress.finished else None

    progress = await until(finished)
    assert (progress.bookings, progress.bookings_left, progress.bookings_checked_in) == (3, 0, 1)
    (tally,) = progress.refunds
    assert (tally.done, tally.done_amount.units, tally.due, tally.failed) == (1, 50, 0, 0)
    assert (await office.get(paid, anna)).state == pb.Booking.CANCELLED
    assert (await office.get(used, bob)).state == pb.Booking.CONFIRMED
    of_event = await ask(f"events/{house.event_id}")
    assert (of_event.performances, of_event.performances_left, of_event.bookings) == (1, 0, 3)
