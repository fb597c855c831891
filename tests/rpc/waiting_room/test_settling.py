"""Two servers that answer from memory never contradict what a customer was told before."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rowlock.v1 import waiting_room_pb2 as pb
from server import clock
from tests.rpc.waiting_room.conftest import LONG, WaitingHouse
from tests.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAITING, ADMITTED = pb.QueueEntry.WAITING, pb.QueueEntry.ADMITTED


async def test_who_was_told_of_a_change_finds_no_server_that_does_not_know_it(
    waiting: WaitingHouse, house: Staged, another_server: Callable[[], Any]
) -> None:
    await waiting.open(house, 1, open_time=clock.now() + LONG)
    async with another_server() as client:
        there = WaitingHouse(client, waiting.database, waiting.staff)
        people = [await waiting.customer() for _ in range(3)]
        entries = [await waiting.join(house, one) for one in people]
        ended = asyncio.Event()

        async def keep_asking() -> None:
            """So that the other server has everybody in memory all the time."""
            while not ended.is_set():
                for entry, one in zip(entries, people, strict=True):
                    await there.get(entry, one)
                await asyncio.sleep(0.05)

        asking = asyncio.create_task(keep_asking())
        await waiting.leave(entries[1], people[1])
        assert (await there.get(entries[1], people[1])).state == pb.QueueEntry.LEFT
        assert (await there.get(entries[2], people[2])).position == 2

        await waiting.change(house, "open_time", admit_interval=LONG)
        await waiting.becomes(entries[0], people[0], ADMITTED)
        assert (await there.get(entries[0], people[0])).state == ADMITTED
        assert (await there.get(entries[2], people[2])).state == WAITING
        ended.set()
        await asking
