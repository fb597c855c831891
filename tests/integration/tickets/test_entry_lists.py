"""Entry lists: nothing that was committed is ever left out of them, however transactions overlap."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from server import clock
from server.db.engine import Database
from server.domain.entry_lists import Entries, entries
from server.states import TicketState
from server.tickets.codes import DIGEST_BYTES, digest
from tests.staging import Staged, stage

_SELL = text("""
INSERT INTO tickets (performance_id, id, booking_id, customer_id, place, ticket_type_id, nonce, state, create_time)
SELECT :performance, gen_random_uuid(), :booking, gen_random_uuid(), n, 1, gen_random_uuid(), 1, now()
FROM generate_series(0, :count - 1) n
""")


@pytest.fixture
def house(fresh_database: Database) -> Staged:
    start = clock.now() + timedelta(hours=1)
    return fresh_database.run_transaction(lambda s: stage(s, start_time=start))


def sell(database: Database, house: Staged, count: int) -> None:
    values = {"performance": house.performance_id, "booking": uuid4(), "count": count}
    database.run_transaction(lambda s: s.execute(_SELL, values))


def void(session: Session, place: int) -> None:
    session.execute(text("UPDATE tickets SET state = 3 WHERE place = :place"), {"place": place})


async def listed(database: Database, house: Staged, since: int = 0) -> Entries:
    return await database.read(lambda s: entries(s, house.performance_id, since))


async def test_a_change_that_was_under_way_is_in_the_next_list(fresh_database: Database, house: Staged) -> None:
    sell(fresh_database, house, 3)
    with Session(fresh_database.engine) as slow:
        void(slow, 1)
        fresh_database.run_transaction(lambda s: void(s, 2))

        first = await listed(fresh_database, house)
        assert first.places == (0, 1), "what is not committed is not told"
        slow.commit()

    news = await listed(fresh_database, house, first.revision)
    assert dict(zip(news.places, news.states, strict=True))[1] == TicketState.VOID
    # Told again for as long as anybody's transaction, anywhere on the database server, is older.
    async with asyncio.timeout(60):
        while (news := await listed(fresh_database, house, news.revision)).places:
            pass


async def test_control_by_the_youngest_transaction_the_change_would_be_missed(
    fresh_database: Database, house: Staged
) -> None:
    sell(fresh_database, house, 3)
    with Session(fresh_database.engine) as slow:
        void(slow, 1)
        fresh_database.run_transaction(lambda s: void(s, 2))
        youngest = await fresh_database.read(
            lambda s: s.scalar(text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"))
        )
        slow.commit()
    sell(fresh_database, house, 1)
    assert 1 not in (await listed(fresh_database, house, youngest)).places


async def test_the_digests_are_those_that_a_door_computes_from_the_codes(
    fresh_database: Database, house: Staged
) -> None:
    sell(fresh_database, house, 5)
    rows = fresh_database.run_transaction(
        lambda s: s.execute(text("SELECT id, nonce FROM tickets ORDER BY place")).all()
    )

    whole = await listed(fresh_database, house)

    assert whole.digests == b"".join(digest(house.performance_id, row.id, row.nonce) for row in rows)


async def test_each_ticket_has_its_type_by_the_name_that_it_has_now(fresh_database: Database) -> None:
    kinds = ({"display_name": "Adult", "price": 2500}, {"display_name": "Child", "price": 900})
    house = fresh_database.run_transaction(lambda s: stage(s, ticket_types=kinds))
    sell(fresh_database, house, 3)
    adult, child = house.ticket_type_ids
    by_place = text("UPDATE tickets SET ticket_type_id = CASE place WHEN 1 THEN :adult ELSE :child END")
    fresh_database.run_transaction(lambda s: s.execute(by_place, {"adult": adult, "child": child}))

    whole = await listed(fresh_database, house)

    assert [whole.ticket_types[index] for index in whole.ticket_type_indexes] == ["Child", "Adult", "Child"]
    assert sorted(whole.ticket_types) == ["Adult", "Child"], "each once"


async def test_twenty_thousand_tickets_are_small_columns(fresh_database: Database, house: Staged) -> None:
    sell(fresh_database, house, 20_000)

    whole = await listed(fresh_database, house)

    assert len(whole.places) == len(whole.states) == len(whole.ticket_type_indexes) == 20_000
    assert len(whole.ticket_types) == 1
    assert len(whole.digests) == 20_000 * DIGEST_BYTES
    assert len({whole.digests[n : n + DIGEST_BYTES] for n in range(0, len(whole.digests), DIGEST_BYTES)}) == 20_000
