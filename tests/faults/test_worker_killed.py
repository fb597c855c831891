"""kill -9 of a worker between any two of its statements: the next worker brings everything to its end, once.

After each, captured money has a confirmed booking or a refund, the provider's books equal ours, and no seat is held by
anybody who is gone.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from server.config import Settings
from server.db.engine import Database
from server.embedded import PostgresServer, ValkeyServer
from server.payments.collecting import Patience
from server.states import BookingState, PaymentState, RefundState, SimulatedOutcome
from tests.eventually import eventually
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage
from tests.struck_workers import Workers, settings_of_workers

pytestmark = pytest.mark.fault

WHILE_TAKING_MONEY = [
    "payment is taken up, not committed",
    "payment was taken up",
    "provider has created",
    "creation is written down, not committed",
    "creation was written down",
    "provider has answered the capture",
    "ledger is about to commit",
    "ledger has committed",
    "confirmation was delivered",
]
WHILE_GIVING_IT_BACK = [
    "refund is taken up, not committed",
    "refund was taken up",
    "provider has answered the refund",
    "refund is written down, not committed",
]
WHILE_EXPIRING = ["run-out holds were found", "ledger is about to commit", "ledger has committed"]


@pytest.fixture
def settings(database_url: str, fresh_valkey_url: str, tmp_path: Path) -> Settings:
    return settings_of_workers(database_url, fresh_valkey_url, tmp_path)


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    async with desk_on(database) as desk:
        yield desk


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


async def another_takes_over(desk: Desk) -> None:
    """The dead worker's leases run out, and another works."""
    for table in ("payments", "refunds"):
        desk.one(f"UPDATE {table} SET next_attempt_time = clock_timestamp() WHERE next_attempt_time IS NOT NULL")
    await desk.settle()


@pytest.mark.parametrize("point", WHILE_TAKING_MONEY)
async def test_killed_while_it_takes_money(desk: Desk, house: Staged, workers: Workers, point: str) -> None:
    booking = await desk.hold(house, 3, 4)
    payment = await desk.captured(booking)

    await workers.die(point)
    assert_sound(desk.database)
    await another_takes_over(desk)

    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    assert desk.booking(booking).state is BookingState.CONFIRMED
    assert desk.one("SELECT count(*) FROM tickets WHERE booking_id = :id", id=booking.id) == 2
    assert_sound(desk.database, quiet=True)


@pytest.mark.parametrize(
    ("outcome", "ends_as"),
    [
        (SimulatedOutcome.DECLINE, PaymentState.FAILED),
        (SimulatedOutcome.TIMEOUT_BEFORE, PaymentState.SUCCEEDED),
        (SimulatedOutcome.TIMEOUT_AFTER, PaymentState.SUCCEEDED),
    ],
)
async def test_killed_while_it_writes_down_that_no_money_came(
    desk: Desk, house: Staged, workers: Workers, outcome: SimulatedOutcome, ends_as: PaymentState
) -> None:
    declined = outcome is SimulatedOutcome.DECLINE
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking, outcome)

    await workers.die(f"{'decline' if declined else 'silence'} is written down, not committed")
    assert desk.payment(payment).state is PaymentState.PROCESSING
    assert desk.booking(booking).payment_id == payment.id
    await another_takes_over(desk)

    assert desk.payment(payment).state is ends_as
    assert_sound(desk.database, quiet=True)


async def test_killed_while_it_gives_back_what_came_too_late(
    database: Database, house: Staged, workers: Workers
) -> None:
    patience = Patience(call=timedelta(seconds=60), first_wait=timedelta(milliseconds=10), longest_hold=timedelta(0))
    async with desk_on(database, patience=patience) as desk:
        booking = await desk.hold(house, 3)
        payment = await desk.captured(booking, SimulatedOutcome.TIMEOUT_AFTER)
        await desk.carry_on()
        desk.let_time_pass(booking)
        await desk.expire(booking)
        await desk.hold(house, 3)

        await workers.die("vain money is written down, not committed")
        assert desk.payment(payment).state is PaymentState.UNKNOWN
        await another_takes_over(desk)

        assert [refund.state for refund in desk.refunds(payment)] == [RefundState.SUCCEEDED]
        assert desk.booking(booking).state is BookingState.EXPIRED
    assert_sound(database, quiet=True)


@pytest.mark.parametrize("point", WHILE_GIVING_IT_BACK)
async def test_killed_while_it_gives_money_back(desk: Desk, house: Staged, workers: Workers, point: str) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    await desk.settle()
    await desk.cancel(booking)

    await workers.die(point)
    assert_sound(desk.database)
    await another_takes_over(desk)

    assert [(refund.state, refund.amount) for refund in desk.refunds(payment)] == [(RefundState.SUCCEEDED, 2500)]
    assert desk.one("SELECT count(*) FROM simulator_refunds WHERE payment_id = :id", id=payment.id) == 1
    assert_sound(desk.database, quiet=True)


@pytest.mark.parametrize("point", WHILE_EXPIRING)
async def test_killed_while_it_expires_holds(desk: Desk, house: Staged, workers: Workers, point: str) -> None:
    bookings = [await desk.hold(house, place) for place in range(5)]
    for booking in bookings:
        desk.let_time_pass(booking)

    await workers.die(point)
    assert_sound(desk.database)
    async with workers.at_work():
        held = "SELECT held FROM inventories WHERE performance_id = :id"
        await eventually(lambda: desk.one(held, id=house.performance_id) == 0, 60)

    assert {desk.booking(booking).state for booking in bookings} == {BookingState.EXPIRED}
    await desk.hold(house, *range(4))
    assert_sound(desk.database)


async def test_a_new_worker_takes_over_by_itself(desk: Desk, house: Staged, workers: Workers) -> None:
    booking = await desk.hold(house, 3)
    await desk.captured(booking)
    await workers.die("provider has answered the capture")

    async with workers.at_work():
        await eventually(lambda: desk.booking(booking).state is BookingState.CONFIRMED)

    assert_sound(desk.database, quiet=True)


@pytest.mark.parametrize("point", ["payment was taken up", "provider has answered the capture", "ledger has committed"])
async def test_stopped_for_so_long_that_another_took_over_and_then_continued(
    desk: Desk, house: Staged, workers: Workers, point: str
) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    async with workers.at_work(point, signal.SIGSTOP) as stopped:
        await eventually(lambda: is_stopped(stopped), 60)
        await another_takes_over(desk)
        assert desk.booking(booking).state is BookingState.CONFIRMED
        await desk.cancel(booking)

        os.kill(stopped, signal.SIGCONT)
        await asyncio.sleep(0.5)

        await eventually(lambda: not desk.is_due_some_time())
    assert [refund.state for refund in desk.refunds(payment)] == [RefundState.SUCCEEDED]
    assert desk.booking(booking).state is BookingState.CANCELLED
    assert_sound(desk.database, quiet=True)


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped by a signal."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.mistake("one lost timer message holds seats for ever")
async def test_all_messages_lost_costs_nothing(desk: Desk, house: Staged, workers: Workers) -> None:
    booking, late = await desk.hold(house, 3), await desk.hold(house, 4)
    async with workers.at_work():
        desk.let_time_pass(late)
        await desk.captured(booking)
        with redis.Redis.from_url(workers.settings.redis_url) as client:
            client.flushall()
        await eventually(lambda: desk.booking(booking).state is BookingState.CONFIRMED, 60)
        await eventually(lambda: desk.one("SELECT state FROM bookings WHERE id = :id", id=late.id) == 4, 60)


async def test_without_redis_workers_look_by_themselves(
    desk: Desk, house: Staged, workers: Workers, private_valkey: ValkeyServer
) -> None:
    booking, late = await desk.hold(house, 3), await desk.hold(house, 4)
    async with workers.with_settings(redis_url=private_valkey.url()).at_work():
        private_valkey.kill()
        desk.let_time_pass(late)
        await desk.captured(booking)
        await eventually(lambda: desk.booking(booking).state is BookingState.CONFIRMED, 60)
        await eventually(lambda: desk.one("SELECT state FROM bookings WHERE id = :id", id=late.id) == 4, 60)


async def test_a_database_that_dies_and_comes_back_finds_its_worker_alive(
    private_postgres: PostgresServer, workers: Workers
) -> None:
    url = private_postgres.url("rowlock")
    database = Database(url)
    house = database.run_transaction(stage)
    async with desk_on(database) as desk:
        booking = await desk.hold(house, 3)
        async with workers.with_settings(database_url=url).at_work():
            first = await desk.captured(await desk.hold(house, 4))
            await eventually(lambda: desk.payment(first).state is PaymentState.SUCCEEDED, 60)
            private_postgres.kill()
            await asyncio.sleep(1)
            private_postgres.start()
            database.engine.dispose()
            await desk.captured(booking)
            await eventually(lambda: desk.booking(booking).state is BookingState.CONFIRMED, 60)
    assert_sound(database, quiet=True)
    database.close()
