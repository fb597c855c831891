"""Paying with PayPal from the wish to the seats, or to money given back: every answer that PayPal can give."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from server.db.engine import Database
from server.domain.payment_orders import order_of
from server.fake_provider.behaviour import Behaviour, Call
from server.payments.port import Captured
from server.payments.webhook_port import UntrustedWebhook
from server.states import BookingState, PaymentState, RefundState, Resolution
from tests.fake_paypal import FakePayPal, fake_paypal
from tests.invariants import assert_sound
from tests.paypal_desk import PayPalDesk, paypal_desk_on
from tests.staging import Staged, stage

pytestmark = pytest.mark.promise("1.7")

TAKEN_BUT_UNSAID = (Behaviour.SILENT_AFTER, Behaviour.ERROR_AFTER, Behaviour.GARBLED_AFTER)
NEITHER_TAKEN_NOR_SAID = (Behaviour.SILENT_BEFORE, Behaviour.ERROR_BEFORE, Behaviour.BUSY, Behaviour.UNAUTHORIZED)


@pytest.fixture(scope="module")
def paypal() -> Iterator[FakePayPal]:
    with fake_paypal() as found:
        yield found


@pytest.fixture
async def desk(database: Database, paypal: FakePayPal) -> AsyncIterator[PayPalDesk]:
    async with paypal_desk_on(database, paypal) as desk:
        yield desk
        assert_sound(database)
        await desk.assert_books_equal()


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


async def test_the_customer_is_sent_to_paypal_and_what_they_approve_buys_the_seats(
    desk: PayPalDesk, house: Staged
) -> None:
    booking = await desk.hold(house, 3, 4)
    payment = await desk.pay(booking)
    assert payment.state is PaymentState.REQUIRES_ACTION
    assert payment.approval_uri == f"{desk.paypal.provider.base_url}/checkoutnow?token={payment.provider_reference}"

    await desk.approve(payment)
    await desk.capture(payment)
    await desk.settle()

    paid = desk.payment(payment)
    assert (paid.state, paid.amount, paid.currency) == (PaymentState.SUCCEEDED, 5000, "EUR")
    assert paid.capture_reference
    assert desk.booking(booking).state is BookingState.CONFIRMED


async def test_a_capture_before_the_approval_leaves_the_next_move_to_the_customer(
    desk: PayPalDesk, house: Staged
) -> None:
    booking = await desk.hold(house, 0)
    payment = await desk.pay(booking)
    await desk.capture(payment)
    await desk.carry_on()
    assert desk.payment(payment).state is PaymentState.REQUIRES_ACTION
    assert desk.booking(booking).state is BookingState.HELD

    await desk.approve(payment)
    await desk.capture(payment)
    await desk.settle()
    assert desk.booking(booking).state is BookingState.CONFIRMED


async def test_a_decline_leaves_the_booking_held_for_another_try(desk: PayPalDesk, house: Staged) -> None:
    booking, payment = await desk.approved(house, 0)
    await desk.behave(payment, Call.CAPTURE, Behaviour.DECLINE)
    await desk.capture(payment)
    await desk.settle()
    failed = desk.payment(payment)
    assert (failed.state, failed.error_reason) == (PaymentState.FAILED, "INSTRUMENT_DECLINED")
    assert desk.booking(booking).state is BookingState.HELD

    second = await desk.pay(booking)
    await desk.approve(second)
    await desk.capture(second)
    await desk.settle()
    assert desk.booking(booking).state is BookingState.CONFIRMED


@pytest.mark.promise("0.11")
@pytest.mark.parametrize("behaviour", [*TAKEN_BUT_UNSAID, *NEITHER_TAKEN_NOR_SAID, Behaviour.SLOW])
async def test_whatever_happens_to_the_answer_the_money_is_taken_once(
    desk: PayPalDesk, house: Staged, behaviour: Behaviour
) -> None:
    booking, payment = await desk.approved(house, 0, 1)
    await desk.behave(payment, Call.CAPTURE, behaviour)
    await desk.behave(payment, Call.SHOW, Behaviour.ERROR_BEFORE)
    await desk.capture(payment)
    await desk.settle()
    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    assert desk.booking(booking).state is BookingState.CONFIRMED


@pytest.mark.parametrize("behaviour", [*TAKEN_BUT_UNSAID, *NEITHER_TAKEN_NOR_SAID])
async def test_whatever_happens_to_the_answer_one_order_is_made(
    desk: PayPalDesk, house: Staged, behaviour: Behaviour
) -> None:
    booking = await desk.hold(house, 0)
    payment = await desk.begin(booking)
    await desk.behave(payment, Call.CREATE, behaviour)
    await desk.settle()
    assert desk.payment(payment).state is PaymentState.REQUIRES_ACTION
    assert len(await desk.orders(payment)) == 1


@pytest.mark.parametrize("behaviour", [Behaviour.WRONG_AMOUNT, Behaviour.WRONG_CURRENCY])
async def test_another_amount_than_asked_for_buys_nothing_and_goes_back(
    desk: PayPalDesk, house: Staged, behaviour: Behaviour
) -> None:
    booking, payment = await desk.approved(house, 0)
    await desk.behave(payment, Call.CAPTURE, behaviour)
    await desk.capture(payment)
    await desk.settle()

    ended = desk.payment(payment)
    assert ended.error_reason is not None
    assert ended.error_reason.startswith("AMOUNT_MISMATCH")
    assert [(one.state, one.amount) for one in desk.refunds(payment)] == [(RefundState.SUCCEEDED, ended.amount)]
    assert desk.booking(booking).state is BookingState.HELD


async def test_money_that_paypal_took_for_something_else_buys_nothing_and_waits_for_staff(
    desk: PayPalDesk, house: Staged
) -> None:
    booking, payment = await desk.approved(house, 0)
    await desk.behave(payment, Call.CAPTURE, Behaviour.WRONG_PAYMENT)
    await desk.capture(payment)
    await desk.settle()
    ended = desk.payment(payment)
    assert (ended.state, ended.error_reason) == (PaymentState.UNKNOWN, "REFERENCE_MISMATCH")
    assert str(ended.discrepancy).startswith("REFERENCE_MISMATCH: the provider took 2500 EUR for payment ")
    assert desk.refunds(payment) == []
    assert (desk.booking(booking).state, desk.booking(booking).payment_id) == (BookingState.HELD, None)

    await desk.resolve(payment, Resolution.OURS)
    await desk.settle()
    assert (desk.payment(payment).state, desk.payment(payment).discrepancy) == (PaymentState.SUCCEEDED, None)
    assert desk.booking(booking).state is BookingState.CONFIRMED


async def test_a_payment_given_up_is_closed_at_paypal_so_that_no_approval_counts(
    desk: PayPalDesk, house: Staged
) -> None:
    booking, payment = await desk.approved(house, 0)
    await desk.give_up(payment)
    await desk.settle()
    assert desk.payment(payment).state is PaymentState.CANCELLED
    assert await desk.orders(payment) == [("APPROVED", "AUTHORIZE")]
    assert desk.booking(booking).state is BookingState.HELD


async def test_a_payment_given_up_before_paypal_answered_is_closed_all_the_same(
    desk: PayPalDesk, house: Staged
) -> None:
    booking = await desk.hold(house, 0)
    payment = await desk.begin(booking)
    await desk.behave(payment, Call.CREATE, Behaviour.SILENT_AFTER)
    while not await desk.orders(payment):
        await desk.carry_on()
    await desk.give_up(payment)
    await desk.settle()
    assert await desk.orders(payment) == [("PAYER_ACTION_REQUIRED", "AUTHORIZE")]


async def test_a_capture_that_was_stuck_for_long_finds_the_order_closed(desk: PayPalDesk, house: Staged) -> None:
    """A worker was stopped just before its capture went out; the payment was given up; then the worker goes on."""
    _, payment = await desk.approved(house, 0)
    stuck = order_of(desk.payment(payment))
    await desk.give_up(payment)
    await desk.settle()
    assert not isinstance(await desk.provider.capture(stuck), Captured)


async def test_pending_money_buys_when_it_comes(desk: PayPalDesk, house: Staged) -> None:
    booking, payment = await desk.approved(house, 0)
    await desk.behave(payment, Call.CAPTURE, Behaviour.PENDING)
    await desk.capture(payment)
    await desk.carry_on()
    # PayPal has said what it does: it reviews the payment, and nobody is told that nothing is known.
    assert desk.payment(payment).state is PaymentState.PROCESSING
    assert (desk.booking(booking).state, desk.booking(booking).payment_id) == (BookingState.HELD, payment.id)
    await desk.behave(payment, Call.SHOW, Behaviour.ERROR_BEFORE)
    seen = set()
    async with asyncio.timeout(60):
        while not (PaymentState.UNKNOWN in seen and desk.payment(payment).state is PaymentState.PROCESSING):
            await desk.carry_on()
            seen.add(desk.payment(payment).state)
    await asyncio.to_thread(desk.paypal.control.settle, str(desk.payment(payment).provider_reference))
    await desk.settle()
    assert desk.booking(booking).state is BookingState.CONFIRMED


async def test_money_that_comes_after_the_hold_takes_the_free_places_back(desk: PayPalDesk, house: Staged) -> None:
    booking, payment = await desk.approved(house, 5, 6)
    await desk.behave(payment, Call.CAPTURE, Behaviour.SILENT_AFTER)
    await desk.behave(payment, Call.SHOW, *[Behaviour.ERROR_BEFORE] * 2)
    await desk.capture(payment)
    await desk.carry_on()
    desk.one("UPDATE payments SET capture_time = capture_time - interval '1 hour' WHERE id = :id", id=payment.id)
    while desk.one("SELECT payment_id FROM bookings WHERE id = :id", id=booking.id) is not None:
        await desk.carry_on()
    desk.let_time_pass(booking)
    await desk.expire(booking)
    await desk.settle()

    paid = desk.payment(payment)
    assert paid.state is PaymentState.SUCCEEDED
    assert paid.bought_booking_id not in (None, booking.id)
    assert desk.booking(booking).state is BookingState.EXPIRED
    assert desk.find_booking(house, paid.bought_booking_id).state is BookingState.CONFIRMED


async def test_money_that_comes_when_the_places_are_sold_goes_back(desk: PayPalDesk, house: Staged) -> None:
    booking, payment = await desk.approved(house, 7)
    await desk.behave(payment, Call.CAPTURE, Behaviour.SILENT_AFTER)
    await desk.behave(payment, Call.SHOW, *[Behaviour.ERROR_BEFORE] * 2)
    await desk.capture(payment)
    await desk.carry_on()
    desk.one("UPDATE payments SET capture_time = capture_time - interval '1 hour' WHERE id = :id", id=payment.id)
    while desk.one("SELECT payment_id FROM bookings WHERE id = :id", id=booking.id) is not None:
        await desk.carry_on()
    desk.let_time_pass(booking)
    await desk.hold(house, 7)
    await desk.settle()
    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    assert [one.state for one in desk.refunds(payment)] == [RefundState.SUCCEEDED]


@pytest.mark.parametrize("behaviour", [*TAKEN_BUT_UNSAID, *NEITHER_TAKEN_NOR_SAID])
async def test_whatever_happens_to_the_answer_a_refund_is_made_once(
    desk: PayPalDesk, house: Staged, behaviour: Behaviour
) -> None:
    payment = await desk.bought(house, 0, 1)
    await desk.behave(payment, Call.REFUND, behaviour)
    desk.ask_back(payment, 1999)
    await desk.settle()
    desk.ask_back(payment)
    await desk.settle()
    assert [(one.state, one.amount) for one in desk.refunds(payment)] == [
        (RefundState.SUCCEEDED, 1999),
        (RefundState.SUCCEEDED, 3001),
    ]


async def test_a_refund_that_paypal_refuses_waits_for_staff(desk: PayPalDesk, house: Staged) -> None:
    payment = await desk.bought(house, 0)
    await desk.behave(payment, Call.REFUND, Behaviour.DECLINE)
    desk.ask_back(payment)
    await desk.settle()
    assert [(one.state, one.error_reason) for one in desk.refunds(payment)] == [
        (RefundState.FAILED, "REFUND_FAILED_INSUFFICIENT_FUNDS")
    ]


async def test_a_cancelled_booking_is_refunded_at_paypal(desk: PayPalDesk, house: Staged) -> None:
    payment = await desk.bought(house, 2)
    booking = desk.find_booking(house, payment.booking_id)
    await desk.cancel(booking)
    await desk.settle()
    assert desk.booking(booking).state is BookingState.CANCELLED
    assert [(one.state, one.amount) for one in desk.refunds(payment)] == [(RefundState.SUCCEEDED, 2500)]


async def test_webhooks_in_any_order_and_number_have_one_effect(desk: PayPalDesk, house: Staged) -> None:
    booking, payment = await desk.approved(house, 0)
    await desk.behave(payment, Call.CAPTURE, Behaviour.SILENT_AFTER)
    await desk.capture(payment)
    await desk.carry_on()
    assert desk.payment(payment).state is PaymentState.UNKNOWN
    # Earlier than any answer to our own call; the later event first, and each several times.
    messages = list(reversed(await desk.told(payment)))
    assert [one.kind for one in messages] == ["PAYMENT.CAPTURE.COMPLETED", "CHECKOUT.ORDER.APPROVED"]
    news = [await desk.deliver(message) for message in (*messages, *messages)]
    assert news == [True, True, False, False]
    await desk.handle()
    await desk.settle()
    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    assert desk.booking(booking).state is BookingState.CONFIRMED
    # Days later, again.
    assert not any([await desk.deliver(message) for message in await desk.told(payment)])
    assert await desk.handle() == []


async def test_five_webhooks_at_once_are_one(desk: PayPalDesk, house: Staged) -> None:
    _, payment = await desk.approved(house, 0)
    await desk.capture(payment)
    await desk.carry_on()
    message = (await desk.told(payment))[-1]
    news = await asyncio.gather(*(desk.deliver(message) for _ in range(5)))
    assert sorted(news) == [False] * 4 + [True]
    assert await desk.handle() == ["DONE nothing new"]


async def test_an_approval_is_noticed_by_its_webhook_though_the_customer_never_comes_back(
    desk: PayPalDesk, house: Staged
) -> None:
    booking, payment = await desk.approved(house, 0)
    for message in await desk.told(payment):
        await desk.deliver(message)
    await desk.handle()
    await desk.settle()
    assert desk.booking(booking).state is BookingState.CONFIRMED


async def test_the_webhook_of_a_refund_names_its_payment_and_its_refund(desk: PayPalDesk, house: Staged) -> None:
    payment = await desk.bought(house, 0)
    await desk.behave(payment, Call.REFUND, Behaviour.SILENT_AFTER)
    desk.ask_back(payment, 100)
    await desk.carry_on()
    message = (await desk.told(payment))[-1]
    assert message.kind == "PAYMENT.CAPTURE.REFUNDED"
    await desk.deliver(message)
    assert await desk.handle() == ["DONE the refund is asked about"]
    await desk.settle()
    assert [one.state for one in desk.refunds(payment)] == [RefundState.SUCCEEDED]


async def test_forged_old_and_foreign_webhooks_are_not_believed(desk: PayPalDesk, house: Staged) -> None:
    _, payment = await desk.approved(house, 0)
    message = (await desk.told(payment))[-1]
    now = datetime.now(UTC)
    headers = message.headers

    async def refused(body: bytes = message.body, now: datetime = now, **changed: str) -> str:
        with pytest.raises(UntrustedWebhook) as refusal:
            await desk.verifier.verify(body, {**headers, **{k.replace("_", "-"): v for k, v in changed.items()}}, now)
        return refusal.value.said

    assert (await desk.verifier.verify(message.body, headers, now)).payment_reference is not None
    assert await refused(message.body + b" ") == "the signature is wrong"
    assert await refused(paypal_transmission_id="another") == "the signature is wrong"
    assert await refused(paypal_transmission_sig="bm9uZQ==") == "the signature is wrong"
    assert await refused(paypal_transmission_sig="not base 64") == "it has no signature"
    assert await refused(paypal_auth_algo="none") == "it has no signature"
    assert await refused(now=now + timedelta(days=5)) == "it was sent too long ago"
    assert await refused(now=now - timedelta(hours=1)) == "it was sent in the future"
    elsewhere = headers["paypal-cert-url"].replace("127.0.0.1", "127.0.0.2")
    assert await refused(paypal_cert_url=elsewhere) == "the certificate is not at PayPal"
    absent = headers["paypal-cert-url"] + "0"
    assert await refused(paypal_cert_url=absent) == "PayPal has no such certificate"
    with pytest.raises(UntrustedWebhook):
        await desk.verifier.verify(message.body, {}, now)
