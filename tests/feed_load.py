"""Load for tests of the seat feed: processes that book, applications that come and go, and the judgement at the end."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import grpc.aio
from sqlalchemy import text

from rowlock.v1.seat_feed_pb2 import WatchSeatsResponse
from server.db.engine import Database
from server.seats.hub import Hub
from tests.feed_checkers import Truth, faults
from tests.feed_recording import Recording, Stream, listen
from tests.feed_server import FeedServer

_TREE = Path(__file__).parent.parent


async def booking_process(
    database_url: str, redis_url: str, performance_id: int, *, seed: int, commands: int, killed_after: int = 0
) -> int:
    """Run ``tests.feed_writer`` to its end; returns its exit status."""
    numbers = [str(number) for number in (performance_id, seed, commands, killed_after)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.feed_writer", database_url, redis_url, *numbers, cwd=_TREE
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def come_and_go(recording: Recording, servers: Sequence[FeedServer], choice: random.Random) -> None:
    """Watch, for ever: over any of the servers, for a while, from where it was or from a little before."""
    while True:
        server = choice.choice(servers)
        end = len(recording.messages) + choice.randint(1, 40)
        enough = partial(_has_messages, recording, end)
        with suppress(grpc.aio.AioRpcError):
            await listen(recording, server.address, server.token(), stop_when=enough)
        if choice.random() < 0.3:
            recording.forget(choice.randint(1, 10))


def _has_messages(recording: Recording, count: int, _message: WatchSeatsResponse) -> bool:
    return len(recording.messages) >= count


async def read_slowly(recording: Recording, hub: Hub, choice: random.Random) -> None:
    """Watch for ever, with pauses in which many frames come: straight from the hub, as no socket helps out."""
    recording.streams.append(Stream(recording.revision))
    async for raw in hub.watch(recording.performance_id, recording.revision).messages():
        recording.take(WatchSeatsResponse.FromString(raw))
        await asyncio.sleep(choice.choice([0, 0, 0, 0.05, 0.2]))


class Audience:
    """Applications of all kinds that watch one performance on some servers."""

    def __init__(
        self, performance_id: int, servers: Sequence[FeedServer], *, seed: int = 1, patience: float = 60.0
    ) -> None:
        self.performance_id = performance_id
        self.servers = servers
        self._seed = seed
        self._patience = patience
        self.steady = [Recording(performance_id) for _ in servers]
        self.restless = [Recording(performance_id) for _ in range(4)]
        self.slow = [Recording(performance_id) for _ in servers]

    @property
    def recordings(self) -> list[Recording]:
        return [*self.steady, *self.restless, *self.slow]

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """They watch for the length of the block, and then until they are up to date."""
        steady = [
            asyncio.create_task(listen(one, server.address, server.token()))
            for one, server in zip(self.steady, self.servers, strict=True)
        ]
        restless = [
            asyncio.create_task(come_and_go(one, self.servers, random.Random(self._seed + n)))
            for n, one in enumerate(self.restless)
        ]
        slow = [
            asyncio.create_task(read_slowly(one, server.hub, random.Random(self._seed + n)))
            for n, (one, server) in enumerate(zip(self.slow, self.servers, strict=True))
        ]
        tasks = [*steady, *restless, *slow]
        try:
            yield
            await self.be_up_to_date()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for number, recording in enumerate(self.restless):
            # Whatever it forgot last, it comes back once more to stay.
            server = self.servers[number % len(self.servers)]
            last = asyncio.create_task(listen(recording, server.address, server.token()))
            await self.be_up_to_date([recording])
            last.cancel()
            await asyncio.gather(last, return_exceptions=True)

    async def be_up_to_date(self, recordings: Sequence[Recording] | None = None) -> None:
        """Wait until those that stay have the database's revision, or the time is over: the checkers then say who."""
        waited_for = [*self.steady, *self.slow] if recordings is None else recordings
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                while True:
                    revision = await asyncio.to_thread(revision_of, self.servers[0].database, self.performance_id)
                    if all(one.revision == revision for one in waited_for):
                        return
                    await asyncio.sleep(0.02)

    def faults(self, database: Database, table: str = "seat_changes") -> list[str]:
        """What the checkers find."""
        truth = Truth.read(database, self.performance_id, table)
        return [fault for recording in self.recordings for fault in faults(recording, truth)]


def revision_of(database: Database, performance_id: int) -> int:
    """The database's revision."""
    query = text("SELECT revision FROM inventories WHERE performance_id = :id")
    return int(database.run_transaction(lambda session: session.execute(query, {"id": performance_id}).scalar_one()))


@contextmanager
def everything_logged(database: Database) -> Iterator[str]:
    """A table that keeps the whole change log, whatever is trimmed: its name."""
    function = """CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO whole_log SELECT NEW.*; RETURN NEW; END$$"""
    statements = (
        "CREATE TABLE whole_log (LIKE seat_changes)",
        function,
        "CREATE TRIGGER keep AFTER INSERT ON seat_changes FOR EACH ROW EXECUTE FUNCTION keep()",
    )
    database.run_transaction(lambda session: [session.execute(text(one)) for one in statements])
    yield "whole_log"
