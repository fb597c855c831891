"""Lines in Redis follow what is committed, and are never needed: lost, restored, or out of date, nobody is misled."""

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from server.db.engine import Database
from server.domain.waiting_room_entries import Entry
from server.embedded import ValkeyServer
from server.states import QueueEntryState
from server.waiting_room import index as index_module
from server.waiting_room import lines as lines_module
from server.waiting_room.index import LineIndex
from server.waiting_room.lines import Lines
from server.waiting_room.positions import Positions, member_of
from server.waiting_room.rooms import Rooms
from tests.invariants import assert_sound
from tests.lining import DRAW, HOUR, LineDesk
from tests.staging import Staged


@pytest.fixture
def desk(database: Database) -> LineDesk:
    return LineDesk(database)


@pytest.fixture
async def redis(fresh_valkey_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(fresh_valkey_url, socket_timeout=60) as client:
        yield client


@pytest.fixture
def index(redis: Redis, database: Database) -> LineIndex:
    return LineIndex(redis, database, "test")


async def positions(index: LineIndex, desk: LineDesk, house: Staged, entries: list[Entry]) -> list[int | None]:
    line_id = desk.room(house).line_id
    found = await asyncio.gather(*(index.find(line_id, member_of(one)) for one in entries))
    return [None if one is None else one.position for one in found]


async def synced(index: LineIndex, desk: LineDesk, house: Staged) -> None:
    assert await index.sync(house.performance_id, desk.room(house).line_id)


async def test_positions_are_ranks_and_only_their_customers(index: LineIndex, desk: LineDesk) -> None:
    house = desk.shut()
    entries = desk.join_many(house, 300)
    assert await positions(index, desk, house, entries) == [None] * 300

    await synced(index, desk, house)

    assert await positions(index, desk, house, entries) == list(range(1, 301))
    assert await index.find(desk.room(house).line_id, entries[3].id.bytes + uuid4().bytes) is None


async def test_what_changes_is_applied_and_not_built_anew(
    index: LineIndex, desk: LineDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = desk.shut(admit_count=20)
    entries = desk.join_many(house, 100)
    await synced(index, desk, house)
    monkeypatch.delattr(LineIndex, "_rebuild")

    entries += desk.join_many(house, 50)
    for gone in (entries.pop(120), entries.pop(70), entries.pop(0)):
        desk.leave(gone)
    desk.open_now(house)
    desk.step()
    await synced(index, desk, house)

    assert await positions(index, desk, house, entries) == [None] * 20 + list(range(1, 128))
    assert_sound(desk.database)


@pytest.mark.fault
async def test_after_flushall_the_line_is_built_anew_with_every_place(
    index: LineIndex, desk: LineDesk, redis: Redis, database: Database
) -> None:
    house = desk.shut(admit_count=10)
    entries = desk.join_many(house, 2500)
    desk.open_now(house)
    desk.step()
    await synced(index, desk, house)
    before = await positions(index, desk, house, entries)
    assert before == [None] * 10 + list(range(1, 2491))

    await redis.flushall()
    rooms = Rooms(database, index)
    # Whoever asks for the room has it looked at; a thousand callers cause one rebuilding.
    await asyncio.gather(*(rooms.view(house.performance_id) for _ in range(1000)))
    async with asyncio.timeout(60):
        while await positions(index, desk, house, entries[-1:]) != [2490]:
            await rooms.view(house.performance_id, fresh=True)
    await rooms.close()

    assert await positions(index, desk, house, entries) == before
    desk.next_cycle(house)
    desk.step()
    assert [sum(cycle == number for cycle, _ in desk.admitted(house)) for number in (1, 2)] == [10, 10]
    assert_sound(desk.database)


async def test_a_line_that_knows_more_than_the_database_is_built_anew(
    index: LineIndex, desk: LineDesk, redis: Redis
) -> None:
    house = desk.shut()
    entries = desk.join_many(house, 10)
    await synced(index, desk, house)
    # As after a restore of a backup: what was joined since is gone.
    desk.run(
        "DELETE FROM queue_entries WHERE performance_id = :id AND place > :place",
        id=house.performance_id,
        place=entries[6].place,
    )
    desk.run(
        "UPDATE waiting_rooms SET revision = 0, joined_count = 7, waiting_count = 7 WHERE performance_id = :id",
        id=house.performance_id,
    )
    desk.run("UPDATE queue_entries SET revision = 0 WHERE performance_id = :id", id=house.performance_id)

    await synced(index, desk, house)

    assert await positions(index, desk, house, entries) == [*range(1, 8), None, None, None]


async def test_two_processes_that_follow_at_once_agree(
    redis: Redis, desk: LineDesk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_PIECE", 400)
    pair = LineIndex(redis, database, "test"), LineIndex(redis, database, "test")
    house = desk.shut()
    entries: list[Entry] = []
    chance = random.Random(7)
    for _ in range(12):
        entries += desk.join_many(house, chance.randint(1, 60))
        for _ in range(chance.randint(0, 5)):
            desk.leave(entries.pop(chance.randrange(len(entries))))
        if chance.random() < 0.2:
            await redis.flushall()
        line_id = desk.room(house).line_id
        await asyncio.gather(*(one.sync(house.performance_id, line_id) for one in (*pair, *pair)))
    for one in pair:
        await synced(one, desk, house)
        assert await positions(one, desk, house, entries) == list(range(1, len(entries) + 1))


async def test_another_order_is_another_line(index: LineIndex, desk: LineDesk) -> None:
    house = desk.shut()
    entries = desk.join_many(house, 200)
    await synced(index, desk, house)
    old = desk.room(house).line_id

    desk.change(house, order=DRAW)
    await synced(index, desk, house)

    drawn = await positions(index, desk, house, entries)
    assert sorted(drawn, key=lambda one: one or 0) == list(range(1, 201))
    assert drawn != list(range(1, 201))
    assert desk.room(house).line_id != old


@pytest.mark.fault
async def test_without_redis_positions_come_from_memory(
    desk: LineDesk, database: Database, private_valkey: ValkeyServer
) -> None:
    house = desk.shut()
    entries = desk.join_many(house, 500)
    async with Redis.from_url(private_valkey.url(), socket_timeout=60) as redis:
        index, lines = LineIndex(redis, database, "test"), Lines(database)
        await synced(index, desk, house)
        private_valkey.kill()

        assert await positions(index, desk, house, entries[:3]) == [None] * 3
        assert not await index.sync(house.performance_id, desk.room(house).line_id)
        in_memory = Positions(index, lines)
        assert await in_memory.find(house.performance_id, member_of(entries[0])) is None
        found = await asyncio.gather(*(in_memory.of_entry(one) for one in entries))
        assert list(found) == list(range(1, 501))
        # From then on it need not be read.
        assert await in_memory.find(house.performance_id, member_of(entries[0])) == 1

        # It comes back empty: the next look builds the line anew.
        private_valkey.start()
        async with asyncio.timeout(60):
            while not await index.sync(house.performance_id, desk.room(house).line_id):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
        assert await positions(index, desk, house, entries) == list(range(1, 501))


async def test_lines_in_memory_follow_what_changes(
    index: LineIndex, desk: LineDesk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "SETTLE", HOUR.total_seconds())
    house = desk.shut(admit_count=5)
    entries = desk.join_many(house, 50)
    lines = Lines(database)
    positions = Positions(index, lines)
    last = member_of(entries[49])
    assert positions.at_hand(house.performance_id, last) is None
    assert await positions.find(house.performance_id, last) == 50
    assert positions.at_hand(house.performance_id, last) == 50
    desk.leave(entries[10])
    desk.open_now(house)
    desk.step()

    await lines.current(house.performance_id, fresh=True)

    assert positions.at_hand(house.performance_id, last) == 44
    assert positions.at_hand(house.performance_id, member_of(entries[4])) is None
    assert await positions.find(house.performance_id, member_of(entries[4])) is None
    assert desk.get(entries[4]).state is QueueEntryState.ADMITTED
    # Who joins now is found, though the line was read before.
    (late,) = desk.join(house, uuid4())
    assert await positions.of_entry(late) == 45
    await lines.close()


async def test_a_line_in_memory_that_is_too_old_answers_nobody(
    desk: LineDesk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "SETTLE", HOUR.total_seconds())
    house = desk.shut()
    (entry,) = desk.join_many(house, 1)
    lines = Lines(database)
    known = await lines.current(house.performance_id)
    assert known is not None
    known.remember(member_of(entry), entry.place)
    assert lines.at_hand(house.performance_id) is known
    known.read_at -= HOUR.total_seconds()
    assert lines.at_hand(house.performance_id) is None
    desk.leave(entry)
    again = await lines.current(house.performance_id)
    assert again is not None
    assert again.position(member_of(entry)) is None
    await lines.close()
