"""Races for the places of a booking that ran out: late money against late money, and against new buyers.

Two desks are two processes, as far as the database can tell. `both_have_read` makes the dangerous interleaving certain:
two batches that have read wait for each other before they decide; where a guard makes one wait for the other's commit,
the meeting times out and both go on. Each guard has its control, which takes it away and shows the fault.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from server.db.engine import Database
from server.db.models.payments import Payment
from server.domain.payment_attempts import Attempt
from server.payments.collecting import Patience
from server.payments.port import Captured
from server.seats import statements, taking_back
from server.seats.batch import Batch
from server.seats.booking import Booking
from server.seats.connection import LedgerConnection
from server.seats.state import State
from server.states import BookingState, PaymentState, RefundState, SimulatedOutcome
from tests.invariants import assert_sound, faults
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage

pytestmark = pytest.mark.race

IMPATIENT = Patience(call=timedelta(seconds=60), first_wait=timedelta(milliseconds=10), longest_hold=timedelta(0))
ROUNDS = 6


@pytest.fixture
def database(fresh_database: Database) -> Database:
    return fresh_database


@pytest.fixture
async def desks(database: Database) -> AsyncIterator[tuple[Desk, Desk]]:
    async with desk_on(database, patience=IMPATIENT) as first, desk_on(database, patience=IMPATIENT) as second:
        yield first, second


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


@pytest.fixture
def both_have_read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Once it is set, two batches meet between reading and deciding, or one waits in vain for the other."""
    armed = asyncio.Event()
    meeting = asyncio.Barrier(2)
    read = Batch._lock_and_read
    is_control = "control" in request.node.name

    async def read_and_meet(self: Batch, connection: LedgerConnection) -> State:
        state = await read(self, connection)
        if armed.is_set():
            with suppress(TimeoutError, asyncio.BrokenBarrierError):
                async with asyncio.timeout(30 if is_control else 0.3):
                    await meeting.wait()
                if is_control:
                    await meeting.abort()  # they have met, and whoever comes alone later has nobody to wait for
        return state

    monkeypatch.setattr(Batch, "_lock_and_read", read_and_meet)
    return armed


async def paid_late(desk: Desk, house: Staged, *places: int) -> tuple[Booking, Payment]:
    """A booking that ran out while nobody knew that its money had been taken."""
    booking = await desk.hold(house, *places)
    payment = await desk.captured(booking, SimulatedOutcome.TIMEOUT_AFTER)
    await desk.carry_on()
    desk.let_time_pass(booking)
    await desk.expire(booking)
    # The race begins when the test says so.
    desk.one("UPDATE payments SET next_attempt_time = now() + interval '1 h' WHERE id = :id", id=payment.id)
    return booking, payment


async def come_in(desks: tuple[Desk, Desk], *payments: Payment) -> None:
    """All the money comes in at once: the first desk learns of the first payment, the second of the second …"""
    for payment in payments:
        desks[0].one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE id = :id", id=payment.id)
    taken = {attempt.order.payment_id: attempt for attempt in await desks[0].collector.take(10)}
    await asyncio.gather(
        *(desks[n % 2].collector.carry_on(taken[payment.id]) for n, payment in enumerate(payments)),
    )


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
async def test_of_two_late_payments_for_the_same_seat_one_buys_it(
    desks: tuple[Desk, Desk],
    house: Staged,
    both_have_read: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
    guarded: bool,
) -> None:
    first, paid_first = await paid_late(desks[0], house, 3, 4)
    second, paid_second = await paid_late(desks[0], house, 4, 5)
    if not guarded:
        monkeypatch.setattr(statements, "LOCK_SEATS", statements.LOCK_SEATS.replace("FOR NO KEY UPDATE OF s", ""))
    both_have_read.set()

    await come_in(desks, paid_first, paid_second)

    both_have_read.clear()
    if not guarded:
        assert any(fault.startswith("S1") for fault in desks[0].database.run_transaction(faults))
        return
    await desks[0].settle()
    replaced = [desks[0].booking(booking).replaced_by is not None for booking in (first, second)]
    refunded = [len(desks[0].refunds(payment)) for payment in (paid_first, paid_second)]
    assert sorted(replaced) == [False, True]
    assert refunded == [0 if bought else 1 for bought in replaced]
    assert_sound(desks[0].database, quiet=True)


async def test_a_late_payment_against_a_new_buyer_of_one_of_its_seats(desks: tuple[Desk, Desk], house: Staged) -> None:
    async def timed(work: Awaitable[object]) -> float:
        began = time.perf_counter()
        await work
        return time.perf_counter() - began

    won, slowest = set(), 0.0
    for n in range(ROUNDS):
        places = (3 * n, 3 * n + 1)
        booking, payment = await paid_late(desks[0], house, *places)
        desks[0].one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE id = :id", id=payment.id)
        (attempt,) = await desks[0].collector.take(1)

        async def buy(place: int, wait: float) -> Booking | None:
            await asyncio.sleep(wait)
            with suppress(Exception):
                return await desks[1].hold(house, place)
            return None

        # The payment's head start grows from none to twice what it has needed on this machine.
        carried_on = timed(desks[0].collector.carry_on(attempt))
        took, bought = await asyncio.gather(carried_on, buy(places[1], slowest * 2 * n / (ROUNDS - 1)))
        slowest = max(slowest, took)
        await desks[0].settle()

        late = desks[0].booking(booking).replaced_by is not None
        assert late != (bought is not None), "exactly one of them has the seat"
        assert [r.state for r in desks[0].refunds(payment)] == ([] if late else [RefundState.SUCCEEDED])
        won.add(late)
        assert_sound(desks[0].database, quiet=True)
    assert True in won, "the late payment was never the first: the race means nothing"


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
async def test_a_worker_that_comes_late_buys_nothing_with_money_that_went_back(
    desks: tuple[Desk, Desk], house: Staged, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """It was stopped after it heard of the money; meanwhile another found the seat taken, and now it is free again."""
    booking, payment = await paid_late(desks[0], house, 3)
    attempt, captured = await stopped_with_the_money(desks[0], payment)
    in_between = await desks[1].hold(house, 3)
    await desks[1].settle()
    assert desks[1].payment(payment).error_reason == "SEAT_TAKEN"
    await desks[1].cancel(in_between)
    if not guarded:
        monkeypatch.setattr(taking_back, "_require_pays_for", lambda *_: None)
        # The books would notice, too: they enter what a payment took once.
        desks[0].one("ALTER TABLE book_entries DROP CONSTRAINT pk_book_entries")

    await desks[0].collector.came_in(attempt, captured)

    found = desks[0].database.run_transaction(faults)
    if guarded:
        assert found == []
        assert desks[0].booking(booking).replaced_by is None
    else:
        assert any(fault.startswith("M1") for fault in found), "bought with money that was given back"


async def stopped_with_the_money(desk: Desk, payment: Payment) -> tuple[Attempt, Captured]:
    """A worker's view of a payment just after the provider said that it was captured."""
    desk.one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE id = :id", id=payment.id)
    (attempt,) = await desk.collector.take(1)
    captured = await desk.collector.find(attempt)
    assert isinstance(captured, Captured)
    desk.one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE id = :id", id=payment.id)
    return attempt, captured


async def test_two_workers_with_the_same_late_money_buy_once(
    desks: tuple[Desk, Desk], house: Staged, both_have_read: asyncio.Event
) -> None:
    booking, payment = await paid_late(desks[0], house, 3, 4)
    attempt, captured = await stopped_with_the_money(desks[0], payment)
    both_have_read.set()

    outcomes: list[Any] = await asyncio.gather(*(desk.collector.came_in(attempt, captured) for desk in desks))

    both_have_read.clear()
    assert outcomes == [None, None]
    await desks[0].settle()
    paid = desks[0].payment(payment)
    assert (paid.state, desks[0].refunds(payment)) == (PaymentState.SUCCEEDED, [])
    assert desks[0].booking(booking).state is BookingState.EXPIRED
    assert desks[0].one("SELECT count(*) FROM bookings WHERE replaces = :id", id=booking.id) == 1
    assert_sound(desks[0].database, quiet=True)
