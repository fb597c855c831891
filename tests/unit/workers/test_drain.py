"""Working off rows: as many at once as allowed, none waiting for a slow one, none lost to a failing one."""

import asyncio
from collections.abc import Sequence

from tests.eventually import eventually
from workers.drain import Drain


class Rows:
    """Due rows, and who works on them."""

    def __init__(self, count: int) -> None:
        self.due = list(range(count))
        self.done: list[int] = []
        self.at_work = 0
        self.most_at_work = 0
        self.slow = asyncio.Event()

    async def take(self, limit: int) -> Sequence[int]:
        taken, self.due = self.due[:limit], self.due[limit:]
        return taken

    async def work(self, row: int) -> None:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            await (self.slow.wait() if row == 0 else asyncio.sleep(0))
            if row == 1:
                raise ZeroDivisionError
            self.done.append(row)
        finally:
            self.at_work -= 1


async def test_a_slow_row_holds_up_no_other_and_a_failing_one_spoils_none() -> None:
    rows = Rows(20)
    drain = Drain(rows.take, rows.work, most=4)

    await asyncio.wait_for(drain.run(), 60)
    await eventually(lambda: sorted(rows.done) == list(range(2, 20)))
    assert rows.most_at_work <= 4
    rows.slow.set()
    await drain.finish()
    assert 0 in rows.done


async def test_a_call_while_one_is_at_work_makes_it_look_again() -> None:
    rows = Rows(3)
    rows.slow.set()
    looked = asyncio.Event()
    take = rows.take

    async def take_slowly(limit: int) -> Sequence[int]:
        looked.set()
        await asyncio.sleep(0.01)
        return await take(limit)

    drain = Drain(take_slowly, rows.work)
    first = asyncio.create_task(drain.run())
    await looked.wait()
    await asyncio.sleep(0.012)
    rows.due.append(7)
    await drain.run()
    await first
    await drain.finish()
    assert 7 in rows.done


async def test_what_does_not_end_in_time_is_left_to_another_worker() -> None:
    rows = Rows(1)
    drain = Drain(rows.take, rows.work)
    await drain.run()
    closing = asyncio.create_task(drain.close())
    rows.slow.set()
    await asyncio.wait_for(closing, 60)
    assert rows.done == [0]


async def test_a_drain_that_closes_takes_nothing_up_any_more() -> None:
    rows = Rows(20)
    rows.slow.set()
    drain = Drain(rows.take, rows.work, most=1)
    taking = asyncio.create_task(drain.run())
    await asyncio.sleep(0)
    await drain.close()
    await asyncio.wait_for(taking, 60)
    left = len(rows.due)
    await drain.run()
    assert len(rows.due) == left > 0


class Paced(Rows):
    """Rows of which two may be taken at a time."""

    async def take(self, limit: int) -> Sequence[int]:
        return await super().take(min(limit, 2))

    def pause(self) -> float | None:
        return 0.001 if self.due else None


async def test_what_may_not_be_taken_yet_is_taken_later_without_anybody_waiting() -> None:
    rows = Paced(7)
    rows.slow.set()
    drain = Drain(rows.take, rows.work, pause=rows.pause)

    await drain.run()
    assert len(rows.due) == 5
    await eventually(lambda: not rows.due)
    await drain.finish()
    assert sorted(rows.done) == [0, 2, 3, 4, 5, 6]


async def test_what_is_taken_later_is_not_taken_after_the_end() -> None:
    rows = Paced(7)
    rows.slow.set()
    drain = Drain(rows.take, rows.work, pause=rows.pause)
    await drain.run()
    await drain.close()
    await asyncio.sleep(0.01)
    assert len(rows.due) == 5
