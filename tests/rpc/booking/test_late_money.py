"""Late money as customers see it, over a socket and with the real worker."""

import asyncio

import pytest
from sqlalchemy import text

from rowlock.v1 import booking_pb2 as pb
from rowlock.v1 import payment_pb2, stream_pb2, ticket_pb2
from tests.eventually import eventually
from tests.invariants import assert_sound
from tests.rpc.auth.conftest import refusal
from tests.rpc.booking.conftest import BoxOffice, Metadata
from tests.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

Payment = payment_pb2.Payment


async def ran_out_while_nobody_knew(office: BoxOffice, house: Staged, who: Metadata) -> tuple[pb.Booking, Payment]:
    """A hold whose time is over while the provider, who has taken its money, does not answer."""
    booking = await office.book(house, who, "Stalls-A-1", "Stalls-A-2")
    payment = await office.pay(booking, who)
    key = {"id": payment.name.rsplit("/", 1)[-1], "booking": booking.name.rsplit("/", 1)[-1]}
    state = "SELECT state FROM payments WHERE id = :id"
    await eventually(lambda: office.database.run_transaction(lambda s: s.scalar(text(state), key)) == 2)
    for change in (
        "UPDATE simulator_orders SET state = 2, capture_time = now() WHERE payment_id = :id",
        "UPDATE payments SET state = 7, attempt_count = 2, next_attempt_time = now() + interval '1 h' WHERE id = :id",
        "UPDATE bookings SET hold_expire_time = now() WHERE id = :booking",
    ):
        with office.database.engine.begin() as connection:
            connection.execute(text(change), key)
    return booking, payment


def the_provider_answers(office: BoxOffice, payment: Payment) -> None:
    due = text("UPDATE payments SET next_attempt_time = now() WHERE id = :id")
    office.database.run_transaction(lambda s: s.execute(due, {"id": payment.name.rsplit("/", 1)[-1]}))


async def test_whoever_watches_the_old_booking_is_told_of_the_new_one(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking, payment = await ran_out_while_nobody_knew(office, house, anna)
    stream = office.bookings.WatchBooking(pb.WatchBookingRequest(name=booking.name), metadata=anna)
    shown, end = pb.Booking(), None
    async with asyncio.timeout(60):
        async for message in stream:
            if message.HasField("booking"):
                if not shown.name:
                    assert message.booking.state == pb.Booking.EXPIRED
                    the_provider_answers(office, payment)
                shown = message.booking
            elif message.HasField("reconnect"):
                end = message.reconnect.reason
    assert end == stream_pb2.Reconnect.FINISHED
    assert (shown.state, shown.payment) == (pb.Booking.EXPIRED, "")
    successor = await office.get(pb.Booking(name=shown.replaced_by), anna)
    assert (successor.state, successor.replaces) == (pb.Booking.CONFIRMED, booking.name)
    assert (successor.payment, successor.total) == (payment.name, booking.total)
    assert [seat.seat for seat in successor.seats] == ["Stalls-A-1", "Stalls-A-2"]
    paid = await office.payments.GetPayment(payment_pb2.GetPaymentRequest(name=payment.name), metadata=anna)
    assert (paid.state, paid.booking, paid.bought_booking) == (Payment.SUCCEEDED, booking.name, successor.name)
    tickets = await office.bookings.ListTickets(ticket_pb2.ListTicketsRequest(parent=successor.name), metadata=anna)
    assert tickets.total_size == 2
    stranger = await office.customer()
    hidden = office.bookings.GetBooking(pb.GetBookingRequest(name=successor.name), metadata=stranger)
    assert (await refusal(hidden)).code == "NOT_FOUND"


async def test_the_successor_is_returned_like_any_other_booking(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking, payment = await ran_out_while_nobody_knew(office, house, anna)
    the_provider_answers(office, payment)
    async with asyncio.timeout(60):
        while True:
            successor = (await office.get(booking, anna)).replaced_by
            if successor:
                break
            await asyncio.sleep(0.05)

    cancelled = await office.bookings.CancelBooking(pb.CancelBookingRequest(name=successor), metadata=anna)

    assert cancelled.state == pb.Booking.CANCELLED
    listed = payment_pb2.ListRefundsRequest(parent=payment.name)
    async with asyncio.timeout(60):
        while True:
            page = await office.payments.ListRefunds(listed, metadata=anna)
            if [refund.state for refund in page.refunds] == [payment_pb2.Refund.SUCCEEDED]:
                break
            await asyncio.sleep(0.05)
    assert page.refunds[0].amount == booking.total
    assert_sound(office.database)


async def test_a_place_that_was_bought_meanwhile_sends_the_money_back(office: BoxOffice, house: Staged) -> None:
    anna, bert = await office.customer(), await office.customer()
    booking, payment = await ran_out_while_nobody_knew(office, house, anna)
    await office.buy(house, bert, "Stalls-A-2")

    the_provider_answers(office, payment)

    async with asyncio.timeout(60):
        while True:
            ask = payment_pb2.GetPaymentRequest(name=payment.name)
            paid = await office.payments.GetPayment(ask, metadata=anna)
            if paid.state == Payment.SUCCEEDED:
                break
            await asyncio.sleep(0.05)
    assert (paid.error_reason, paid.bought_booking, paid.refunded) == ("SEAT_TAKEN", "", booking.total)
    assert (await office.get(booking, anna)).replaced_by == ""
