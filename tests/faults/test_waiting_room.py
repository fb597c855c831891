"""kill -9 of a worker at any line while it moves a line, and of Redis: nobody is lost, nobody too many is admitted."""

from collections import Counter
from pathlib import Path

import pytest
import redis

from server.config import Settings
from server.db.engine import Database
from server.embedded import ValkeyServer
from server.states import QueueEntryState
from tests.eventually import eventually
from tests.invariants import assert_sound
from tests.lining import HOUR, LineDesk
from tests.staging import Staged
from tests.struck_workers import Workers, settings_of_workers

pytestmark = pytest.mark.fault

UNCOMMITTED = [
    "line is locked, nobody admitted",
    "customers are admitted, nobody told",
    "interval is written down, not the next look",
    "step of a line is made, not committed",
]
COMMITTED = ["step of a line was committed", "Redis was told of a step"]


@pytest.fixture
def settings(database_url: str, fresh_valkey_url: str, tmp_path: Path) -> Settings:
    return settings_of_workers(database_url, fresh_valkey_url, tmp_path)


@pytest.fixture
def desk(database: Database) -> LineDesk:
    return LineDesk(database)


def told(desk: LineDesk, house: Staged) -> int:
    """How many customers were told that they are admitted."""
    query = "SELECT count(*) FROM notifications WHERE performance_id = :id AND kind = 11"
    return int(desk.run(query, id=house.performance_id)[0][0])


@pytest.mark.promise("2.6")
@pytest.mark.mistake("two customers lost between queue and token when the worker dies")
@pytest.mark.parametrize("point", [*UNCOMMITTED, *COMMITTED])
async def test_killed_while_it_admits(desk: LineDesk, workers: Workers, point: str) -> None:
    house = desk.shut(admit_count=10, admit_interval=HOUR)
    entries = desk.join_many(house, 25)
    desk.open_now(house)

    await workers.die(point)
    assert_sound(desk.database)
    assert len(desk.admitted(house)) == told(desk, house) == (0 if point in UNCOMMITTED else 10)
    async with workers.at_work():
        await eventually(lambda: len(desk.admitted(house)) == 10, 60)

    states = [desk.get(entry).state for entry in entries]
    assert states == [QueueEntryState.ADMITTED] * 10 + [QueueEntryState.WAITING] * 15
    assert told(desk, house) == 10
    assert desk.room(house).waiting_count == 15
    assert_sound(desk.database)


@pytest.mark.promise("2.6")
async def test_two_workers_of_which_one_is_killed_admit_no_more_than_each_interval_allows(
    desk: LineDesk, workers: Workers
) -> None:
    house = desk.shut(admit_count=5, admit_interval=HOUR)
    entries = desk.join_many(house, 30)
    desk.open_now(house)
    async with workers.at_work():
        for interval, point in enumerate(("step of a line was committed", "line is locked, nobody admitted", ""), 1):
            await eventually(lambda so_far=5 * interval: len(desk.admitted(house)) == so_far, 60)  # type: ignore[misc]
            if point:
                async with workers.at_work(point):
                    desk.next_cycle(house)
                    await eventually(
                        lambda so_far=5 * (interval + 1): len(desk.admitted(house)) == so_far,  # type: ignore[misc]
                        60,
                    )
    assert Counter(cycle for cycle, _ in desk.admitted(house)) == {1: 5, 2: 5, 3: 5}
    assert [entry for _, entry in desk.admitted(house)] == [entry.id for entry in entries[:15]]
    assert_sound(desk.database)


@pytest.mark.promise("2.6")
async def test_all_that_redis_had_is_lost_and_the_line_moves_on(desk: LineDesk, workers: Workers) -> None:
    house = desk.shut(admit_count=3, admit_interval=HOUR)
    entries = desk.join_many(house, 9)
    async with workers.at_work():
        desk.open_now(house)
        await eventually(lambda: len(desk.admitted(house)) == 3, 60)
        with redis.Redis.from_url(workers.settings.redis_url) as client:
            client.flushall()
        desk.next_cycle(house)
        await eventually(lambda: len(desk.admitted(house)) == 6, 60)
    assert [entry for _, entry in desk.admitted(house)] == [entry.id for entry in entries[:6]]
    assert_sound(desk.database)


async def test_without_redis_workers_move_lines_by_themselves(
    desk: LineDesk, workers: Workers, private_valkey: ValkeyServer
) -> None:
    house = desk.shut(admit_count=3, admit_interval=HOUR)
    desk.join_many(house, 9)
    async with workers.with_settings(redis_url=private_valkey.url()).at_work():
        private_valkey.kill()
        desk.open_now(house)
        await eventually(lambda: len(desk.admitted(house)) == 3, 60)
    assert_sound(desk.database)
