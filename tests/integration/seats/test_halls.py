"""Halls in memory: as few statements as can be, and the same hall for everybody."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from server.db.engine import Database
from server.seats.halls import Halls
from tests.staging import Staged, stage


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that are sent within the block."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


@pytest.fixture(scope="module")
def houses(database: Database) -> list[Staged]:
    return [database.run_transaction(stage) for _ in range(6)]


@pytest.mark.promise("3.7")
def test_the_halls_of_a_page_are_no_query_per_row(database: Database, houses: list[Staged]) -> None:
    halls, ids = Halls(), [house.performance_id for house in houses]
    with counted(database) as statements:
        read = database.run_transaction(lambda session: halls.of_performances(session, ids * 3))
    assert set(read) == set(ids)
    assert len(statements) == 2

    with counted(database) as statements:
        again = database.run_transaction(lambda session: halls.of_performances(session, ids))
    assert all(again[key] is read[key] for key in ids)
    assert len(statements) == 1

    with counted(database) as statements:
        assert database.run_transaction(lambda session: halls.of_performances(session, ())) == {}
    assert statements == []


def test_a_hall_that_is_used_stays_the_same_though_it_is_kept_no_longer(
    database: Database, houses: list[Staged]
) -> None:
    halls, ids = Halls(kept=1), [house.performance_id for house in houses]
    used = database.run_transaction(lambda session: halls.of_performances(session, ids[:1]))
    database.run_transaction(lambda session: halls.of_performances(session, ids[1:]))
    again = database.run_transaction(lambda session: halls.of_performances(session, ids))
    assert again[ids[0]] is used[ids[0]]


def test_a_hall_that_nobody_uses_is_let_go(database: Database, houses: list[Staged]) -> None:
    halls, ids = Halls(kept=1), [house.performance_id for house in houses]
    for performance_id in ids:
        database.run_transaction(lambda session, one=performance_id: halls.of_performances(session, [one]))  # type: ignore[misc]
    with counted(database) as statements:
        database.run_transaction(lambda session: halls.of_performances(session, ids[-1:]))
        assert len(statements) == 1
        database.run_transaction(lambda session: halls.of_performances(session, ids[:1]))
    assert len(statements) == 3


def test_threads_that_parse_a_hall_at_once_end_with_the_same(database: Database, houses: list[Staged]) -> None:
    halls, performance_id = Halls(), houses[0].performance_id
    with ThreadPoolExecutor(8) as pool:
        read = pool.map(
            lambda _: database.run_transaction(lambda session: halls.of_performances(session, [performance_id])),
            range(8),
        )
        assert len({id(hall[performance_id]) for hall in list(read)}) == 1
