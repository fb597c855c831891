"""Strangers in one batch: none pays for another's deadline, and none is given what another names."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from server.db.engine import Database, deadline
from server.errors import DeadlineExceeded
from server.seats.commands import BestAvailable, Cancel, Claim, Hold
from server.seats.ledger import Ledger
from server.seats.rules import touch_rules
from tests.eventually import eventually
from tests.invariants import assert_sound
from tests.staging import Staged, stage


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Ledger]:
    ledger = Ledger(database, lambda _: None)
    yield ledger
    await ledger.close()
    assert_sound(database)


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


def named(house: Staged, *places: int, customer: UUID | None = None) -> Hold:
    customer = customer or uuid4()
    claims = tuple(Claim(place) for place in places)
    return Hold(performance_id=house.performance_id, customer_id=customer, actor_id=customer, claims=claims)


def best(house: Staged, quantity: int) -> Hold:
    customer = uuid4()
    return Hold(
        performance_id=house.performance_id,
        customer_id=customer,
        actor_id=customer,
        wants=(BestAvailable(quantity),),
    )


async def test_a_batch_has_nothing_of_the_deadline_of_the_call_that_began_it(database: Database, house: Staged) -> None:
    # With one command in each batch some always wait, so that each batch is begun by the one before.
    ledger = Ledger(database, lambda _: None, batch_size=1)

    async def impatient() -> None:
        deadline.set(time.monotonic() + 0.2)
        with suppress(DeadlineExceeded):
            await ledger.execute(named(house, 9))

    async def keep_busy(place: int) -> None:
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            booking = await ledger.execute(named(house, place))
            await ledger.execute(
                Cancel(performance_id=house.performance_id, booking_id=booking.id, actor_id=booking.customer_id)
            )

    async def comes_later() -> None:
        await asyncio.sleep(0.4)
        # The first that has to read the board, so its batch speaks to the database in other ways, too.
        await ledger.execute(best(house, 2))

    await asyncio.gather(impatient(), comes_later(), *(keep_busy(place) for place in range(3)))
    await ledger.close()


async def test_who_lets_the_server_choose_gets_other_seats_than_those_named_beside(
    ledger: Ledger, house: Staged
) -> None:
    liked = await ledger.execute(best(house, 2))
    await ledger.execute(Cancel(performance_id=house.performance_id, booking_id=liked.id, actor_id=liked.customer_id))

    with capture_logs() as logs:
        answers = await asyncio.gather(
            # While the first is carried out, the others gather to one batch.
            ledger.execute(named(house, 49)),
            ledger.execute(named(house, *liked.places)),
            ledger.execute(best(house, 2)),
        )

    assert answers[1].places == liked.places
    assert not set(answers[2].places) & set(liked.places)
    assert [entry["event"] for entry in logs] == []


async def test_any_number_who_ask_for_the_newest_rules_share_a_read(
    ledger: Ledger, house: Staged, database: Database
) -> None:
    reads: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "rules_version" in statement:
            reads.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        answers = await asyncio.gather(*(ledger.rules(house.performance_id, fresh=True) for _ in range(1_500)))
    finally:
        event.remove(database.engine, "before_cursor_execute", note)

    assert all(rules is not None and rules.performance_id == house.performance_id for rules in answers)
    # The one that had begun when the others asked, and the one that began after all of them had.
    assert len(reads) <= 2


async def test_who_asks_for_the_newest_rules_sees_a_change_that_a_read_under_way_may_have_missed(
    ledger: Ledger, house: Staged, database: Database
) -> None:
    begun = asyncio.create_task(ledger.rules(house.performance_id))
    await asyncio.sleep(0)
    database.run_transaction(lambda session: touch_rules(session, house.performance_id))
    newest = await asyncio.gather(*(ledger.rules(house.performance_id, fresh=True) for _ in range(3)))

    assert await begun is not None
    assert {rules.version for rules in newest if rules is not None} == {2}


async def test_after_a_crowd_the_next_batch_waits_for_company(database: Database, house: Staged) -> None:
    ledger = Ledger(database, lambda _: None, gather_time=timedelta(hours=1))
    await asyncio.gather(*(ledger.execute(named(house, number)) for number in range(20)))
    crowd = ledger.batches

    coming = []
    for number in range(20, 40):
        coming.append(asyncio.create_task(ledger.execute(named(house, number))))
        await asyncio.sleep(0)  # they come back one by one, as from a network
    await eventually(lambda: len(ledger._waiting) == 20)
    assert ledger.batches == crowd <= 2

    ledger._gathered()  # the hour is over
    await asyncio.gather(*coming)
    await ledger.close()
    assert (ledger.commands, ledger.batches) == (40, crowd + 1)
    assert_sound(database)


async def test_who_need_not_gather_are_served_as_they_come(database: Database, house: Staged) -> None:
    ledger = Ledger(database, lambda _: None, gather_time=timedelta(0))
    await asyncio.gather(*(ledger.execute(named(house, number)) for number in range(20)))
    await ledger.execute(named(house, 20))
    await ledger.close()
    assert ledger.commands == 21


async def test_who_comes_alone_does_not_wait_for_company(database: Database, house: Staged) -> None:
    ledger = Ledger(database, lambda _: None, gather_time=timedelta(hours=1))

    for place in range(3):
        await ledger.execute(named(house, place))

    assert ledger.batches == 3
    await ledger.close()
