"""Paying with PayPal over a socket, with the real worker behind it, and a PayPal over HTTP behind that."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from rowlock.v1 import booking_pb2 as pb
from rowlock.v1 import payment_pb2
from server.config import PayPalMode, Settings
from server.fake_provider.behaviour import Behaviour, Call
from server.fake_provider.comparing import differences
from tests.eventually import eventually
from tests.fake_paypal import FakePayPal, fake_paypal
from tests.invariants import assert_sound
from tests.rpc.auth.conftest import refusal
from tests.rpc.booking.conftest import FAST, BoxOffice, Metadata
from tests.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

Payment = payment_pb2.Payment
Refund = payment_pb2.Refund

A_HANG = 180
"""Seconds after which nobody waits any more. No test needs them: they are for machines that stand still for a while."""


@pytest.fixture(scope="module")
def paypal() -> Iterator[FakePayPal]:
    with fake_paypal() as found:
        yield found


@pytest.fixture(scope="module")
def fast(settings: Settings, paypal: FakePayPal) -> Settings:
    # Long enough for an answer from a busy machine, and short enough to sit a silence out.
    quick = {"payment_call_timeout": timedelta(seconds=1), "payment_ask_interval": timedelta(seconds=1)}
    told = paypal.settings() | {"paypal_mode": PayPalMode.SANDBOX}
    return settings.model_copy(update={**FAST, **quick, **told})


async def until(office: BoxOffice, payment: Payment, who: Metadata, *states: int) -> Payment:
    """The payment, once it is in one of the states."""
    async with asyncio.timeout(A_HANG):
        while True:
            now = await office.payments.GetPayment(payment_pb2.GetPaymentRequest(name=payment.name), metadata=who)
            if now.state in states:
                return now
            await asyncio.sleep(0.05)


async def begun(office: BoxOffice, booking: pb.Booking, who: Metadata) -> Payment:
    """A payment that PayPal knows, and the customer has to approve."""
    request = payment_pb2.CreatePaymentRequest(
        parent=booking.name, payment=Payment(provider=Payment.PAYPAL), return_uri="https://tickets.example/paid"
    )
    payment = await office.payments.CreatePayment(request, metadata=who)
    return await until(office, payment, who, Payment.REQUIRES_ACTION)


async def approve(paypal: FakePayPal, payment: Payment) -> None:
    await asyncio.to_thread(paypal.control.approve, payment.provider_reference)


def capture(office: BoxOffice, payment: Payment, who: Metadata) -> Any:
    return office.payments.CapturePayment(payment_pb2.CapturePaymentRequest(name=payment.name), metadata=who)


def our_id(payment: Payment) -> str:
    return payment.name.rpartition("/")[2]


@pytest.mark.promise("1.7")
@pytest.mark.promise("1.8")
@pytest.mark.promise("1.9")
async def test_approved_at_paypal_captured_and_given_back(office: BoxOffice, house: Staged, paypal: FakePayPal) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1", "Stalls-A-2")
    payment = await begun(office, booking, anna)
    assert payment.approval_uri.startswith(f"{paypal.provider.base_url}/checkoutnow?token=")

    await approve(paypal, payment)
    assert (await capture(office, payment, anna)).state in {Payment.PROCESSING, Payment.SUCCEEDED}
    paid = await until(office, payment, anna, Payment.SUCCEEDED)
    assert (paid.amount.units, paid.amount.currency_code, paid.provider) == (50, "EUR", Payment.PAYPAL)
    assert paid.provider_reference == payment.provider_reference
    assert (await office.get(booking, anna)).state == pb.Booking.CONFIRMED

    part = payment_pb2.RefundPaymentRequest(
        name=payment.name, amount={"currency_code": "EUR", "units": 20}, reason="the heating failed"
    )
    await office.payments.RefundPayment(part, metadata=office.staff)
    await office.bookings.CancelBooking(pb.CancelBookingRequest(name=booking.name), metadata=anna)
    listed = payment_pb2.ListRefundsRequest(parent=payment.name)
    async with asyncio.timeout(A_HANG):
        while True:
            page = await office.payments.ListRefunds(listed, metadata=anna)
            if [one.state for one in page.refunds] == [Refund.SUCCEEDED] * 2:
                break
            await asyncio.sleep(0.05)
    books = await asyncio.to_thread(paypal.control.books)
    given = sorted(one.value for one in books.refunds if one.payment == our_id(payment))
    assert [str(value) for value in given] == ["20.00", "30.00"]
    await office.book(house, anna, "Stalls-A-1")


@pytest.mark.promise("1.7")
async def test_a_payment_given_up_is_closed_at_paypal(office: BoxOffice, house: Staged, paypal: FakePayPal) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    payment = await begun(office, booking, anna)
    cancel = payment_pb2.CancelPaymentRequest(name=payment.name)
    assert (await office.payments.CancelPayment(cancel, metadata=anna)).state == Payment.CANCELLED
    await approve(paypal, payment)
    closed = {"id": payment.provider_reference, "payment": our_id(payment), "status": "APPROVED", "intent": "AUTHORIZE"}
    await eventually(lambda: paypal.control.orders(our_id(payment)) == [closed], A_HANG)
    assert (await office.get(booking, anna)).state == pb.Booking.HELD


@pytest.mark.promise("0.11")
async def test_paid_failed_not_found_and_unreachable_are_four_answers(
    office: BoxOffice, house: Staged, paypal: FakePayPal
) -> None:
    anna = await office.customer()
    told = {}
    for seat, behaviours in (("A-1", []), ("A-2", [Behaviour.DECLINE]), ("A-3", [Behaviour.SILENT_BEFORE] * 2)):
        payment = await begun(office, await office.book(house, anna, f"Stalls-{seat}"), anna)
        await approve(paypal, payment)
        for call in (Call.CAPTURE, Call.SHOW):
            scripted = behaviours if call is Call.CAPTURE or len(behaviours) > 1 else []
            await asyncio.to_thread(paypal.control.script, our_id(payment), call, *scripted)
        await capture(office, payment, anna)
        told[seat] = await until(office, payment, anna, Payment.SUCCEEDED, Payment.FAILED, Payment.UNKNOWN)

    assert (await capture(office, told["A-1"], anna)).state == Payment.SUCCEEDED
    assert (await refusal(capture(office, told["A-2"], anna))).reason == "PAYMENT_FAILED"
    unreachable = await refusal(capture(office, told["A-3"], anna))
    assert (unreachable.code, unreachable.reason) == ("UNAVAILABLE", "PROVIDER_UNREACHABLE")
    absent = Payment(name=told["A-1"].name.replace(our_id(told["A-1"]), str(uuid4())))
    assert (await refusal(capture(office, absent, anna))).code == "NOT_FOUND"
    await until(office, told["A-3"], anna, Payment.SUCCEEDED)


@pytest.mark.promise("1.8")
async def test_nobody_but_its_owner_captures_gives_up_or_sees_a_payment(
    office: BoxOffice, house: Staged, paypal: FakePayPal
) -> None:
    anna, bert = await office.customer(), await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    payment = await begun(office, booking, anna)
    await approve(paypal, payment)
    named = {"name": payment.name}
    for who, code in ((bert, "NOT_FOUND"), ((), "UNAUTHENTICATED")):
        for call in (
            office.payments.GetPayment(payment_pb2.GetPaymentRequest(**named), metadata=who),
            office.payments.CapturePayment(payment_pb2.CapturePaymentRequest(**named), metadata=who),
            office.payments.CancelPayment(payment_pb2.CancelPaymentRequest(**named), metadata=who),
        ):
            assert (await refusal(call)).code == code
    await until(office, payment, anna, Payment.SUCCEEDED)


@pytest.mark.promise("1.7")
async def test_webhooks_come_to_the_front_door_and_forgeries_are_turned_away(
    office: BoxOffice, house: Staged, paypal: FakePayPal
) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    payment = await begun(office, booking, anna)
    await approve(paypal, payment)
    (message,) = await asyncio.to_thread(paypal.control.webhooks, our_id(payment))

    def deliver(body: bytes) -> Any:
        request = payment_pb2.HandleProviderWebhookRequest(provider=Payment.PAYPAL, body=body, headers=message.headers)
        return office.payments.HandleProviderWebhook(request)

    assert (await refusal(deliver(message.body + b" "))).reason == "WEBHOOK_SIGNATURE_INVALID"
    await asyncio.gather(*(deliver(message.body) for _ in range(5)))
    # The customer closed the browser: nobody but the webhook says that they approved.
    await until(office, payment, anna, Payment.SUCCEEDED)
    assert (await office.get(booking, anna)).state == pb.Booking.CONFIRMED


@pytest.mark.promise("1.7")
async def test_everything_agrees_with_paypals_books_in_the_end(
    office: BoxOffice, house: Staged, paypal: FakePayPal
) -> None:
    behaviours = paypal.provider.behaviours

    async def buyer(number: int) -> None:
        who = await office.customer()
        booking = await office.book(house, who, f"Stalls-{'ABCDE'[number // 10]}-{number % 10 + 1}")
        payment = await begun(office, booking, who)
        await approve(paypal, payment)
        await capture(office, payment, who)
        ended = await until(office, payment, who, Payment.SUCCEEDED, Payment.FAILED)
        if number % 3 == 0 and ended.state == Payment.SUCCEEDED:
            await office.bookings.CancelBooking(pb.CancelBookingRequest(name=booking.name), metadata=who)

    behaviours.fault_rate, behaviours.decline_rate = 0.3, 0.1
    try:
        await asyncio.gather(*(buyer(number) for number in range(25)))
    finally:
        behaviours.fault_rate, behaviours.decline_rate = 0.0, 0.0
    # What is left is asked for ever less often: an attempt takes two answers, of which half went wrong at such a rate.
    due = text(
        "SELECT EXISTS (SELECT FROM payments WHERE next_attempt_time IS NOT NULL AND provider = 2)"
        " OR EXISTS (SELECT FROM refunds WHERE next_attempt_time IS NOT NULL)"
    )
    await eventually(lambda: not office.database.run_transaction(lambda s: s.execute(due).scalar_one()), A_HANG)
    books = await asyncio.to_thread(paypal.control.books)
    assert office.database.run_transaction(lambda s: differences(s, books)) == []
    assert_sound(office.database)
