"""Checkers of what must never happen, as SQL on one snapshot: one module for each part of the system.

Operators run them by `rowlock audit`, the tests at the end of every story, the demo after its race.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from server.audit import (
    accounts,
    books,
    box_office,
    doors,
    money,
    notifications,
    partners,
    seats,
    staff_actions,
    waiting_room,
    webhooks,
)
from server.db.engine import Database

ALWAYS: Final[Mapping[str, str]] = {
    **seats.ALWAYS,
    **box_office.ALWAYS,
    **money.ALWAYS,
    **books.ALWAYS,
    **doors.ALWAYS,
    **waiting_room.ALWAYS,
    **accounts.ALWAYS,
    **notifications.ALWAYS,
    **webhooks.ALWAYS,
    **partners.ALWAYS,
    **staff_actions.ALWAYS,
}
"""By what would be wrong; a row that comes back is a fault."""

QUIET: Final[Mapping[str, str]] = {
    **box_office.QUIET,
    **money.QUIET,
    **waiting_room.QUIET,
    **webhooks.QUIET,
    **partners.QUIET,
}
"""The same, but only once everything that is due was worked off."""

_OVERSOLD: Final = """
    SELECT coalesce(sum(claims - 1), 0) FROM (
        SELECT count(*) claims FROM bookings b CROSS JOIN unnest(b.places) p(place)
        WHERE b.state IN (1, 2) GROUP BY b.performance_id, p.place HAVING count(*) > 1) places"""


def faults(session: Session, checks: Mapping[str, str] = ALWAYS) -> list[str]:
    """What is wrong in this snapshot, one line a fault."""
    return [f"{name}: {tuple(row)}" for name, query in checks.items() for row in session.execute(text(query))]


def audit(database: Database, *, quiet: bool = False) -> list[str]:
    """What is wrong in one snapshot of the whole database, one line a fault.

    Args:
        database: is only read.
        quiet: nothing is under way any more, so check also what holds only then.
    """
    checks = {**ALWAYS, **QUIET} if quiet else ALWAYS

    def work(session: Session) -> list[str]:
        # One snapshot for all queries, or what is committed between two of them would look like a fault.
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        return faults(session, checks)

    return database.run_transaction(work)


def oversold(session: Session) -> int:
    """How many claims there are on places that another booking has, too: more than 0 must never be."""
    return int(session.scalar(text(_OVERSOLD)) or 0)
