"""kill -9 of a worker while it finds out, takes places back, gives up or compares: the next one ends it, once.

These are the payments off the straight way: an outcome that nobody knew, money that came late, a payment that was given
up, and one that is compared with the provider's books after its end.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from server.config import Settings
from server.db.engine import Database
from server.db.models.payments import Payment
from server.payments.collecting import Patience
from server.payments.simulator import REFUND
from server.seats.booking import Booking
from server.states import BookingState, PaymentState, RefundState, SimulatedOrder, SimulatedOutcome
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage
from tests.struck_workers import Workers, settings_of_workers

pytestmark = pytest.mark.fault

IMPATIENT = Patience(call=timedelta(seconds=60), first_wait=timedelta(milliseconds=10), longest_hold=timedelta(0))


@pytest.fixture
async def desk(fresh_database: Database) -> AsyncIterator[Desk]:
    """No booking waits for an unknown outcome here."""
    async with desk_on(fresh_database, patience=IMPATIENT) as desk:
        yield desk


@pytest.fixture
def house(fresh_database: Database) -> Staged:
    return fresh_database.run_transaction(stage)


@pytest.fixture
def settings(fresh_database_url: str, fresh_valkey_url: str, tmp_path: Path) -> Settings:
    return settings_of_workers(fresh_database_url, fresh_valkey_url, tmp_path)


async def another_takes_over(desk: Desk) -> None:
    """The dead worker's leases run out, and another works."""
    for table in ("payments", "refunds"):
        desk.one(f"UPDATE {table} SET next_attempt_time = clock_timestamp() WHERE next_attempt_time IS NOT NULL")
    await desk.settle()


async def unknown_payment(
    desk: Desk, house: Staged, outcome: SimulatedOutcome = SimulatedOutcome.TIMEOUT_AFTER
) -> tuple[Booking, Payment]:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking, outcome)
    await desk.carry_on()
    assert desk.payment(payment).state is PaymentState.UNKNOWN
    return booking, payment


@pytest.mark.parametrize(
    "point",
    [
        "payment was taken up",
        "provider has said what became of it",
        "ledger is about to commit",
        "ledger has committed",
        "places were taken back",
    ],
)
async def test_killed_while_it_takes_places_back(desk: Desk, house: Staged, workers: Workers, point: str) -> None:
    booking, payment = await unknown_payment(desk, house)
    desk.let_time_pass(booking)
    await desk.expire(booking)

    await workers.die(point)
    assert_sound(desk.database)
    await another_takes_over(desk)

    paid = desk.payment(payment)
    assert (paid.state, desk.refunds(payment)) == (PaymentState.SUCCEEDED, [])
    successor = desk.find_booking(house, desk.booking(booking).replaced_by)
    assert (successor.id, successor.state) == (paid.bought_booking_id, BookingState.CONFIRMED)
    assert desk.one("SELECT count(*) FROM bookings WHERE replaces = :id", id=booking.id) == 1
    assert_sound(desk.database, quiet=True)


@pytest.mark.parametrize("point", ["booking waits again, not committed", "ledger is about to commit"])
async def test_killed_while_it_sells_what_is_still_held(
    desk: Desk, house: Staged, workers: Workers, point: str
) -> None:
    booking, payment = await unknown_payment(desk, house)

    await workers.die(point)
    assert_sound(desk.database)
    await another_takes_over(desk)

    assert desk.booking(booking).state is BookingState.CONFIRMED
    assert (desk.payment(payment).bought_booking_id, desk.refunds(payment)) == (None, [])
    assert_sound(desk.database, quiet=True)


@pytest.mark.parametrize(
    "point",
    [
        "provider has said what became of it",
        "what is open is decided, not committed",
        "provider has cancelled",
        "cancellation is written down, not committed",
    ],
)
async def test_killed_while_it_gives_up_what_was_never_taken(
    desk: Desk, house: Staged, workers: Workers, point: str
) -> None:
    booking, payment = await unknown_payment(desk, house, SimulatedOutcome.TIMEOUT_BEFORE)

    await workers.die(point)
    assert_sound(desk.database)
    await another_takes_over(desk)

    assert desk.payment(payment).state is PaymentState.CANCELLED
    order = desk.order(payment)
    assert order is not None
    assert order.state is SimulatedOrder.CANCELLED
    assert desk.booking(booking).state is BookingState.HELD
    assert_sound(desk.database, quiet=True)


@pytest.mark.parametrize("point", ["provider has cancelled", "cancellation is written down, not committed"])
async def test_killed_while_it_tells_the_provider_that_the_customer_gave_up(
    desk: Desk, house: Staged, workers: Workers, point: str
) -> None:
    payment = await desk.pay(await desk.hold(house, 3))
    await desk.settle()
    await desk.give_up(payment)

    await workers.die(point)
    await another_takes_over(desk)

    order = desk.order(payment)
    assert order is not None
    assert (desk.payment(payment).state, order.state) == (PaymentState.CANCELLED, SimulatedOrder.CANCELLED)
    assert_sound(desk.database, quiet=True)


async def test_killed_after_the_provider_said_what_became_of_a_refund(
    desk: Desk, house: Staged, workers: Workers
) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    await desk.settle()
    desk.script(payment, SimulatedOutcome.TIMEOUT_AFTER, REFUND)
    await desk.cancel(booking)
    await desk.carry_on()

    await workers.die("provider has said what became of the refund")
    await another_takes_over(desk)

    assert [(r.amount, r.state) for r in desk.refunds(payment)] == [(2500, RefundState.SUCCEEDED)]
    assert desk.one("SELECT count(*) FROM simulator_refunds") == 1
    assert_sound(desk.database, quiet=True)


@pytest.mark.parametrize("point", ["comparison was taken up", "comparison is written down, not committed"])
async def test_killed_while_it_compares(desk: Desk, house: Staged, workers: Workers, point: str) -> None:
    payment = await desk.captured(await desk.hold(house, 3))
    await desk.settle()
    desk.one("UPDATE simulator_orders SET amount = amount + 100")
    desk.one("UPDATE payments SET compare_after_time = now() - interval '2 days'")

    await workers.die(point)
    assert desk.payment(payment).compare_after_time is not None
    assert desk.payment(payment).discrepancy is None
    assert await desk.compare() == 1

    assert "2600" in (desk.payment(payment).discrepancy or "")
    assert desk.payment(payment).compare_after_time is None
