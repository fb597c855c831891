"""PaymentService over a socket, with the real worker behind it."""

import asyncio
from typing import Any
from uuid import uuid4

import grpc.aio
import pytest
from google.type.money_pb2 import Money
from sqlalchemy import text

from rowlock.v1 import booking_pb2 as pb
from rowlock.v1 import payment_pb2, ticket_pb2
from server.config import Settings
from server.db.engine import Database
from tests.eventually import eventually
from tests.invariants import assert_sound
from tests.rpc.auth.conftest import refusal, served
from tests.rpc.booking.conftest import BoxOffice, Metadata
from tests.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

Payment = payment_pb2.Payment
Simulate = payment_pb2.SimulatePaymentRequest


async def until(office: BoxOffice, payment: Payment, who: Metadata, *states: int) -> Payment:
    """The payment, once it is in one of the states."""
    async with asyncio.timeout(60):
        while True:
            now = await office.payments.GetPayment(payment_pb2.GetPaymentRequest(name=payment.name), metadata=who)
            if now.state in states:
                return now
            await asyncio.sleep(0.05)


@pytest.mark.promise("0.9")
@pytest.mark.promise("0.10")
@pytest.mark.promise("0.11")
@pytest.mark.promise("3.9")
async def test_paid(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1", "Stalls-A-2")

    payment = await office.pay(booking, anna)
    assert payment.name.startswith(f"{booking.name}/payments/")
    assert (payment.state, payment.amount.units, payment.amount.currency_code) == (Payment.CREATED, 50, "EUR")
    known = await until(office, payment, anna, Payment.REQUIRES_ACTION)
    assert known.provider_reference
    assert (await office.get(booking, anna)).payment == ""

    paid = await office.simulate(payment, anna)

    assert paid.state == Payment.SUCCEEDED
    assert paid.HasField("complete_time")
    bought = await office.get(booking, anna)
    assert (bought.state, bought.method, bought.payment) == (pb.Booking.CONFIRMED, pb.Booking.PROVIDER, payment.name)
    page = await office.bookings.ListTickets(ticket_pb2.ListTicketsRequest(parent=booking.name), metadata=anna)
    assert page.total_size == 2


@pytest.mark.promise("0.9")
@pytest.mark.promise("0.10")
@pytest.mark.promise("0.11")
@pytest.mark.promise("3.6")
@pytest.mark.promise("4.6")
async def test_payment_failed_and_another_try(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    payment = await office.pay(booking, anna)

    refused = await refusal(office.simulate(payment, anna, Simulate.DECLINE))

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "PAYMENT_FAILED")
    assert refused.facts == {"payment": payment.name, "cause": "INSTRUMENT_DECLINED"}
    kept = await until(office, payment, anna, Payment.FAILED)
    assert (kept.error_reason, kept.amount.units) == ("INSTRUMENT_DECLINED", 25)
    assert (await office.get(booking, anna)).state == pb.Booking.HELD
    capture = payment_pb2.CapturePaymentRequest(name=payment.name)
    assert (await refusal(office.payments.CapturePayment(capture, metadata=anna))).reason == "PAYMENT_FAILED"
    await office.simulate(await office.pay(booking, anna), anna)
    assert (await office.get(booking, anna)).state == pb.Booking.CONFIRMED


@pytest.mark.promise("0.11")
async def test_order_not_found(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    absent = f"performances/{house.performance_id}/bookings/{uuid4()}"
    assert (await refusal(office.pay(pb.Booking(name=absent), anna))).code == "NOT_FOUND"
    payment = Payment(name=f"{absent}/payments/{uuid4()}")
    assert (await refusal(office.simulate(payment, anna))).code == "NOT_FOUND"


@pytest.mark.promise("0.11")
@pytest.mark.parametrize("silence", [Simulate.TIMEOUT_BEFORE, Simulate.TIMEOUT_AFTER])
async def test_provider_unreachable_and_then_known(office: BoxOffice, house: Staged, silence: int) -> None:
    told: set[Any] = set()
    for place in range(1, 4):
        anna = await office.customer()
        booking = await office.book(house, anna, f"Stalls-A-{place}")
        payment = await office.pay(booking, anna)
        try:
            told.add((await office.simulate(payment, anna, silence)).state)
        except grpc.aio.AioRpcError as error:
            told.add((error.code().name, (await refusal(again(error))).reason))
        await until(office, payment, anna, Payment.SUCCEEDED)
        assert (await office.get(booking, anna)).state == pb.Booking.CONFIRMED

    # If the machine stands still in between, the outcome is known by the time that the answer is made.
    unreachable = ("UNAVAILABLE", "PROVIDER_UNREACHABLE")
    assert unreachable in told
    assert told <= {unreachable, Payment.SUCCEEDED}


async def again(error: grpc.aio.AioRpcError) -> None:
    raise error


async def test_capture_answers_at_once_and_the_booking_tells_how_it_ended(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    payment = await office.pay(booking, anna)
    stream = office.bookings.WatchBooking(pb.WatchBookingRequest(name=booking.name), metadata=anna)
    await anext(aiter(stream))

    capture = payment_pb2.CapturePaymentRequest(name=payment.name, request_id="now")
    asked = await office.payments.CapturePayment(capture, metadata=anna)
    assert asked.state == Payment.PROCESSING
    assert await office.payments.CapturePayment(capture, metadata=anna) == asked

    async with asyncio.timeout(60):
        async for message in stream:
            if message.booking.state == pb.Booking.CONFIRMED:
                break
    stream.cancel()
    assert (await until(office, payment, anna, Payment.SUCCEEDED)).amount.units == 25


async def test_what_costs_nothing_is_confirmed_at_once(office: BoxOffice) -> None:
    house = office.stage(ticket_types=({"display_name": "Guest", "price": 0},))
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    payment = await office.pay(booking, anna)
    assert payment.state == Payment.SUCCEEDED
    assert (await office.get(booking, anna)).state == pb.Booking.CONFIRMED


async def test_what_costs_nothing_needs_no_provider(fast: Settings, database: Database, office: BoxOffice) -> None:
    house = office.stage(ticket_types=({"display_name": "Guest", "price": 0},))
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    async with served(fast.model_copy(update={"simulator": False}), database) as client:
        payment = await BoxOffice(client, database, ()).pay(booking, anna)
    assert (payment.state, payment.amount.units) == (Payment.SUCCEEDED, 0)
    assert (await office.get(booking, anna)).state == pb.Booking.CONFIRMED


@pytest.mark.promise("1.8")
async def test_strangers_pay_nothing_and_see_nothing(office: BoxOffice, house: Staged) -> None:
    anna, bert = await office.customer(), await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    payment = await office.pay(booking, anna)
    name = payment.name
    service = office.payments
    calls: list[Any] = [
        office.pay(booking, bert),
        service.GetPayment(payment_pb2.GetPaymentRequest(name=name), metadata=bert),
        service.CapturePayment(payment_pb2.CapturePaymentRequest(name=name), metadata=bert),
        service.CancelPayment(payment_pb2.CancelPaymentRequest(name=name), metadata=bert),
        office.simulate(payment, bert),
        service.ListPayments(payment_pb2.ListPaymentsRequest(parent=booking.name), metadata=bert),
    ]
    for call in calls:
        assert (await refusal(call)).code == "NOT_FOUND"
    nowhere = payment_pb2.ListPaymentsRequest(parent="performances/999999/bookings/-")
    assert (await refusal(service.ListPayments(nowhere, metadata=anna))).code == "NOT_FOUND"
    everywhere = payment_pb2.ListPaymentsRequest(parent="performances/-/bookings/-")
    assert (await service.ListPayments(everywhere, metadata=bert)).total_size == 0
    assert [p.name for p in (await service.ListPayments(everywhere, metadata=anna)).payments] == [name]
    nobody = await refusal(office.pay(booking, ()))
    assert nobody.code == "UNAUTHENTICATED"
    refund = payment_pb2.RefundPaymentRequest(name=name)
    assert (await refusal(service.RefundPayment(refund, metadata=anna))).code == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "payment"),
        ({"payment": {}}, "payment.provider"),
        ({"payment": {"provider": Payment.CASH}}, "payment"),
        ({"payment": {"provider": 99}}, "payment.provider"),
        ({"payment": {"provider": Payment.SIMULATOR}, "return_uri": "http://plain.example"}, "return_uri"),
        ({"payment": {"provider": Payment.SIMULATOR}, "return_uri": "javascript:x"}, "return_uri"),
    ],
)
async def test_a_wrong_request_names_its_field(
    office: BoxOffice, house: Staged, fields: dict[str, Any], field: str
) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    request = payment_pb2.CreatePaymentRequest(parent=booking.name, **fields)
    refused = await refusal(office.payments.CreatePayment(request, metadata=anna))
    assert refused.code == "INVALID_ARGUMENT"
    assert any(path.startswith(field) for path in refused.fields)


async def test_a_provider_that_is_not_set_up_is_named(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    request = payment_pb2.CreatePaymentRequest(parent=booking.name, payment=Payment(provider=Payment.PAYPAL))
    refused = await refusal(office.payments.CreatePayment(request, metadata=anna))
    assert (refused.reason, refused.facts["provider"]) == ("PROVIDER_NOT_CONFIGURED", "PAYPAL")


async def test_without_the_simulator_nobody_buys_for_nothing(
    fast: Settings, database: Database, office: BoxOffice, house: Staged
) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    unpaid = await office.book(house, anna, "Stalls-A-2")
    begun = await office.pay(booking, anna)
    async with served(fast.model_copy(update={"simulator": False}), database) as client:
        strict = BoxOffice(client, database, ())
        for call in (strict.pay(unpaid, anna), strict.simulate(begun, anna)):
            assert (await refusal(call)).reason == "PROVIDER_NOT_CONFIGURED"


@pytest.mark.mistake("status or price or total taken from the client")
async def test_the_amount_is_the_servers(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    cheap = Payment(provider=Payment.SIMULATOR, amount=Money(currency_code="EUR", units=1), state=Payment.SUCCEEDED)
    payment = await office.payments.CreatePayment(
        payment_pb2.CreatePaymentRequest(parent=booking.name, payment=cheap), metadata=anna
    )
    assert (payment.amount.units, payment.state) == (25, Payment.CREATED)


@pytest.mark.promise("1.9")
@pytest.mark.promise("1.10")
@pytest.mark.mistake("double cancel or double refund")
async def test_a_cancelled_booking_is_refunded_once(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking, payment = await office.buy(house, anna, "Stalls-A-1")
    cancel = pb.CancelBookingRequest(name=booking.name)

    answers = await asyncio.gather(
        *(office.bookings.CancelBooking(cancel, metadata=anna) for _ in range(5)), return_exceptions=True
    )

    assert sum(isinstance(answer, pb.Booking) for answer in answers) == 1
    refunds = payment_pb2.ListRefundsRequest(parent=payment.name)
    async with asyncio.timeout(60):
        while True:
            page = await office.payments.ListRefunds(refunds, metadata=anna)
            if page.refunds and page.refunds[0].state == payment_pb2.Refund.SUCCEEDED:
                break
            await asyncio.sleep(0.05)
    assert (page.total_size, page.refunds[0].amount.units) == (1, 25)
    read = payment_pb2.GetRefundRequest(name=page.refunds[0].name)
    assert await office.payments.GetRefund(read, metadata=anna) == page.refunds[0]
    assert (await refusal(office.payments.GetRefund(read, metadata=await office.customer()))).code == "NOT_FOUND"
    shown = await office.payments.GetPayment(payment_pb2.GetPaymentRequest(name=payment.name), metadata=anna)
    assert shown.refunded.units == 25
    await office.book(house, anna, "Stalls-A-1")


@pytest.mark.promise("1.10")
async def test_no_refund_later_than_the_deadline_but_by_staff(office: BoxOffice) -> None:
    house = office.stage()
    anna = await office.customer()
    booking, _ = await office.buy(house, anna, "Stalls-A-1")
    office.database.run_transaction(
        lambda s: s.execute(
            text(
                "WITH late AS (UPDATE performances SET refund_deadline = clock_timestamp() - interval '1s'"
                " WHERE id = :id) UPDATE inventories SET rules_version = rules_version + 1 WHERE performance_id = :id"
            ),
            {"id": house.performance_id},
        )
    )
    cancel = pb.CancelBookingRequest(name=booking.name)
    refused = await refusal(office.bookings.CancelBooking(cancel, metadata=anna))
    assert refused.reason == "REFUND_DEADLINE_PASSED"
    without_a_reason = await refusal(office.bookings.CancelBooking(cancel, metadata=office.staff))
    assert without_a_reason.reason == "REFUND_DEADLINE_PASSED"
    with_one = pb.CancelBookingRequest(name=booking.name, reason="the stage was not visible")
    ended = await office.bookings.CancelBooking(with_one, metadata=office.staff)
    assert ended.state == pb.Booking.CANCELLED


async def test_staff_give_back_a_part_and_never_more_than_was_paid(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking, payment = await office.buy(house, anna, "Stalls-A-1")

    def refund(units: int, currency: str = "EUR", reason: str = "a gesture", **fields: Any) -> Any:
        request = payment_pb2.RefundPaymentRequest(
            name=payment.name, amount={"currency_code": currency, "units": units}, reason=reason, **fields
        )
        return office.payments.RefundPayment(request, metadata=office.staff)

    part = await refund(10, reason="the heating failed", request_id="once")
    assert (part.amount.units, part.reason) == (10, "the heating failed")
    assert await refund(10, reason="the heating failed", request_id="once") == part
    too_much = await refusal(refund(16))
    assert (too_much.reason, too_much.facts["refundable"]) == ("REFUND_EXCEEDS_PAYMENT", "1500")
    assert (await refusal(refund(1, "USD"))).reason == "CURRENCY_MISMATCH"
    assert (await refusal(refund(1, reason=""))).code == "INVALID_ARGUMENT"
    assert (await refusal(refund(0))).code == "INVALID_ARGUMENT"
    assert (await refusal(refund(-1))).code == "INVALID_ARGUMENT"

    await office.bookings.CancelBooking(pb.CancelBookingRequest(name=booking.name), metadata=anna)
    page = await office.payments.ListRefunds(payment_pb2.ListRefundsRequest(parent=payment.name), metadata=anna)
    assert sorted(refund.amount.units for refund in page.refunds) == [10, 15]


async def test_giving_a_payment_up_makes_room_for_another(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    payment = await office.pay(booking, anna)
    in_flight = await refusal(office.pay(booking, anna))
    assert (in_flight.reason, in_flight.facts["payment"]) == ("PAYMENT_IN_FLIGHT", payment.name)

    cancel = payment_pb2.CancelPaymentRequest(name=payment.name)
    assert (await office.payments.CancelPayment(cancel, metadata=anna)).state == Payment.CANCELLED
    assert (await office.payments.CancelPayment(cancel, metadata=anna)).state == Payment.CANCELLED
    assert (await refusal(office.simulate(payment, anna))).reason == "PAYMENT_STATE"
    await office.simulate(await office.pay(booking, anna), anna)
    assert (await refusal(office.payments.CancelPayment(cancel, metadata=await office.customer()))).code == "NOT_FOUND"


@pytest.mark.promise("3.3")
async def test_an_abandoned_payment_ends_with_its_hold(office: BoxOffice) -> None:
    house = office.stage()
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    payment = await office.pay(booking, anna)
    office.let_time_pass(booking)

    ended = await until(office, payment, anna, Payment.CANCELLED)

    assert ended.error_reason == "BOOKING_ENDED"
    assert (await office.get(booking, anna)).state == pb.Booking.EXPIRED


async def test_the_worker_sweeps_holds_that_have_run_out(office: BoxOffice) -> None:
    house = office.stage()
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")

    def held() -> int:
        counts = text("SELECT held FROM inventories WHERE performance_id = :id")
        return int(
            office.database.run_transaction(lambda s: s.execute(counts, {"id": house.performance_id}).scalar_one())
        )

    assert held() == 1
    office.let_time_pass(booking)
    await eventually(lambda: not held())


async def test_everything_agrees_with_the_providers_books_in_the_end(office: BoxOffice, house: Staged) -> None:
    outcomes = [Simulate.APPROVE, Simulate.DECLINE, Simulate.TIMEOUT_BEFORE, Simulate.TIMEOUT_AFTER, Simulate.RANDOM]

    async def buyer(number: int) -> None:
        who = await office.customer()
        booking = await office.book(house, who, f"Stalls-{'ABCDE'[number // 10]}-{number % 10 + 1}")
        payment = await office.pay(booking, who)
        try:
            await office.simulate(payment, who, outcomes[number % len(outcomes)])
        except Exception:  # noqa: BLE001 - some are declined, some unreachable: the books are what counts
            return
        if number % 3 == 0:
            await office.bookings.CancelBooking(pb.CancelBookingRequest(name=booking.name), metadata=who)

    await asyncio.gather(*(buyer(number) for number in range(25)))

    due = text(
        "SELECT EXISTS (SELECT FROM payments WHERE next_attempt_time IS NOT NULL)"
        " OR EXISTS (SELECT FROM refunds WHERE next_attempt_time IS NOT NULL)"
    )
    await eventually(lambda: not office.database.run_transaction(lambda s: s.execute(due).scalar_one()))
    assert_sound(office.database, quiet=True)
