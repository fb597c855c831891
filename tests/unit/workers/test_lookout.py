"""Doing by oneself what no message asks for: when it was long ago, and never beside work that is under way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from server.config import Settings
from tests.eventually import eventually
from workers import lookout
from workers.lookout import Lookout
from workers.runtime import WorkerRuntime
from workers.work import Work


async def nothing(_: WorkerRuntime) -> None:
    """Never called: the tests count instead."""


WORK = Work("look", "look", lambda _: timedelta(milliseconds=1), nothing)
PATIENCE = 0.1


class Worker:
    """What a worker process has of a lookout."""

    def __init__(self) -> None:
        self.runs = 0
        self.lookout = Lookout(Settings(), self.run)

    async def run(self, work: Work) -> None:
        with self.lookout.doing(work):
            self.runs += 1


@pytest.fixture
async def worker(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Worker]:
    monkeypatch.setattr(lookout, "_SHORTEST_WAIT", PATIENCE)
    worker = Worker()
    await worker.lookout.start([WORK])
    yield worker
    await worker.lookout.stop()


async def test_what_nobody_asks_for_is_done_again_and_again(worker: Worker) -> None:
    await eventually(lambda: worker.runs >= 2)


async def test_work_that_takes_long_is_not_begun_beside_itself_nor_right_after_it(worker: Worker) -> None:
    with worker.lookout.doing(WORK):
        await asyncio.sleep(4 * PATIENCE)
        assert worker.runs == 0
        with worker.lookout.doing(WORK):  # a message of the scheduler's
            pass
        await asyncio.sleep(4 * PATIENCE)
        assert worker.runs == 0
    await asyncio.sleep(0)
    assert worker.runs == 0
    await eventually(lambda: worker.runs >= 1)
