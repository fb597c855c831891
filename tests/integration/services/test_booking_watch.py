"""Streams of bookings go on, whatever happens to one look at the database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from server.db.engine import Database
from server.seats.commands import Cancel, Claim, Hold
from server.seats.ledger import Ledger
from server.services.booking_watch import BookingWatch
from server.states import BookingState
from tests.eventually import eventually
from tests.staging import stage


@pytest.fixture
async def ledger(fresh_database: Database) -> AsyncIterator[Ledger]:
    ledger = Ledger(fresh_database, lambda _: None)
    yield ledger
    await ledger.close()


def execute(database: Database, statement: str) -> None:
    database.run_transaction(lambda session: session.execute(text(statement)))


async def test_a_look_that_fails_for_any_reason_is_made_up_for_by_the_next(
    fresh_database: Database, ledger: Ledger
) -> None:
    house = fresh_database.run_transaction(stage)
    anna = uuid4()
    on: dict[str, Any] = {"performance_id": house.performance_id, "actor_id": anna}
    booking = await ledger.execute(Hold(**on, customer_id=anna, claims=(Claim(1),)))

    with BookingWatch(fresh_database, interval=0.05).watching(booking) as watcher, capture_logs() as logs:
        execute(fresh_database, "ALTER TABLE bookings RENAME TO elsewhere")
        await eventually(lambda: any(line["event"] == "booking_watch.look_failed" for line in logs))
        execute(fresh_database, "ALTER TABLE elsewhere RENAME TO bookings")
        await ledger.execute(Cancel(**on, booking_id=booking.id))

        async with asyncio.timeout(60):
            assert (await watcher.change()).state is BookingState.CANCELLED
