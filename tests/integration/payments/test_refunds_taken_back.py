"""Refunds that a provider takes back after it had made them: a card was closed, its bank sent the money back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from server.db.engine import Database
from server.db.models.payments import Payment, Refund
from server.domain import books, refund_attempts, refunds
from server.domain.backlog import backlog
from server.domain.payment_orders import order_of
from server.fake_provider.behaviour import Behaviour, Call
from server.payments.book_comparison import compare
from server.payments.port import Refunded
from server.states import Account, PaymentState, Provider, RefundMethod, RefundState
from tests.fake_paypal import FakePayPal, fake_paypal
from tests.invariants import assert_sound
from tests.paypal_desk import PayPalDesk, paypal_desk_on
from tests.staging import Staged, stage
from tests.stripe_desk import StripeDesk


@pytest.fixture
def paypal() -> Iterator[FakePayPal]:
    with fake_paypal() as found:
        yield found


@pytest.fixture
async def desk(fresh_database: Database, paypal: FakePayPal) -> AsyncIterator[PayPalDesk]:
    async with paypal_desk_on(fresh_database, paypal) as desk:
        yield desk
        assert_sound(fresh_database, quiet=True)


@pytest.fixture
def house(fresh_database: Database) -> Staged:
    return fresh_database.run_transaction(stage)


async def refunded(desk: PayPalDesk, house: Staged, *places: int, amount: int | None = None) -> tuple[Payment, Refund]:
    """A payment, and the refund of it that PayPal made."""
    payment = await desk.bought(house, *places)
    desk.ask_back(payment, amount)
    await desk.settle()
    (refund,) = desk.refunds(payment)
    assert refund.state is RefundState.SUCCEEDED
    return payment, refund


def retry(desk: PayPalDesk, refund: Refund) -> None:
    name = refund.performance_id, refund.booking_id, refund.payment_id, refund.id
    desk.database.run_transaction(lambda s: refunds.retry(s, *name, reason="a new card"))


async def take_back(desk: PayPalDesk, refund: Refund) -> None:
    await asyncio.to_thread(desk.paypal.control.take_back, str(refund.provider_reference))


async def tell(desk: PayPalDesk, payment: Payment) -> list[str]:
    """Deliver the newest message about a payment, and act on it."""
    await desk.deliver((await desk.told(payment))[-1])
    return await desk.handle()


def only(desk: PayPalDesk, payment: Payment) -> Refund:
    (refund,) = desk.refunds(payment)
    return refund


def balances(desk: PayPalDesk) -> dict[Account, int]:
    found = desk.database.run_transaction(books.balances)
    return {balance.account: balance.amount for balance in found if balance.amount}


def for_people(desk: PayPalDesk) -> dict[str, int]:
    return {one.kind: one.for_people for one in desk.database.run_transaction(backlog) if one.for_people}


def mails(desk: PayPalDesk, refund: Refund) -> int:
    told = "SELECT count(*) FROM notifications WHERE kind = 8 AND about LIKE '%/refunds/' || CAST(:id AS text)"
    return int(desk.one(told, id=str(refund.id)))


@pytest.mark.promise("1.9")
async def test_it_is_owed_again_and_waits_for_staff_however_often_paypal_says_so(
    desk: PayPalDesk, house: Staged
) -> None:
    payment, refund = await refunded(desk, house, 3)
    reference = refund.provider_reference
    assert balances(desk) == {}
    await take_back(desk, refund)
    await desk.deliver((await desk.told(payment))[-2])  # what told of the refund, days late

    said = {"DONE the refund was taken back, and is owed again", "DONE nothing new"}
    assert set(await tell(desk, payment)) <= said
    failed = only(desk, payment)
    assert (failed.state, failed.error_reason) == (RefundState.FAILED, "TAKEN_BACK: REFUND_FAILED")
    assert (failed.taken_back, failed.provider_reference) == ([reference], None)
    assert balances(desk) == {Account.PAYPAL: 2500, Account.REFUNDS_DUE: -2500}
    assert for_people(desk) == {"refunds": 1}
    await desk.assert_books_equal()

    desk.one("UPDATE provider_webhooks SET state = 1, next_attempt_time = now(), attempt_count = 0")
    assert await desk.handle() == ["DONE nothing new"] * 2
    assert await desk.compare() == 1
    assert balances(desk) == {Account.PAYPAL: 2500, Account.REFUNDS_DUE: -2500}
    assert desk.payment(payment).discrepancy is None


@pytest.mark.promise("1.9")
async def test_it_is_found_without_any_message(desk: PayPalDesk, house: Staged) -> None:
    payment, refund = await refunded(desk, house, 3)
    assert await desk.compare() == 1
    await take_back(desk, refund)
    assert (await compare(desk.database, {Provider.PAYPAL: desk.provider})).difference_count == 1

    assert await desk.compare() == 1, "a payment that was refunded lately is compared again"

    assert only(desk, payment).state is RefundState.FAILED
    assert for_people(desk) == {"refunds": 1}
    assert (await compare(desk.database, {Provider.PAYPAL: desk.provider})).equal
    assert await desk.compare() == 1
    assert desk.payment(payment).discrepancy is None
    assert await desk.compare() == 0, "nothing is left that could fail"


async def test_staff_have_it_tried_anew_and_its_customer_is_told_again(desk: PayPalDesk, house: Staged) -> None:
    payment, refund = await refunded(desk, house, 3)
    assert mails(desk, refund) == 1
    await take_back(desk, refund)
    await tell(desk, payment)
    assert mails(desk, refund) == 1

    retry(desk, refund)
    await desk.settle()

    done = only(desk, payment)
    assert (done.state, done.taken_back) == (RefundState.SUCCEEDED, [refund.provider_reference])
    assert done.provider_reference not in {None, refund.provider_reference}
    assert mails(desk, refund) == 2
    assert (balances(desk), for_people(desk)) == ({}, {})
    await desk.assert_books_equal()
    assert (await compare(desk.database, {Provider.PAYPAL: desk.provider})).equal
    # What was said of the first attempt is out of date, and the second may fail like the first.
    desk.one("UPDATE provider_webhooks SET state = 1, next_attempt_time = now(), attempt_count = 0")
    assert await desk.handle() == ["DONE nothing new"]
    await take_back(desk, done)
    await tell(desk, payment)
    assert only(desk, payment).taken_back == [refund.provider_reference, done.provider_reference]
    retry(desk, done)
    await desk.settle()
    assert mails(desk, refund) == 3
    await desk.assert_books_equal()


async def test_staff_pay_it_in_another_way(desk: PayPalDesk, house: Staged) -> None:
    payment, refund = await refunded(desk, house, 3)
    await take_back(desk, refund)
    await tell(desk, payment)

    await desk.settle_refund(refund, RefundMethod.BANK_TRANSFER)

    assert balances(desk) == {Account.PAYPAL: 2500, Account.BANK: -2500}
    assert (only(desk, payment).state, mails(desk, refund)) == (RefundState.SUCCEEDED, 2)
    await desk.assert_books_equal()
    assert (await compare(desk.database, {Provider.PAYPAL: desk.provider})).equal


async def test_one_of_two_parts_fails(desk: PayPalDesk, house: Staged) -> None:
    payment, first = await refunded(desk, house, 3, 4, amount=1999)
    desk.ask_back(payment, None)
    await desk.settle()
    await take_back(desk, first)

    await desk.compare()

    failed, done = desk.refunds(payment)
    assert (failed.state, done.state) == (RefundState.FAILED, RefundState.SUCCEEDED)
    assert balances(desk) == {Account.PAYPAL: 1999, Account.REFUNDS_DUE: -1999}
    await desk.assert_books_equal()


async def test_staff_who_hear_of_it_first_have_it_looked_at(desk: PayPalDesk, house: Staged) -> None:
    """A customer calls: the money never came. RetryRefund has PayPal asked, and pays nothing twice."""
    payment, refund = await refunded(desk, house, 3)
    desk.one("UPDATE payments SET compare_after_time = NULL")
    retry(desk, refund)
    assert only(desk, payment).state is RefundState.SUCCEEDED
    assert desk.one("SELECT compare_after_time < now() - interval '1 year' FROM payments")
    await take_back(desk, refund)
    await desk.compare()
    assert only(desk, payment).state is RefundState.FAILED


@pytest.mark.parametrize("asked_before", [True, False], ids=["out of date", "control"])
async def test_a_worker_that_stood_still_with_its_answer_does_not_undo_it(
    desk: PayPalDesk, house: Staged, asked_before: bool
) -> None:
    """Its yes is of before PayPal took the refund back. A yes to a question of afterwards counts (the control)."""
    payment = await desk.bought(house, 3)
    await desk.behave(payment, Call.REFUND, Behaviour.ERROR_AFTER)
    desk.ask_back(payment, None)
    await desk.carry_on()
    desk.one("UPDATE refunds SET next_attempt_time = now()")
    (sleeper,) = await desk.refunder.take(1)
    desk.one("UPDATE refunds SET next_attempt_time = now()")
    await desk.settle()
    done = only(desk, payment)
    await take_back(desk, done)
    await tell(desk, payment)
    if not asked_before:
        desk.database.run_transaction(lambda s: refund_attempts.look_now(s, done.performance_id, done.id))
        (sleeper,) = await desk.refunder.take(1)

    desk.database.run_transaction(lambda s: refund_attempts.done(s, [(sleeper, str(done.provider_reference))]))

    assert only(desk, payment).state is (RefundState.FAILED if asked_before else RefundState.SUCCEEDED)
    assert balances(desk) == ({Account.PAYPAL: 2500, Account.REFUNDS_DUE: -2500} if asked_before else {})


async def test_money_that_was_there_twice_is_there_once_again(desk: PayPalDesk, house: Staged) -> None:
    """PayPal refused, the house paid by bank, PayPal paid all the same, and took that back."""
    payment = await desk.bought(house, 3)
    await desk.behave(payment, Call.REFUND, Behaviour.DECLINE)
    desk.ask_back(payment, None)
    await desk.settle()
    refund = only(desk, payment)
    desk.database.run_transaction(lambda s: refund_attempts.look_now(s, refund.performance_id, refund.id))
    (sleeper,) = await desk.refunder.take(1)
    desk.database.run_transaction(lambda s: refund_attempts.failed(s, sleeper, "CLOSED"))
    await desk.settle_refund(refund, RefundMethod.BANK_TRANSFER)
    await desk.refunder.carry_on(sleeper)
    twice = only(desk, payment)
    assert twice.discrepancy == refund_attempts.PAID_TWICE
    assert balances(desk) == {Account.BANK: -2500, Account.REFUNDED_TWICE: 2500}

    await take_back(desk, twice)
    await tell(desk, payment)

    once = only(desk, payment)
    assert (once.state, once.discrepancy, once.provider_reference) == (RefundState.SUCCEEDED, None, None)
    assert balances(desk) == {Account.BANK: -2500, Account.PAYPAL: 2500}
    await desk.assert_books_equal()


async def test_money_that_was_there_twice_and_came_back_twice_is_for_people(desk: PayPalDesk, house: Staged) -> None:
    """Who owes whom cannot be told from here."""
    payment = await desk.bought(house, 3)
    await desk.behave(payment, Call.REFUND, Behaviour.DECLINE)
    desk.ask_back(payment, None)
    await desk.settle()
    refund = only(desk, payment)
    await desk.settle_refund(refund, RefundMethod.BANK_TRANSFER)
    made = await desk.provider.refund(order_of(payment), refund.provider_key, refund.amount)
    assert isinstance(made, Refunded)
    desk.database.run_transaction(lambda s: refund_attempts.done_as_well(s, only(desk, payment), made.reference))
    await desk.settle_refund(refund, RefundMethod.BANK_TRANSFER, "came back, transfer 2")
    assert balances(desk) == {}

    await take_back(desk, only(desk, payment))

    (said,) = await tell(desk, payment)
    assert said.startswith("ATTENTION REFUND_FAILED: ")
    assert balances(desk) == {}


async def test_a_payment_is_compared_until_its_refunds_can_fail_no_more(desk: PayPalDesk, house: Staged) -> None:
    payment, _ = await refunded(desk, house, 3)
    for age, again in ((0, 1), (1, 2), (9, 18), (29, 58), (31, None)):
        desk.one(f"UPDATE refunds SET complete_time = now() - interval '{age} days'")
        desk.one("UPDATE payments SET compare_after_time = now()")
        assert await desk.compare() == 1
        next_time = desk.payment(payment).compare_after_time
        # The comparison comes a day after that time.
        waits = None if next_time is None else round((next_time - datetime.now(UTC)) / timedelta(days=1)) + 1
        assert waits == again
    assert desk.payment(payment).state is PaymentState.SUCCEEDED


async def test_stripe_takes_a_refund_back(stripe_desk: StripeDesk, database: Database) -> None:
    """Stripe's books are compared line by line: the refund that failed is in neither, the one made anew in both."""
    desk, house = stripe_desk, database.run_transaction(stage)
    _, payment = await desk.approved(house, 3)
    await desk.capture(payment)
    await desk.settle()
    await desk.cancel(desk.find_booking(house, payment.booking_id))
    await desk.settle()
    (theirs,) = desk.stripe.books.refunds.values()
    desk.stripe.fail_refund(theirs["id"], "lost_or_stolen_card")

    told = await desk.told(desk.stripe.event("refund.failed", {"object": "refund", **theirs}))

    assert told == "DONE the refund was taken back, and is owed again"
    (refund,) = desk.refunds(payment)
    assert (refund.state, refund.error_reason) == (RefundState.FAILED, "TAKEN_BACK: lost_or_stolen_card")
    assert desk.charge(payment)["amount_refunded"] == 0
    name = refund.performance_id, refund.booking_id, refund.payment_id, refund.id
    desk.database.run_transaction(lambda s: refunds.retry(s, *name, reason="a new card"))
    await desk.settle()
    (refund,) = desk.refunds(payment)
    assert refund.state is RefundState.SUCCEEDED
    again = await desk.told(desk.stripe.event("charge.refund.updated", {"object": "refund", **theirs}))
    assert again == "DONE nothing new"
    assert desk.charge(payment)["amount_refunded"] == 2500
