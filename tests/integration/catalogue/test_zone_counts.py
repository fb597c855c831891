"""Counts by zone that are kept up to date from the log equal a full count, always."""

import random
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import delete, select

from server.db.engine import Database
from server.db.models.inventory import SeatChange
from server.domain import availability
from server.domain.availability import Availability
from server.domain.zone_counts import ZoneCounts
from server.seats.commands import Block, Cancel, Claim, Hold, Unblock
from server.seats.halls import Halls
from server.seats.ledger import Ledger
from server.states import SeatState
from tests.invariants import assert_sound
from tests.staging import Staged, hall_document, stage


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Ledger]:
    ledger = Ledger(database, lambda _published: None)
    yield ledger
    await ledger.close()


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(lambda session: stage(session, hall_document(standing=20)))


class Reader:
    """Asks as a server process does, with a memory of its own."""

    def __init__(self, database: Database, house: Staged) -> None:
        self._database = database
        self._house = house
        self._halls, self.counts = Halls(), ZoneCounts()

    async def read(self) -> Availability:
        return await self._database.read(
            lambda session: availability.availability(
                session, self._house.performance_id, staff=False, halls=self._halls, zone_counts=self.counts
            )
        )


async def hold(ledger: Ledger, house: Staged, *places: int) -> Cancel:
    customer = uuid4()
    claims = tuple(Claim(place) for place in places)
    made = await ledger.execute(
        Hold(performance_id=house.performance_id, customer_id=customer, actor_id=customer, claims=claims)
    )
    return Cancel(performance_id=house.performance_id, booking_id=made.id, actor_id=customer)


@pytest.mark.promise("3.4")
async def test_counts_from_the_log_equal_a_full_count(database: Database, ledger: Ledger, house: Staged) -> None:
    chance = random.Random(4)
    reader = Reader(database, house)
    held: list[Cancel] = []
    blocked: list[int] = []
    free = list(range(len(house.hall)))
    for _ in range(120):
        if held and chance.random() < 0.4:
            ended = held.pop(chance.randrange(len(held)))
            free += (await ledger.execute(ended)).places
        elif blocked and chance.random() < 0.3:
            place = blocked.pop()
            await ledger.execute(Unblock(performance_id=house.performance_id, places=(place,), actor_id=None))
            free.append(place)
        elif len(free) > 4:
            chance.shuffle(free)
            if chance.random() < 0.2:
                blocked.append(free.pop())
                await ledger.execute(Block(performance_id=house.performance_id, places=(blocked[-1],), actor_id=None))
            else:
                held.append(await hold(ledger, house, free.pop(), free.pop()))
        if chance.random() < 0.5:
            now, whole = await reader.read(), await Reader(database, house).read()
            assert now.zones == whole.zones
            assert now.inventory.revision == whole.inventory.revision
            for state, number in (
                (SeatState.AVAILABLE, now.inventory.available),
                (SeatState.HELD, now.inventory.held),
                (SeatState.BLOCKED, now.inventory.blocked),
            ):
                assert sum(counts[state] for counts in now.zones.values()) == number
    assert_sound(database)


async def test_where_the_log_was_trimmed_all_places_are_counted(
    database: Database, ledger: Ledger, house: Staged
) -> None:
    reader = Reader(database, house)
    await reader.read()
    await hold(ledger, house, 0, 1)
    await hold(ledger, house, 55)
    first = select(SeatChange.revision).where(SeatChange.performance_id == house.performance_id).limit(1)
    database.run_transaction(
        lambda session: session.execute(
            delete(SeatChange).where(
                SeatChange.performance_id == house.performance_id, SeatChange.revision == session.scalar(first)
            )
        )
    )
    zones = (await reader.read()).zones
    assert (zones["Stalls"][SeatState.HELD], zones["Floor"][SeatState.HELD]) == (2, 1)
