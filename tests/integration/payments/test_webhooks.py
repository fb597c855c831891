"""What comes of a provider's messages: twice, five at once, early, out of order, late; and of those about nothing."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from server.db.engine import Database
from server.db.models.payments import Payment
from server.domain import webhooks
from server.domain.refund_attempts import PAID_TWICE
from server.payments.webhook_port import UntrustedWebhook
from server.states import BookingState, PaymentState, RefundMethod, RefundState, WebhookState
from tests.eventually import eventually
from tests.fake_stripe import FakeStripe, Fault
from tests.staging import Staged, stage
from tests.stripe_desk import IMPATIENT, MOST_ATTEMPTS, StripeDesk

SUCCEEDED = "payment_intent.succeeded"
CAPTURABLE = "payment_intent.amount_capturable_updated"


@pytest.fixture
def desk(stripe_desk: StripeDesk) -> StripeDesk:
    return stripe_desk


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


def name_of(payment: Payment) -> str:
    """Stripe's name for a payment."""
    assert payment.provider_reference is not None
    return payment.provider_reference


def taken(stripe: FakeStripe) -> list[int]:
    """The money that Stripe took."""
    return [intent["amount_received"] for intent in stripe.books.intents.values() if intent["amount_received"]]


async def test_an_approval_that_only_stripe_knows_of_buys_the_seats(desk: StripeDesk, house: Staged) -> None:
    """The customer closed the browser after approving: nobody calls CapturePayment."""
    booking, payment = await desk.approved(house, 3)

    outcome = await desk.told(desk.stripe.intent_event(CAPTURABLE, name_of(payment)))
    await desk.settle()

    assert outcome == "DONE the payment is asked about"
    assert desk.booking(booking).state is BookingState.CONFIRMED
    assert taken(desk.stripe) == [2500]


async def test_a_message_that_lies_changes_nothing(desk: StripeDesk, house: Staged) -> None:
    """Signed, and yet not so: an old message, or a stolen secret. Stripe is asked, and says no."""
    booking = await desk.hold(house, 3)
    payment = await desk.pay(booking)
    lie = {"object": "payment_intent", **desk.intent(payment), "status": "succeeded", "amount_received": 2500}

    await desk.told(desk.stripe.event(SUCCEEDED, lie))
    await desk.settle()

    assert desk.payment(payment).state is PaymentState.REQUIRES_ACTION
    assert desk.booking(booking).state is BookingState.HELD


async def test_the_same_message_twice_is_kept_once(desk: StripeDesk, house: Staged) -> None:
    booking, payment = await desk.approved(house, 3)
    body = desk.stripe.intent_event(CAPTURABLE, name_of(payment))

    assert await desk.deliver(body)
    assert not await desk.deliver(body)
    await desk.handle()
    await desk.carry_on()
    assert not await desk.deliver(body)

    assert await desk.handle() == 0
    (message,) = desk.inbox()
    assert (message.delivery_count, message.state) == (3, WebhookState.DONE)
    assert desk.booking(booking).state is BookingState.CONFIRMED
    assert taken(desk.stripe) == [2500]


async def test_five_messages_at_once_have_one_effect(desk: StripeDesk, house: Staged) -> None:
    booking, payment = await desk.approved(house, 3)
    desk.stripe.take(name_of(payment))
    bodies = [desk.stripe.intent_event(SUCCEEDED, name_of(payment)) for _ in range(5)]

    await asyncio.gather(*map(desk.deliver, bodies))
    await desk.handle()
    await desk.carry_on()

    assert desk.booking(booking).state is BookingState.CONFIRMED
    assert [message.state for message in desk.inbox()] == [WebhookState.DONE] * 5
    assert desk.one("SELECT count(*) FROM tickets WHERE booking_id = :id", id=booking.id) == 1


async def test_a_message_before_our_own_reply_is_committed(desk: StripeDesk, house: Staged) -> None:
    """Stripe has made the intent and tells of it, while our row does not know its name yet."""
    payment = await desk.begin(await desk.hold(house, 3))
    created = await desk.provider.create(desk.port_order(payment))

    await desk.told(desk.stripe.intent_event("payment_intent.created", created.reference))  # type: ignore[union-attr]
    await desk.settle()

    assert desk.payment(payment).provider_reference == created.reference  # type: ignore[union-attr]
    assert len(desk.stripe.books.intents) == 1


async def test_a_message_while_our_own_call_is_under_way(desk: StripeDesk, house: Staged) -> None:
    booking, payment = await desk.approved(house, 3)
    desk.be_patient(IMPATIENT)
    desk.stripe.faults["capture"].append(Fault.SILENT_AFTER)
    await desk.capture(payment)
    (attempt,) = await desk.collector.take(10)
    ours = asyncio.create_task(desk.collector.carry_on(attempt))
    await eventually(lambda: desk.intent(payment)["status"] == "succeeded")  # our call hangs, its effect is there

    await desk.told(desk.stripe.intent_event(SUCCEEDED, name_of(payment)))

    assert desk.booking(booking).state is BookingState.CONFIRMED
    await ours
    await desk.settle()
    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    assert taken(desk.stripe) == [2500]


async def test_messages_out_of_order_and_days_late_find_nothing_left_to_do(desk: StripeDesk, house: Staged) -> None:
    payment = await desk.bought(house, 3)
    days_ago = time.time() - 3 * 86_400

    for kind in (SUCCEEDED, CAPTURABLE, "payment_intent.created"):
        outcome = await desk.told(desk.stripe.intent_event(kind, name_of(payment), created=days_ago))
        assert outcome == "DONE nothing new"

    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    assert taken(desk.stripe) == [2500]


async def test_money_for_a_payment_that_was_given_up_goes_back(desk: StripeDesk, house: Staged) -> None:
    """It was cancelled at both, and Stripe took it all the same: by the message we come to know."""
    _, payment = await desk.approved(house, 3)
    await desk.give_up(payment)
    await desk.settle()
    desk.intent(payment)["status"] = "requires_capture"
    desk.stripe.take(name_of(payment))

    await desk.told(desk.stripe.intent_event(SUCCEEDED, name_of(payment)))
    await desk.settle()

    assert desk.charge(payment)["amount_refunded"] == 2500


async def test_an_approval_that_is_heard_of_too_late_buys_the_same_seat_if_it_is_free(
    desk: StripeDesk, house: Staged
) -> None:
    booking, payment = await desk.approved(house, 3)
    desk.let_time_pass(booking)
    await desk.expire(booking)

    await desk.told(desk.stripe.intent_event(CAPTURABLE, name_of(payment)))
    await desk.settle()

    bought = desk.find_booking(house, desk.payment(payment).bought_booking_id)
    assert desk.booking(booking).state is BookingState.EXPIRED
    assert (bought.state, bought.replaces) == (BookingState.CONFIRMED, booking.id)
    assert taken(desk.stripe) == [2500]


async def test_an_approval_that_is_heard_of_too_late_takes_nothing_if_the_seat_is_gone(
    desk: StripeDesk, house: Staged
) -> None:
    booking, payment = await desk.approved(house, 3)
    desk.let_time_pass(booking)
    await desk.expire(booking)
    await desk.hold(house, 3)

    await desk.told(desk.stripe.intent_event(CAPTURABLE, name_of(payment)))
    await desk.settle()

    assert desk.payment(payment).state is PaymentState.CANCELLED
    assert desk.intent(payment)["status"] == "canceled", "the reservation is let go, nobody is charged"
    assert taken(desk.stripe) == []


async def test_money_that_stripe_took_by_itself_and_too_late_goes_back_if_the_seat_is_gone(
    desk: StripeDesk, house: Staged
) -> None:
    booking, payment = await desk.approved(house, 3)
    desk.let_time_pass(booking)
    await desk.expire(booking)
    await desk.hold(house, 3)
    desk.stripe.take(name_of(payment))

    await desk.told(desk.stripe.intent_event(SUCCEEDED, name_of(payment)))
    await desk.settle()

    assert desk.payment(payment).bought_booking_id is None
    assert desk.charge(payment)["amount_refunded"] == 2500


async def test_a_message_about_a_strangers_payment_is_kept_and_harmless(desk: StripeDesk, house: Staged) -> None:
    thing = {"object": "payment_intent", "id": "pi_of_another_shop", "metadata": {"payment": "their own 42"}}

    assert await desk.told(desk.stripe.event(SUCCEEDED, thing)) == "DONE UNKNOWN_PAYMENT: it is not one of ours"

    absent = f"performances/{house.performance_id}/bookings/{uuid4()}/payments/{uuid4()}"
    thing["metadata"] = {"payment": absent}
    assert await desk.told(desk.stripe.event(SUCCEEDED, thing)) == "DONE UNKNOWN_PAYMENT: it is not one of ours"


async def test_a_name_that_only_stripe_uses_is_looked_for_again(desk: StripeDesk, house: Staged) -> None:
    """The message may be faster than our own reply, which brings that name."""
    payment = await desk.bought(house, 3)
    thing = {"object": "charge", "id": "ch_1", "payment_intent": "pi_later", "metadata": {}}
    assert await desk.told(desk.stripe.event("charge.updated", thing)) == "RECEIVED UNKNOWN_PAYMENT"

    desk.one("UPDATE payments SET provider_reference = 'pi_later' WHERE id = :id", id=payment.id)
    desk.stripe.books.intents["pi_later"] = {**desk.stripe.books.intents[name_of(payment)], "id": "pi_later"}
    await until_handled(desk)

    assert desk.outcome() == "DONE nothing new"
    desk.one("UPDATE payments SET provider_reference = :name WHERE id = :id", name=name_of(payment), id=payment.id)


async def test_another_name_for_our_payment_waits_for_staff(desk: StripeDesk, house: Staged) -> None:
    payment = await desk.bought(house, 3)
    other = {**desk.intent(payment), "object": "payment_intent", "id": "pi_another"}

    outcome = await desk.told(desk.stripe.event(SUCCEEDED, other))

    assert outcome == f"ATTENTION REFERENCE_MISMATCH: we know the payment as {name_of(payment)}"


async def test_a_refund_at_the_dashboard_waits_for_staff(desk: StripeDesk, house: Staged) -> None:
    payment = await desk.bought(house, 3, 4)
    refund = desk.stripe.give_back(name_of(payment), 1000)

    outcome = await desk.told(desk.stripe.event("refund.created", {"object": "refund", **refund}))

    assert outcome.startswith("ATTENTION REFUNDED_ELSEWHERE: 1000 minor units of EUR")


async def test_a_message_about_our_own_refund_is_no_news(desk: StripeDesk, house: Staged) -> None:
    payment = await desk.bought(house, 3, 4)
    desk.ask_back(payment, 1000)
    await desk.settle()
    (refund,) = desk.stripe.books.refunds.values()

    assert await desk.told(desk.stripe.event("refund.updated", {"object": "refund", **refund})) == "DONE nothing new"
    charge = {"object": "charge", **desk.charge(payment)}
    assert await desk.told(desk.stripe.event("charge.refunded", charge)) == "DONE nothing new"


async def test_a_refund_is_done_as_soon_as_stripe_says_so(desk: StripeDesk, house: Staged) -> None:
    payment = await desk.bought(house, 3)
    desk.stripe.refund_status = "pending"
    desk.ask_back(payment, None)
    await desk.carry_on()
    (refund,) = desk.stripe.books.refunds.values()
    desk.one("UPDATE refunds SET next_attempt_time = clock_timestamp() + interval '1 h' WHERE state = 2")
    refund["status"] = "succeeded"

    outcome = await desk.told(desk.stripe.event("refund.updated", {"object": "refund", **refund}))

    assert outcome == "DONE the refund is asked about"
    assert [refund.state for refund in desk.refunds(payment)] == [RefundState.SUCCEEDED]


async def test_a_refund_that_had_failed_and_was_done_after_all(desk: StripeDesk, house: Staged) -> None:
    payment = await desk.bought(house, 3)
    desk.stripe.refund_status = "failed"
    desk.ask_back(payment, None)
    await desk.settle()
    assert [refund.state for refund in desk.refunds(payment)] == [RefundState.FAILED]
    (refund,) = desk.stripe.books.refunds.values()
    refund["status"] = "succeeded"

    await desk.told(desk.stripe.event("refund.updated", {"object": "refund", **refund}))
    await desk.settle()

    assert [refund.state for refund in desk.refunds(payment)] == [RefundState.SUCCEEDED]
    assert len(desk.stripe.books.refunds) == 1


async def test_a_refund_that_was_settled_in_another_way_and_was_done_after_all_waits_for_staff(
    desk: StripeDesk, house: Staged
) -> None:
    payment = await desk.bought(house, 3)
    desk.stripe.refund_status = "failed"
    desk.ask_back(payment, None)
    await desk.settle()
    await desk.settle_refund(desk.refunds(payment)[0], RefundMethod.BANK_TRANSFER)
    (refund,) = desk.stripe.books.refunds.values()
    event = {"object": "refund", **refund}
    assert await desk.told(desk.stripe.event("refund.updated", event)) == "DONE nothing new"

    refund["status"] = "succeeded"
    outcome = await desk.told(desk.stripe.event("refund.updated", {"object": "refund", **refund}))

    assert outcome.startswith("ATTENTION PAID_TWICE: ")
    (twice,) = desk.refunds(payment)
    assert (twice.state, twice.discrepancy) == (RefundState.SUCCEEDED, PAID_TWICE)
    again = await desk.told(desk.stripe.event("refund.updated", {"object": "refund", **refund}))
    assert again == "DONE nothing new"


async def test_a_dispute_is_recorded_for_staff(desk: StripeDesk, house: Staged) -> None:
    payment = await desk.bought(house, 3)
    dispute = {
        "object": "dispute",
        "id": "dp_1",
        "amount": 2500,
        "currency": "eur",
        "reason": "fraudulent",
        "status": "needs_response",
        "payment_intent": name_of(payment),
    }

    outcome = await desk.told(desk.stripe.event("charge.dispute.created", dispute))

    assert outcome == "ATTENTION DISPUTE: dispute dp_1 2500 minor units of EUR needs_response fraudulent"
    assert desk.inbox()[-1].dispute_reference == "dp_1"


async def test_a_message_that_cannot_be_acted_on_is_tried_again_and_then_waits_for_staff(
    desk: StripeDesk, house: Staged
) -> None:
    payment = await desk.bought(house, 3)
    desk.stripe.faults["find"].extend([Fault.BUSY] * MOST_ATTEMPTS)

    assert await desk.told(desk.stripe.intent_event(SUCCEEDED, name_of(payment))) == "RECEIVED rate limit"
    await until_handled(desk)
    assert desk.outcome() == "ATTENTION rate limit"
    assert await desk.handle() == 0, "it is not due any more"

    assert desk.database.run_transaction(lambda s: webhooks.retry(s, None)) == 1
    await desk.handle()
    assert desk.outcome() == "DONE nothing new"


async def test_staff_close_what_they_have_dealt_with(desk: StripeDesk) -> None:
    await desk.told(desk.stripe.event("charge.dispute.created", {"object": "dispute", "id": "dp_2"}))
    (message,) = desk.inbox()
    while message.state is WebhookState.RECEIVED:
        await desk.handle()
        (message,) = desk.inbox()
    assert message.state is WebhookState.ATTENTION

    assert desk.database.run_transaction(lambda s: webhooks.close(s, [message.id], "answered")) == 1

    assert desk.outcome().endswith(" | closed by staff: answered")
    assert desk.inbox()[-1].state is WebhookState.DONE


async def test_what_was_done_with_long_ago_is_deleted(desk: StripeDesk) -> None:
    await desk.told(desk.stripe.event("account.updated", {"object": "account", "id": "acct_1"}))
    assert desk.outcome() == "DONE nothing of ours"
    day = timedelta(days=1)
    assert desk.database.run_transaction(lambda s: webhooks.delete_outdated(s, day, 10)) == 0

    desk.one("UPDATE provider_webhooks SET complete_time = clock_timestamp() - interval '2 days'")

    assert desk.database.run_transaction(lambda s: webhooks.delete_outdated(s, day, 10)) == 1
    assert desk.inbox() == []


async def test_the_body_is_kept_as_it_came_with_its_signature(desk: StripeDesk) -> None:
    body = desk.stripe.event("account.updated", {"object": "account", "id": "acct_1"}) + b" \n"
    await desk.deliver(body)

    assert bytes(desk.one("SELECT body FROM provider_webhooks")) == body
    assert desk.one("SELECT headers ->> 'stripe-signature' FROM provider_webhooks").startswith("t=")


async def test_a_delivery_that_was_signed_long_ago_is_not_believed(desk: StripeDesk) -> None:
    body = desk.stripe.event("account.updated", {"object": "account", "id": "acct_1"})
    with pytest.raises(UntrustedWebhook, match="too long ago"):
        await desk.deliver(body, sent=datetime.now(UTC) - timedelta(minutes=6))
    assert desk.inbox() == []


async def until_handled(desk: StripeDesk) -> None:
    """Work messages off until none is due any more."""
    async with asyncio.timeout(60):
        while any(message.state is WebhookState.RECEIVED for message in desk.inbox()):
            if not await desk.handle():
                await asyncio.sleep(0.01)
