"""Many callers, one transaction: who shares it, and who does not have to suffer for whom."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from server.db import engine
from server.db.combining import Combined
from server.db.engine import Database
from server.db.limits import ConnectionLimits
from server.errors import FailedPrecondition, RowlockError, Unavailable
from tests.eventually import eventually


class Work:
    """Notes its batches, and does what an item says."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.may_end = threading.Event()
        self.may_end.set()

    def __call__(self, session: Session, items: Sequence[str]) -> list[str | RowlockError]:
        self.batches.append(list(items))
        assert self.may_end.wait(60)
        if "poison" in items:
            session.execute(text("SELECT 1 / 0"))
        if "locked" in items:
            session.execute(text("SELECT pg_advisory_xact_lock(4711)"))
        if "database away" in items:
            raise Unavailable("DATABASE_UNAVAILABLE", "away")
        return [FailedPrecondition("BOOKING_STATE", item) if item == "refused" else item.upper() for item in items]


async def ask(combined: Combined[str, str], *items: str) -> list[str]:
    """What each caller got: an answer, or the name of what was raised."""
    answers = await asyncio.gather(*(combined(item) for item in items), return_exceptions=True)
    return [answer if isinstance(answer, str) else type(answer).__name__ for answer in answers]


async def test_what_waits_while_a_transaction_runs_goes_into_the_next(database: Database) -> None:
    work = Work()
    combined: Combined[str, str] = Combined(database, work, most=3)
    work.may_end.clear()
    first = asyncio.create_task(combined("a"))
    await eventually(lambda: work.batches)

    others = asyncio.create_task(ask(combined, "b", "c", "d", "e"))
    await asyncio.sleep(0)  # they ask
    await asyncio.sleep(0)
    work.may_end.set()
    answers = await others

    assert (await first, answers) == ("A", ["B", "C", "D", "E"])
    assert work.batches == [["a"], ["b", "c", "d"], ["e"]]


async def test_a_refusal_is_its_callers_alone(database: Database) -> None:
    assert await ask(Combined(database, Work()), "a", "refused", "b") == ["A", "FailedPrecondition", "B"]


async def test_a_poison_item_fails_alone(database: Database) -> None:
    assert await ask(Combined(database, Work()), "a", "poison", "b") == ["A", "DataError", "B"]


async def test_a_database_that_is_away_is_asked_once(database: Database) -> None:
    work = Work()
    assert await ask(Combined(database, work), "a", "database away", "b") == ["Unavailable"] * 3
    assert len(work.batches) == 1


async def test_one_that_goes_away_between_is_not_asked_for_each(database: Database) -> None:
    work = Work()
    answers = await ask(Combined(database, work), "a", "poison", "database away", "b")
    assert answers == ["A", "DataError", "Unavailable", "Unavailable"]


async def test_what_somebody_else_has_locked_holds_up_only_who_needs_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = ConnectionLimits({**engine._LIMITS.values, "lock_timeout": "1s"})
    monkeypatch.setattr(engine, "_LIMITS", prompt)
    hurried = Database(database.url, threads=4)
    try:
        with database.engine.connect() as other:
            other.execute(text("SELECT pg_advisory_xact_lock(4711)"))
            answers = await ask(Combined(hurried, Work()), "a", "locked", "b")
            other.rollback()
    finally:
        hurried.close()
    assert answers == ["A", "Aborted", "B"]


async def test_a_caller_that_has_gone_is_left_out(database: Database) -> None:
    work = Work()
    combined: Combined[str, str] = Combined(database, work)
    work.may_end.clear()
    first = asyncio.create_task(combined("a"))
    await eventually(lambda: work.batches)
    gone = asyncio.create_task(combined("gone"))
    await asyncio.sleep(0)
    gone.cancel()
    work.may_end.set()

    assert await ask(combined, "b") == ["B"]
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert (await first, work.batches) == ("A", [["a"], ["b"]])
