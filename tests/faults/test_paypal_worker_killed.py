"""kill -9 of a worker between PayPal's effect and our knowledge of it: the next one finds out, and repeats nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from server.config import Settings
from server.db.engine import Database
from server.fake_provider.behaviour import Behaviour, Call
from server.states import BookingState, PaymentState, RefundState, Resolution
from tests.fake_paypal import LONG, FakePayPal, fake_paypal
from tests.invariants import assert_sound
from tests.paypal_desk import PayPalDesk, paypal_desk_on
from tests.staging import Staged, stage
from tests.struck_workers import Workers, settings_of_workers

pytestmark = [pytest.mark.fault, pytest.mark.promise("1.7")]

WHILE_TAKING_MONEY = [
    "payment was taken up",
    "PayPal has answered the capture",
    "ledger is about to commit",
    "ledger has committed",
]


@pytest.fixture(scope="module")
def paypal() -> Iterator[FakePayPal]:
    with fake_paypal() as found:
        yield found


@pytest.fixture
async def desk(database: Database, paypal: FakePayPal) -> AsyncIterator[PayPalDesk]:
    async with paypal_desk_on(database, paypal) as desk:
        yield desk


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


@pytest.fixture
def settings(paypal: FakePayPal, database_url: str, fresh_valkey_url: str, tmp_path: Path) -> Settings:
    """Workers are paid by the desk's PayPal."""
    return settings_of_workers(database_url, fresh_valkey_url, tmp_path, **paypal.settings())


async def another_takes_over(desk: PayPalDesk) -> None:
    """The dead worker's leases run out, and another works; at the end the books are equal."""
    for table in ("payments", "refunds"):
        desk.one(f"UPDATE {table} SET next_attempt_time = clock_timestamp() WHERE next_attempt_time IS NOT NULL")
    await desk.settle()
    assert_sound(desk.database)
    await desk.assert_books_equal()


@pytest.mark.parametrize("point", WHILE_TAKING_MONEY)
async def test_killed_while_it_takes_money(desk: PayPalDesk, house: Staged, workers: Workers, point: str) -> None:
    booking, payment = await desk.approved(house, 3, 4)
    await desk.capture(payment)

    await workers.die(point)
    assert_sound(desk.database)
    await another_takes_over(desk)

    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    assert desk.booking(booking).state is BookingState.CONFIRMED


async def test_killed_after_paypal_has_made_the_order(desk: PayPalDesk, house: Staged, workers: Workers) -> None:
    payment = await desk.begin(await desk.hold(house, 3))

    await workers.die("PayPal has created")
    await another_takes_over(desk)

    assert desk.payment(payment).state is PaymentState.REQUIRES_ACTION
    assert len(await desk.orders(payment)) == 1


async def test_killed_after_paypal_has_closed_the_order(desk: PayPalDesk, house: Staged, workers: Workers) -> None:
    booking, payment = await desk.approved(house, 3)
    await desk.give_up(payment)

    await workers.die("PayPal has closed the order")
    await another_takes_over(desk)

    assert desk.payment(payment).state is PaymentState.CANCELLED
    assert await desk.orders(payment) == [("APPROVED", "AUTHORIZE")]
    assert desk.booking(booking).state is BookingState.HELD


async def test_killed_after_paypal_has_given_money_back(desk: PayPalDesk, house: Staged, workers: Workers) -> None:
    booking, payment = await desk.approved(house, 3)
    await desk.capture(payment)
    await desk.settle()
    await desk.cancel(booking)

    await workers.die("PayPal has answered the refund")
    await another_takes_over(desk)

    assert [(one.state, one.amount) for one in desk.refunds(payment)] == [(RefundState.SUCCEEDED, 2500)]


@pytest.mark.parametrize("by_message", [True, False], ids=["told", "compared"])
@pytest.mark.parametrize(
    "point", ["PayPal has said what became of the refund", "refund is taken back, not committed", "before it is noted"]
)
async def test_killed_while_paypal_takes_a_refund_back(
    desk: PayPalDesk, house: Staged, workers: Workers, point: str, by_message: bool
) -> None:
    _, payment = await desk.approved(house, 3)
    await desk.capture(payment)
    await desk.settle()
    await desk.cancel(desk.find_booking(house, payment.booking_id))
    await desk.settle()
    (refund,) = desk.refunds(payment)
    await asyncio.to_thread(desk.paypal.control.take_back, str(refund.provider_reference))
    if by_message:
        await desk.deliver((await desk.told(payment))[-1])
        noted = "message is written down, not committed"
    else:
        desk.one("UPDATE payments SET compare_after_time = '-infinity' WHERE id = :id", id=payment.id)
        noted = "comparison was put off, not committed"

    # A comparison that gets no answer is put off for an hour, which a slow machine must not take for one.
    await workers.with_settings(payment_call_timeout=LONG).die(noted if point == "before it is noted" else point)
    assert_sound(desk.database)
    desk.one("UPDATE provider_webhooks SET next_attempt_time = now() WHERE next_attempt_time IS NOT NULL")
    await desk.handle()
    await desk.compare()
    await another_takes_over(desk)

    (failed,) = desk.refunds(payment)
    assert (failed.state, failed.taken_back) == (RefundState.FAILED, [refund.provider_reference])
    assert desk.one("SELECT count(*) FROM book_entries WHERE kind = 8 AND source_id = :id", id=refund.id) == 1


@pytest.mark.parametrize("point", ["PayPal has answered the capture", "doubt is written down, not committed"])
async def test_killed_when_it_learns_that_the_money_may_be_anothers(
    desk: PayPalDesk, house: Staged, workers: Workers, point: str
) -> None:
    booking, payment = await desk.approved(house, 3)
    await desk.behave(payment, Call.CAPTURE, Behaviour.WRONG_PAYMENT)
    await desk.capture(payment)

    await workers.die(point)
    assert_sound(desk.database)
    desk.one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE next_attempt_time IS NOT NULL")
    await desk.settle()

    held = desk.payment(payment)
    assert (held.state, desk.refunds(payment)) == (PaymentState.UNKNOWN, [])
    assert str(held.discrepancy).startswith("REFERENCE_MISMATCH")
    await desk.resolve(payment, Resolution.OURS)
    await another_takes_over(desk)
    assert desk.booking(booking).state is BookingState.CONFIRMED


@pytest.mark.parametrize("decision", [Resolution.OURS, Resolution.GIVE_BACK])
@pytest.mark.parametrize("point", ["payment was taken up", "PayPal has said what became of it"])
async def test_killed_while_it_does_what_staff_decided(
    desk: PayPalDesk, house: Staged, workers: Workers, decision: Resolution, point: str
) -> None:
    booking, payment = await desk.approved(house, 3)
    await desk.behave(payment, Call.CAPTURE, Behaviour.WRONG_PAYMENT)
    await desk.capture(payment)
    await desk.settle()
    await desk.resolve(payment, decision)

    await workers.die(point)
    assert_sound(desk.database)
    await another_takes_over(desk)

    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    is_sold = desk.booking(booking).state is BookingState.CONFIRMED
    assert is_sold is (decision is Resolution.OURS)
    assert [one.state for one in desk.refunds(payment)] == ([] if is_sold else [RefundState.SUCCEEDED])
