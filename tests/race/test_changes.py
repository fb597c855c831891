"""Readers of the log of changes beside writers whose transactions overlap: nobody misses anything.

The control reads by the number that a row is written with, as one might think of first, and misses what commits late.
"""

import asyncio
import random
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from server.db.engine import Database
from tests.invariants import assert_sound
from tests.partnering import PostOffice
from tests.staging import Staged, stage

pytestmark = pytest.mark.race

WRITERS = 6
CHANGES = 25


@pytest.fixture
def houses(fresh_database: Database) -> list[Staged]:
    return [fresh_database.run_transaction(stage) for _ in range(WRITERS)]


@pytest.fixture
def offices(fresh_database: Database) -> Iterator[tuple[PostOffice, PostOffice]]:
    """Two workers, each with connections of its own."""
    other = Database(fresh_database.url)
    yield PostOffice(fresh_database), PostOffice(other)
    other.close()
    assert_sound(fresh_database)


async def write(database: Database, house: Staged, chance: random.Random) -> None:
    """Changes one after another, each with some time between its statement and its commit."""
    for number in range(CHANGES):
        wait = chance.uniform(0, 0.02)

        def work(session: Session, number: int = number, wait: float = wait) -> None:
            session.execute(
                text("UPDATE performances SET hall = :hall WHERE id = :id"),
                {"hall": str(number), "id": house.performance_id},
            )
            session.execute(text("SELECT pg_sleep(:wait)"), {"wait": wait})

        await database.transaction(work)


async def follow(read: Callable[[int], list[tuple[int, str]]], ended: asyncio.Event) -> list[str]:
    """What a reader sees who asks again and again for what is behind the last thing that it saw."""
    seen: list[str] = []
    last = 0
    while True:
        over = ended.is_set()
        for mark, what in await asyncio.to_thread(read, last):
            seen.append(what)
            last = mark
        if over:
            return seen
        await asyncio.sleep(0)


async def test_who_follows_by_position_sees_everything_once_and_in_order(
    fresh_database: Database, houses: list[Staged], offices: tuple[PostOffice, PostOffice]
) -> None:
    office, other = offices
    written, placed = asyncio.Event(), asyncio.Event()

    async def place(one: PostOffice) -> None:
        while not written.is_set():
            await one.deliverer.place()
        await one.deliverer.place()

    def read(after: int) -> list[tuple[int, str]]:
        found = office.log(after)
        return [(change.position or 0, f"{change.performance_id}/{change.data['hall']}") for change in found]

    async def write_all() -> None:
        chance = random.Random(5)
        await asyncio.gather(*(write(fresh_database, house, chance) for house in houses))
        written.set()

    async def place_all() -> None:
        await asyncio.gather(place(office), place(other))
        placed.set()

    _, _, seen = await asyncio.gather(write_all(), place_all(), follow(read, placed))

    for house in houses:
        mine = [what for what in seen if what.startswith(f"{house.performance_id}/")]
        assert mine == [f"{house.performance_id}/{hall}" for hall in ["", *range(CHANGES)]]


async def test_control_who_follows_by_number_misses_what_commits_late(
    fresh_database: Database, houses: list[Staged]
) -> None:
    written = asyncio.Event()

    def read(after: int) -> list[tuple[int, str]]:
        query = text("SELECT id, performance_id || '/' || (data->>'hall') FROM changes WHERE id > :after ORDER BY id")
        rows = fresh_database.run_transaction(lambda session: session.execute(query, {"after": after}).all())
        return [(row[0], row[1]) for row in rows]

    async def write_all() -> None:
        chance = random.Random(5)
        await asyncio.gather(*(write(fresh_database, house, chance) for house in houses))
        written.set()

    _, seen = await asyncio.gather(write_all(), follow(read, written))

    assert len(seen) < WRITERS * (CHANGES + 1), "the race did not happen"
