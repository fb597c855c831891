"""WatchQueueEntry: a place in line as it moves up, is admitted, and is used."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from rowlock.v1 import auth_pb2
from rowlock.v1 import waiting_room_pb2 as pb
from rowlock.v1.stream_pb2 import Reconnect
from server import clock
from tests.rpc.auth.conftest import Person, refusal
from tests.rpc.waiting_room.conftest import LONG, WaitingHouse
from tests.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAITING, ADMITTED, USED = pb.QueueEntry.WAITING, pb.QueueEntry.ADMITTED, pb.QueueEntry.USED


class Stream:
    """One customer's stream."""

    def __init__(self, waiting: WaitingHouse, entry: pb.QueueEntry, who: Person) -> None:
        self.call: Any = waiting.queue.WatchQueueEntry(
            pb.WatchQueueEntryRequest(name=entry.name), metadata=who.token, timeout=60
        )
        self.heartbeats = 0

    async def next(self) -> pb.WatchQueueEntryResponse:
        """The next message but heartbeats."""
        async with asyncio.timeout(60):
            while True:
                message: pb.WatchQueueEntryResponse = await self.call.read()
                if not message.HasField("heartbeat"):
                    return message
                self.heartbeats += 1

    async def until(self, wanted: Callable[[pb.QueueEntry], bool]) -> list[pb.QueueEntry]:
        """Read until an entry is as wanted; returns all that came."""
        found: list[pb.QueueEntry] = []
        while not found or not wanted(found[-1]):
            found.append((await self.next()).queue_entry)
        return found


async def shut(waiting: WaitingHouse, house: Staged, count: int = 1) -> None:
    await waiting.open(house, count, open_time=clock.now() + LONG)


@pytest.mark.promise("2.6", "2.8")
async def test_a_place_is_watched_from_the_end_of_the_line_to_the_booking(waiting: WaitingHouse, house: Staged) -> None:
    await shut(waiting, house)
    people = [await waiting.customer() for _ in range(3)]
    entries = [await waiting.join(house, one) for one in people]
    stream = Stream(waiting, entries[2], people[2])
    first = (await stream.next()).queue_entry
    assert (first.state, first.position, first.name) == (WAITING, 3, entries[2].name)
    assert first.HasField("estimated_wait")

    await waiting.leave(entries[0], people[0])
    assert (await stream.until(lambda entry: entry.position == 2))[-1].state == WAITING
    await waiting.change(house, "open_time", admit_count=2, admit_interval=LONG)
    seen = await stream.until(lambda entry: entry.state == ADMITTED)
    assert (seen[-1].position, bool(seen[-1].admission_token)) == (0, True)
    booking = await waiting.book(house, people[2], "Stalls-A-1", seen[-1].admission_token)
    assert (await stream.until(lambda entry: entry.state == USED))[-1].booking == booking.name
    assert (await stream.next()).reconnect.reason == Reconnect.FINISHED


async def test_an_idle_stream_says_that_it_lives_and_an_ended_place_that_it_is_over(
    waiting: WaitingHouse, house: Staged
) -> None:
    await shut(waiting, house)
    anna = await waiting.customer()
    entry = await waiting.join(house, anna)
    stream = Stream(waiting, entry, anna)
    await stream.next()
    assert (await asyncio.wait_for(stream.call.read(), 60)).HasField("heartbeat")
    await waiting.leave(entry, anna)
    assert (await stream.until(lambda seen: seen.state == pb.QueueEntry.LEFT))[-1].name == entry.name
    assert (await stream.next()).reconnect.reason == Reconnect.FINISHED
    after = Stream(waiting, entry, anna)
    assert (await after.next()).queue_entry.state == pb.QueueEntry.LEFT
    assert (await after.next()).reconnect.reason == Reconnect.FINISHED


async def test_nobody_watches_anybody_elses_place(waiting: WaitingHouse, house: Staged) -> None:
    await shut(waiting, house)
    anna, bob = await waiting.customer(), await waiting.customer()
    entry = await waiting.join(house, anna)
    call: Any = waiting.queue.WatchQueueEntry(pb.WatchQueueEntryRequest(name=entry.name), metadata=bob.token)
    assert (await refusal(call.read())).code == "NOT_FOUND"


async def test_a_stream_ends_with_its_session(waiting: WaitingHouse, house: Staged) -> None:
    await shut(waiting, house)
    anna = await waiting.customer()
    stream = Stream(waiting, await waiting.join(house, anna), anna)
    await stream.next()

    await waiting.client.auth.LogOut(auth_pb2.LogOutRequest(refresh_token=anna.refresh))

    assert (await stream.next()).reconnect.reason == Reconnect.TOKEN


async def test_an_admission_that_runs_out_is_told(waiting: WaitingHouse, house: Staged) -> None:
    await waiting.open(house, 1)
    anna = await waiting.customer()
    entry = await waiting.admitted(house, anna)
    stream = Stream(waiting, entry, anna)
    assert (await stream.next()).queue_entry.state == ADMITTED

    waiting.database.run_transaction(
        lambda session: session.connection().exec_driver_sql(
            "UPDATE queue_entries SET admission_expire_time = clock_timestamp() "
            f"WHERE performance_id = {house.performance_id}"
        )
    )

    seen = await stream.until(lambda one: one.state == pb.QueueEntry.EXPIRED)
    assert not seen[-1].admission_token
    assert (await stream.next()).reconnect.reason == Reconnect.FINISHED


async def test_many_watchers_of_many_lines_cost_as_many_statements_as_one(
    waiting: WaitingHouse, another_server: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look of a second: so many statements for a line, however many watch it."""
    from server.waiting_room import watching  # noqa: PLC0415 - only to listen to what it runs

    looked: list[int] = []
    read = watching._read

    def counting(session: Any, *arguments: Any) -> Any:
        statements = 0

        def count(*_: Any) -> None:
            nonlocal statements
            statements += 1

        event.listen(session.connection(), "before_cursor_execute", count)
        try:
            return read(session, *arguments)
        finally:
            event.remove(session.connection(), "before_cursor_execute", count)
            looked.append(statements)

    monkeypatch.setattr(watching, "_read", counting)
    house = waiting.stage()
    await shut(waiting, house)
    people = [await waiting.customer() for _ in range(20)]
    entries = [await waiting.join(house, one) for one in people]

    async def three_more() -> None:
        wanted = len(looked) + 3
        async with asyncio.timeout(60):
            while len(looked) < wanted:  # noqa: ASYNC110 - the server's own loop does it
                await asyncio.sleep(0.05)

    async def statements_with(count: int) -> int:
        streams = [Stream(waiting, entry, one) for entry, one in zip(entries[:count], people[:count], strict=True)]
        for stream in streams:
            await stream.next()
        await three_more()  # the first one reads the whole line
        looked.clear()
        await waiting.join(house, await waiting.customer())
        await three_more()
        for stream in streams:
            stream.call.cancel()
        return max(looked)

    assert await statements_with(20) == await statements_with(1) < 12


async def test_the_length_of_a_cycle_is_told_when_it_changes(waiting: WaitingHouse, house: Staged) -> None:
    await shut(waiting, house, 1)
    people = [await waiting.customer() for _ in range(2)]
    entries = [await waiting.join(house, one) for one in people]
    stream = Stream(waiting, entries[1], people[1])
    wait = (await stream.next()).queue_entry.estimated_wait.ToTimedelta()
    assert wait > LONG

    await waiting.change(house, admit_interval=timedelta(minutes=1))

    seen = await stream.until(lambda one: one.estimated_wait.ToTimedelta() < wait - timedelta(minutes=30))
    assert seen[-1].position == 2
