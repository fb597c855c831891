"""What PostgreSQL reads out of array literals is what was put in, whatever people wrote."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from server.db.engine import Database
from server.seats import arrays
from server.states import SeatState

_TEXTS = (
    "",
    " ",
    "NULL",
    'he said "two"',
    'back\\slash, and \\"both\\"',
    "it's {1,2}, not ('x')",
    "%s %(name)s 100 %",
    "line\nbreak\r\ttab",
    "Jürgen 座席 🎟",
    "\x01\x7f",
    '{"note":"\\u0000","seats":["A-1"]}',
)


@pytest.fixture
def read(database: Database) -> Callable[[str, str], list[Any]]:
    """Has PostgreSQL read an array literal of a type."""

    def ask(literal: str, kind: str) -> list[Any]:
        # As the ledger does: by psycopg2, without SQLAlchemy's own reading of the statement.
        with database.engine.connect() as connection:
            cursor = connection.connection.cursor()
            cursor.execute(f"SELECT unnest(%s::{kind}[])::text", (literal,))
            return [value for (value,) in cursor.fetchall()]

    return ask


@pytest.mark.parametrize("texts", [(), *((one,) for one in _TEXTS), _TEXTS, (None, *_TEXTS, None), (None,), ("", "")])
def test_texts_arrive_as_they_are(read: Callable[[str, str], list[Any]], texts: tuple[str | None, ...]) -> None:
    assert read(arrays.texts(texts), "text") == list(texts)


@pytest.mark.parametrize("texts", [("\0",), ("a", "b\0c"), ("a\0", None), (None, "\0")])
def test_a_text_with_nul_is_refused_and_makes_no_two_of_one(texts: tuple[str | None, ...]) -> None:
    with pytest.raises(ValueError, match="NUL"):
        arrays.texts(texts)


def test_numbers_ids_and_times_arrive_as_they_are(read: Callable[[str, str], list[Any]]) -> None:
    ids = [uuid4(), None, UUID(int=0)]
    now = datetime.now(UTC)
    times = [now, None, now + timedelta(days=365)]

    assert read(arrays.numbers([1, None, SeatState.SOLD, -5, 2**62]), "bigint") == ["1", None, "3", "-5", str(2**62)]
    assert read(arrays.uuids(ids), "uuid") == [None if one is None else str(one) for one in ids]
    found = read(arrays.times(times), "timestamptz")
    assert [None if one is None else datetime.fromisoformat(one) for one in found] == times


def test_lists_of_numbers_arrive_within_a_column_of_texts(read: Callable[[str, str], list[Any]]) -> None:
    lists = [arrays.numbers(one) for one in ((1, 2), (), (3,))]

    assert read(arrays.texts(lists), "text") == ["{1,2}", "{}", "{3}"]
