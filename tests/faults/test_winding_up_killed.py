"""kill -9 of the worker that winds a cancelled performance up, between any two of its statements.

Whatever was begun is gone on with: every booking ends once, every payment goes back once, and what cannot be ended by
itself is counted for staff.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from server.config import Settings
from server.db.engine import Database
from server.domain import cancellation, cancellation_progress
from server.seats.commands import Confirm
from server.states import BookingState, ConfirmedBy
from tests.eventually import eventually
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage
from tests.struck_workers import Workers, settings_of_workers

pytestmark = pytest.mark.fault

STAFF = UUID(int=7)
PAID, HELD, CASH = 4, 3, 2


@pytest.fixture
def settings(fresh_database_url: str, fresh_valkey_url: str, tmp_path: Path) -> Settings:
    return settings_of_workers(fresh_database_url, fresh_valkey_url, tmp_path)


@pytest.fixture
async def desk(fresh_database: Database) -> AsyncIterator[Desk]:
    async with desk_on(fresh_database) as desk:
        yield desk


@pytest.fixture
def house(fresh_database: Database) -> Staged:
    return fresh_database.run_transaction(stage)


async def cancelled(desk: Desk, house: Staged) -> None:
    """A performance with bookings of every kind, cancelled by a process that died at once."""
    for place in range(PAID):
        await desk.captured(await desk.hold(house, place))
    await desk.settle()
    for place in range(CASH):
        booking = await desk.hold(house, 10 + place)
        await desk.ledger.execute(
            Confirm(
                performance_id=booking.performance_id,
                booking_id=booking.id,
                actor_id=STAFF,
                staff=True,
                confirmed_by=ConfirmedBy.CASH,
            )
        )
    for place in range(HELD):
        await desk.hold(house, 20 + place)
    desk.database.run_transaction(lambda s: cancellation.cancel(s, house.performance_id, "", "flood"))
    leases_run_out(desk)


def leases_run_out(desk: Desk) -> None:
    desk.one("UPDATE performances SET wind_up_time = now() WHERE wind_up_time IS NOT NULL")
    desk.one("UPDATE refunds SET next_attempt_time = now() WHERE next_attempt_time IS NOT NULL")


def progress(desk: Desk, house: Staged) -> cancellation_progress.Progress:
    return desk.database.run_transaction(lambda s: cancellation_progress.of_performance(s, house.performance_id))


@pytest.mark.promise("1.9")
@pytest.mark.parametrize(
    "point",
    [
        "winding up is taken up, not committed",
        "winding up was taken up",
        "bookings to end were read, not committed",
        "ledger is about to commit",
        "ledger has committed",
        "a booking was ended",
        "winding up is finished, not committed",
        "refund is taken up, not committed",
        "provider has answered the refund",
        "refund is written down, not committed",
    ],
)
async def test_killed_while_it_winds_a_performance_up(desk: Desk, house: Staged, workers: Workers, point: str) -> None:
    await cancelled(desk, house)
    before = progress(desk, house)
    assert (before.bookings, before.bookings_left, before.finished) == (PAID + HELD + CASH, PAID + HELD + CASH, False)

    await workers.die(point)
    assert_sound(desk.database)
    leases_run_out(desk)
    async with workers.at_work():
        await eventually(lambda: progress(desk, house).finished, 60)

    after = progress(desk, house)
    (tally,) = after.refunds
    assert (after.bookings_left, tally.done, tally.done_amount, tally.due, tally.failed) == (0, PAID, PAID * 2500, 0, 0)
    assert [(due.amount, due.currency) for due in after.cash_due] == [(CASH * 2500, "EUR")]
    states = "SELECT array_agg(DISTINCT state) FROM bookings WHERE performance_id = :id"
    assert desk.one(states, id=house.performance_id) == [BookingState.CANCELLED]
    assert desk.one("SELECT count(*) FROM simulator_refunds") == PAID
    assert desk.one("SELECT available = total FROM inventories WHERE performance_id = :id", id=house.performance_id)
    assert_sound(desk.database, quiet=True)
