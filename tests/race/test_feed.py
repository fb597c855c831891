"""The seat feed under processes that book at once, and watchers that come and go: promises W1 to W8.

Each guard has a control that takes it away and shows what it prevents.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from server.db.engine import Database
from server.seats.feed_state import FeedState, Heard
from server.seats.frames import decode_changes, encode_changes, frame
from server.seats.write import Published
from tests.feed_checkers import told_by
from tests.feed_load import Audience, booking_process
from tests.feed_server import QUICK, FeedServer, feed_server
from tests.invariants import assert_sound
from tests.staging import Staged, stage

pytestmark = pytest.mark.race

SMALL = replace(QUICK, ring_frames=64)


@pytest.fixture
def database(fresh_database: Database) -> Database:
    return fresh_database


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(lambda session: stage(session, customer_limit=1000))


@pytest.fixture
async def servers(fresh_database_url: str, fresh_valkey_url: str) -> AsyncIterator[list[FeedServer]]:
    async with (
        feed_server(fresh_database_url, fresh_valkey_url, SMALL) as one,
        feed_server(fresh_database_url, fresh_valkey_url, SMALL) as other,
    ):
        yield [one, other]


@pytest.mark.promise("1.4")
async def test_every_watcher_is_told_everything_while_three_processes_book(
    house: Staged, servers: list[FeedServer], database: Database, fresh_database_url: str, fresh_valkey_url: str
) -> None:
    audience = Audience(house.performance_id, servers)
    async with audience.watching():
        await asyncio.gather(
            booking_process(fresh_database_url, fresh_valkey_url, house.performance_id, seed=1, commands=400),
            booking_process(fresh_database_url, fresh_valkey_url, house.performance_id, seed=2, commands=400),
            servers[0].churn(house.performance_id, range(20), 8),
        )

    assert min(recording.revision for recording in audience.recordings) > 150, "there was no load"
    assert any(len(recording.streams) > 5 for recording in audience.restless), "nobody resumed"
    told_together = [len(told_by(message)) for one in audience.slow for message in one.messages]
    assert max(told_together) > 1, "nobody was told several revisions at once"
    assert not audience.faults(database)
    assert_sound(database)


async def test_frames_that_come_in_any_order_are_told_in_order(
    house: Staged, servers: list[FeedServer], database: Database
) -> None:
    order = shuffle(servers[0])
    audience = Audience(house.performance_id, servers)
    async with audience.watching():
        await servers[0].churn(house.performance_id, range(10), 10)
    assert order != sorted(order)
    assert not audience.faults(database)


async def test_control_a_hub_that_tells_whatever_comes_leaves_gaps(
    house: Staged, servers: list[FeedServer], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    shuffle(servers[0])
    honest = FeedState.hear

    def credulous(
        self: FeedState, revision: int, body: bytes, changes: Iterable[tuple[int, int]] | None = None
    ) -> Heard:
        if revision > self.revision + 1:
            self.revision = self.base = revision - 1
            self._frames = []
        return honest(self, revision, body, changes)

    def whatever_there_is(self: FeedState, revision: int, one_by_one: int = 1) -> tuple[int, bytes]:
        at = max(0, revision - self.base)
        return self.base + at + 1, self._frames[at]

    monkeypatch.setattr(FeedState, "hear", credulous)
    monkeypatch.setattr(FeedState, "after", whatever_there_is)
    audience = Audience(house.performance_id, servers, patience=1.0)
    async with audience.watching():
        await servers[0].churn(house.performance_id, range(10), 5)
    assert any(fault.startswith("W3") for fault in audience.faults(database))


async def test_control_a_hub_that_claims_to_tell_what_it_skipped_is_found_out(
    house: Staged, servers: list[FeedServer], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No gap in the revisions, but one in what is told: the newest revision alone goes for all before it."""

    def newest_only(self: FeedState, revision: int) -> bytes:
        changes = decode_changes(self._frames[-1].removeprefix(frame(self.revision, b"")))
        return frame(self.revision, encode_changes(changes, revision + 1))

    monkeypatch.setattr(FeedState, "_join", newest_only)
    audience = Audience(house.performance_id, servers)
    async with audience.watching():
        await servers[0].churn(house.performance_id, range(10), 5)
    kinds = {fault.split()[0] for fault in audience.faults(database)}
    assert {"W4", "W7"} <= kinds
    assert "W3" not in kinds


async def test_control_without_comparison_a_lost_frame_stops_the_feed(
    house: Staged, servers: list[FeedServer], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def compare_nothing(_feeds: Any) -> None:
        return None

    for server in servers:
        monkeypatch.setattr(server.hub._comparisons, "_compare", compare_nothing)
    audience = Audience(house.performance_id, servers)
    lost = 0

    def lose_every_fifth(published: Any) -> None:
        nonlocal lost
        lost += 1
        if lost % 5:
            servers[0].hub.deliver(published)

    servers[0].ledger._publish = lose_every_fifth
    async with audience.watching():
        await servers[0].churn(house.performance_id, range(10), 2)
        await asyncio.sleep(0.5)
        assert audience.faults(database)
        monkeypatch.undo()

    # Nothing wrong was told meanwhile, and with comparison everybody hears the rest.
    assert not audience.faults(database)


def shuffle(server: FeedServer) -> list[int]:
    """Let every other frame be published a little late; returns the revisions in the order of their publication."""
    publish = server.ledger._publish
    order: list[int] = []
    count = 0

    def publish_now(published: Sequence[Published]) -> None:
        order.extend(one.revision for one in published)
        publish(published)

    def some_later(published: Sequence[Published]) -> None:
        nonlocal count
        count += 1
        if count % 2:
            asyncio.get_running_loop().call_later(0.03, publish_now, published)
        else:
            publish_now(published)

    server.ledger._publish = some_later
    return order
