"""Paying with Stripe from the wish to the seats, or to money given back: every answer that Stripe can give."""

import pytest

from server.db.engine import Database
from server.payments.book_comparison import compare
from server.states import BookingState, PaymentState, Provider, RefundState
from tests.fake_stripe import Fault
from tests.staging import Staged, stage
from tests.stripe_desk import IMPATIENT, StripeDesk


@pytest.fixture
def desk(stripe_desk: StripeDesk) -> StripeDesk:
    return stripe_desk


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


@pytest.mark.promise("0.10")
@pytest.mark.promise("4.6")
async def test_an_approved_payment_is_captured_and_buys_the_seats(desk: StripeDesk, house: Staged) -> None:
    booking, payment = await desk.approved(house, 3, 4)
    assert payment.state is PaymentState.REQUIRES_ACTION
    assert payment.client_secret is not None

    await desk.capture(payment)
    await desk.settle()

    paid = desk.payment(payment)
    assert (paid.state, paid.amount, paid.currency) == (PaymentState.SUCCEEDED, 5000, "EUR")
    assert desk.booking(booking).state is BookingState.CONFIRMED
    intent = desk.intent(payment)
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 5000)
    assert intent["metadata"]["payment_id"] == str(payment.id)
    assert paid.capture_reference == intent["latest_charge"]


@pytest.mark.promise("0.10")
async def test_a_card_that_was_refused_fails_the_payment_with_the_banks_word(desk: StripeDesk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.pay(booking)
    desk.stripe.refuse_card(str(payment.provider_reference), "insufficient_funds")

    await desk.capture(payment)
    await desk.settle()

    failed = desk.payment(payment)
    assert (failed.state, failed.error_reason) == (PaymentState.FAILED, "insufficient_funds")
    assert desk.booking(booking).state is BookingState.HELD
    assert desk.intent(payment)["status"] == "canceled", "no other card may pay by it later"


async def test_a_capture_before_the_approval_can_be_asked_for_again(desk: StripeDesk, house: Staged) -> None:
    """Stripe refuses the first capture, and must not be asked with a key under which it would repeat that."""
    booking = await desk.hold(house, 3)
    payment = await desk.pay(booking)
    await desk.capture(payment)
    await desk.settle()
    assert desk.payment(payment).state is PaymentState.REQUIRES_ACTION

    desk.stripe.approve(str(payment.provider_reference))
    await desk.capture(payment)
    await desk.settle()

    assert desk.booking(booking).state is BookingState.CONFIRMED


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("call", ["create", "capture"])
async def test_what_goes_wrong_once_has_one_effect(desk: StripeDesk, house: Staged, call: str, fault: Fault) -> None:
    desk.be_patient(IMPATIENT)
    desk.stripe.faults[call].append(fault)
    booking = await desk.hold(house, 3)
    payment = await desk.begin(booking)
    await desk.settle()
    payment = desk.payment(payment)
    desk.stripe.approve(str(payment.provider_reference))

    await desk.capture(payment)
    await desk.settle()

    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    assert desk.booking(booking).state is BookingState.CONFIRMED
    taken = [intent for intent in desk.stripe.books.intents.values() if intent["status"] == "succeeded"]
    assert [intent["amount_received"] for intent in taken] == [2500]


async def test_another_amount_buys_nothing_and_goes_back(desk: StripeDesk, house: Staged) -> None:
    booking, payment = await desk.approved(house, 3, amount=2400)

    await desk.capture(payment)
    await desk.settle()

    wrong = desk.payment(payment)
    assert (wrong.state, wrong.amount) == (PaymentState.SUCCEEDED, 2400)
    assert str(wrong.error_reason).startswith("AMOUNT_MISMATCH")
    assert desk.booking(booking).state is BookingState.HELD
    assert desk.charge(payment)["amount_refunded"] == 2400
    assert [refund.state for refund in desk.refunds(payment)] == [RefundState.SUCCEEDED]


async def test_a_payment_that_was_given_up_is_cancelled_at_stripe(desk: StripeDesk, house: Staged) -> None:
    _, payment = await desk.approved(house, 3)

    await desk.give_up(payment)
    await desk.settle()

    assert desk.payment(payment).state is PaymentState.CANCELLED
    assert desk.intent(payment)["status"] == "canceled"


async def test_money_taken_at_the_dashboard_for_a_payment_that_was_given_up_goes_back(
    desk: StripeDesk, house: Staged
) -> None:
    _, payment = await desk.approved(house, 3)
    desk.stripe.take(str(payment.provider_reference))

    await desk.give_up(payment)
    await desk.settle()

    assert desk.payment(payment).error_reason == "PAYMENT_CANCELLED"
    assert desk.charge(payment)["amount_refunded"] == 2500


async def test_refunds_in_parts(desk: StripeDesk, house: Staged) -> None:
    payment = await desk.bought(house, 3, 4)

    for amount in (1000, 1500, None):
        desk.ask_back(payment, amount)
    await desk.settle()

    assert desk.charge(payment)["amount_refunded"] == 5000
    assert sorted(refund["amount"] for refund in desk.stripe.books.refunds.values()) == [1000, 1500, 2500]
    assert {refund.state for refund in desk.refunds(payment)} == {RefundState.SUCCEEDED}


@pytest.mark.parametrize("fault", [Fault.SILENT_BEFORE, Fault.SILENT_AFTER, Fault.BUSY])
async def test_a_refund_that_goes_wrong_once_is_made_once(desk: StripeDesk, house: Staged, fault: Fault) -> None:
    payment = await desk.bought(house, 3, 4)
    desk.be_patient(IMPATIENT)
    desk.stripe.faults["refund"].append(fault)

    desk.ask_back(payment, 1000)
    await desk.settle()

    assert desk.charge(payment)["amount_refunded"] == 1000
    assert [refund.state for refund in desk.refunds(payment)] == [RefundState.SUCCEEDED]


async def test_a_refund_that_stripe_has_not_decided_is_asked_about_until_it_has(
    desk: StripeDesk, house: Staged
) -> None:
    payment = await desk.bought(house, 3)
    desk.stripe.refund_status = "pending"
    desk.ask_back(payment)
    await desk.carry_on()
    # That it is being reviewed is no failure.
    assert [(one.state, one.error_reason) for one in desk.refunds(payment)] == [(RefundState.PROCESSING, None)]

    for refund in desk.stripe.books.refunds.values():
        refund["status"] = "succeeded"
    await desk.settle()

    assert [refund.state for refund in desk.refunds(payment)] == [RefundState.SUCCEEDED]


async def test_what_stripe_refuses_to_give_back_waits_for_staff(desk: StripeDesk, house: Staged) -> None:
    payment = await desk.bought(house, 3)
    desk.stripe.give_back(str(payment.provider_reference), 2500)  # somebody at the dashboard was faster

    desk.ask_back(payment)
    await desk.settle()

    (refund,) = desk.refunds(payment)
    assert (refund.state, refund.error_reason) == (RefundState.FAILED, "charge_already_refunded")


async def test_stripes_books_and_ours_are_equal_and_differ_where_they_should(desk: StripeDesk, house: Staged) -> None:
    payments = [await desk.bought(house, place) for place in (3, 4, 5)]
    desk.ask_back(payments[0], 1000)
    desk.ask_back(payments[1])
    await desk.approved(house, 6)  # reserved, and not taken
    await desk.settle()
    stranger = desk.stripe.books.charges[desk.intent(payments[2])["latest_charge"]] | {"id": "ch_x", "metadata": {}}
    desk.stripe.books.charges["ch_x"] = stranger
    began = desk.payment(payments[0]).create_time

    same = await compare(desk.database, {Provider.STRIPE: desk.provider}, since=began)
    assert (same.compared, same.differences) == (5, [])

    by_hand = desk.stripe.give_back(str(payments[2].provider_reference), 300)
    other = await compare(desk.database, {Provider.STRIPE: desk.provider}, since=began)
    assert [(found.name, found.ours) for found in other.differences] == [(by_hand["id"], "nothing")]


async def test_a_refund_is_found_on_a_later_page(desk: StripeDesk, house: Staged) -> None:
    payment = await desk.bought(house, 3, 4)
    for amount in (100, 200, 300, 400, 500):
        desk.ask_back(payment, amount)
    await desk.settle()

    first = desk.refunds(payment)[0]
    found = await desk.provider.find_refund(desk.port_order(payment), first.provider_key)

    assert found.reference == first.provider_reference  # type: ignore[union-attr]
