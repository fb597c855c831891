"""Races for seats between two ledgers, as two server processes have them; each with a control that loses it.

A control takes one guard away and shows the fault that the guard prevents. `both_have_read` makes the dangerous
interleaving certain: two batches that have read wait for each other before they decide. Where the guard makes one
batch wait for the other's commit, the meeting times out and both go on.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from server.db.engine import Database
from server.errors import RowlockError
from server.seats import statements
from server.seats.batch import Batch
from server.seats.booking import Booking
from server.seats.commands import BestAvailable, Claim, Hold, RequestKey
from server.seats.connection import LedgerConnection
from server.seats.ledger import Ledger
from server.seats.state import State
from tests.invariants import assert_sound, faults
from tests.staging import Staged, hall_document, stage

pytestmark = pytest.mark.race


@pytest.fixture
def database(fresh_database: Database) -> Database:
    return fresh_database


@pytest.fixture
async def ledgers(database: Database) -> AsyncIterator[tuple[Ledger, Ledger]]:
    pair = Ledger(database, lambda _: None), Ledger(database, lambda _: None)
    yield pair
    for ledger in pair:
        await ledger.close()


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


@pytest.fixture
def both_have_read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = asyncio.Barrier(2)
    decide = Batch._decide
    is_control = "control" in request.node.name

    async def wait_then_decide(self: Batch, connection: LedgerConnection, state: State) -> Any:
        with suppress(TimeoutError, asyncio.BrokenBarrierError):
            async with asyncio.timeout(30 if is_control else 0.3):
                await meeting.wait()
            if is_control:
                await meeting.abort()  # they have met, and whoever comes alone later has nobody to wait for
        return await decide(self, connection, state)

    monkeypatch.setattr(Batch, "_decide", wait_then_decide)


def hold(house: Staged, *places: int, customer: UUID | None = None, request: RequestKey | None = None) -> Hold:
    customer = customer or uuid4()
    claims = tuple(Claim(place) for place in places)
    return Hold(
        performance_id=house.performance_id, customer_id=customer, actor_id=customer, claims=claims, request=request
    )


async def race(ledgers: tuple[Ledger, Ledger], *commands: Hold) -> list[Booking | BaseException]:
    """Give the commands to the two ledgers in turn, all at once."""
    tasks = [ledgers[n % 2].execute(command) for n, command in enumerate(commands)]
    return await asyncio.gather(*tasks, return_exceptions=True)


def winners(answers: list[Booking | BaseException]) -> list[Booking]:
    unexpected = [a for a in answers if not isinstance(a, Booking | RowlockError)]
    assert not unexpected, unexpected
    return [answer for answer in answers if isinstance(answer, Booking)]


def found_faults(database: Database) -> list[str]:
    return database.run_transaction(faults)


@pytest.mark.promise("1.6", "2.4")
async def test_two_customers_cannot_have_one_seat(
    ledgers: tuple[Ledger, Ledger], house: Staged, database: Database, both_have_read: None
) -> None:
    answers = await race(ledgers, hold(house, 7), hold(house, 7))

    assert len(winners(answers)) == 1
    assert_sound(database)


async def test_control_without_row_locks_one_seat_is_sold_twice(
    ledgers: tuple[Ledger, Ledger],
    house: Staged,
    database: Database,
    both_have_read: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statements, "LOCK_SEATS", statements.LOCK_SEATS.replace("FOR NO KEY UPDATE OF s", ""))

    answers = await race(ledgers, hold(house, 7), hold(house, 7))

    assert len(winners(answers)) == 2
    assert any(fault.startswith("S1") for fault in found_faults(database))


async def test_two_hundred_buyers_of_one_seat(
    ledgers: tuple[Ledger, Ledger], house: Staged, database: Database
) -> None:
    answers = await race(ledgers, *(hold(house, 7) for _ in range(200)))

    assert len(winners(answers)) == 1
    assert_sound(database)


async def test_a_thousand_buyers_of_a_hundred_seats_in_overlapping_sets(
    ledgers: tuple[Ledger, Ledger], database: Database
) -> None:
    house = database.run_transaction(lambda s: stage(s, hall_document(rows=10, seats=10)))
    # Ascending and descending sets: batches that locked in the order of the request would deadlock.
    sets = [((n * 7) % 100, (n * 7 + 1) % 100, (n * 7 + 2) % 100) for n in range(1000)]

    answers = await race(ledgers, *(hold(house, *(s if n % 4 < 2 else s[::-1])) for n, s in enumerate(sets)))

    sold = [place for booking in winners(answers) for place in booking.places]
    assert len(sold) == len(set(sold))
    assert {a.reason for a in answers if isinstance(a, RowlockError)} == {"SEAT_TAKEN"}
    assert_sound(database)


@pytest.mark.promise("1.5", "0.13")
async def test_the_customers_limit_holds_over_two_processes(
    ledgers: tuple[Ledger, Ledger], house: Staged, database: Database, both_have_read: None
) -> None:
    anna = uuid4()

    answers = await race(ledgers, hold(house, 0, 1, 2, customer=anna), hold(house, 3, 4, customer=anna))

    assert sum(len(booking.places) for booking in winners(answers)) <= 4
    # Or to come again, if the machine stood still for longer than anybody waits for the other's locks.
    refusals = {a.reason for a in answers if isinstance(a, RowlockError)}
    assert len(refusals & {"CUSTOMER_LIMIT_REACHED", "CONTENDED"}) == len(refusals) == 1
    assert_sound(database)


async def test_control_without_the_check_the_limit_is_beaten(
    ledgers: tuple[Ledger, Ledger], house: Staged, database: Database, both_have_read: None
) -> None:
    database.run_transaction(lambda s: s.execute(text("ALTER TABLE quotas DROP CONSTRAINT ck_quotas_within")))
    anna = uuid4()

    answers = await race(ledgers, hold(house, 0, 1, 2, customer=anna), hold(house, 3, 4, customer=anna))

    assert sum(len(booking.places) for booking in winners(answers)) == 5


async def test_one_request_sent_to_two_processes_has_one_effect(
    ledgers: tuple[Ledger, Ledger], house: Staged, database: Database, both_have_read: None
) -> None:
    anna, key = uuid4(), RequestKey("same", b"body")

    answers = await race(
        ledgers, hold(house, 0, customer=anna, request=key), hold(house, 1, customer=anna, request=key)
    )

    assert len({booking.id for booking in winners(answers)}) == 1
    assert_sound(database)


async def test_control_without_the_unique_index_one_request_has_two_effects(
    ledgers: tuple[Ledger, Ledger], house: Staged, database: Database, both_have_read: None
) -> None:
    database.run_transaction(lambda s: s.execute(text("DROP INDEX uq_command_log_request")))
    anna, key = uuid4(), RequestKey("same", b"body")

    answers = await race(
        ledgers, hold(house, 0, customer=anna, request=key), hold(house, 1, customer=anna, request=key)
    )

    assert len({booking.id for booking in winners(answers)}) == 2


def cancel_while_deciding(house: Staged, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the performance off sale between a batch's reading and its writing."""
    decide = Batch._decide
    done = False

    async def cancel_then_decide(self: Batch, connection: LedgerConnection, state: State) -> Any:
        nonlocal done
        if not done:
            done = True
            await database.transaction(
                lambda s: (
                    s.execute(text("UPDATE inventories SET rules_version = rules_version + 1")),
                    s.execute(text("UPDATE performances SET state = 2")),
                )
            )
        return await decide(self, connection, state)

    monkeypatch.setattr(Batch, "_decide", cancel_then_decide)


async def test_a_performance_cancelled_meanwhile_sells_nothing_more(
    ledgers: tuple[Ledger, Ledger], house: Staged, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel_while_deciding(house, database, monkeypatch)

    (answer,) = await race(ledgers, hold(house, 0))

    assert isinstance(answer, RowlockError)
    assert answer.reason == "PERFORMANCE_CANCELLED"


async def test_control_without_the_rules_version_a_cancelled_performance_still_sells(
    ledgers: tuple[Ledger, Ledger], house: Staged, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel_while_deciding(house, database, monkeypatch)
    unguarded = statements.BUMP_REVISIONS.replace("AND i.rules_version = d.rules_version", "")
    monkeypatch.setattr(statements, "BUMP_REVISIONS", unguarded)

    assert len(winners(await race(ledgers, hold(house, 0)))) == 1


async def test_best_available_from_two_processes_sells_every_seat_once(
    ledgers: tuple[Ledger, Ledger], house: Staged, database: Database
) -> None:
    def best() -> Hold:
        customer = uuid4()
        return Hold(
            performance_id=house.performance_id, customer_id=customer, actor_id=customer, wants=(BestAvailable(2),)
        )

    answers = await race(ledgers, *(best() for _ in range(40)))

    assert len(winners(answers)) == 25
    assert {a.reason for a in answers if isinstance(a, RowlockError)} == {"SOLD_OUT"}
    assert_sound(database)
