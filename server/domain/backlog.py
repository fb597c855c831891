"""What waits to be done, and what waits for people: one row for each kind of work, read in one statement.

Whatever a worker does for later is a row with a due time, and whatever it gives up stays as a row. So this is all
there is: nothing else can be overdue, and nothing else can be dead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Backlog:
    """One kind of work.

    Attributes:
        kind: what it is.
        waiting: rows that a worker will do, now or later.
        overdue: for how long the longest overdue one is; None: none is.
        for_people: rows that no worker will do any more.
        remedy: what people do about those; empty where there are none ever.
    """

    kind: str
    waiting: int
    overdue: timedelta | None
    for_people: int
    remedy: str


_KINDS: Final = (
    # kind, the table of what waits, its due column, what of it waits, what waits for people, the remedy
    (
        "holds that ran out",
        "bookings",
        "hold_expire_time",
        # Not those that run on: of holds only the end is work. One time for all rows, so that an index finds them.
        "state = 1 AND payment_id IS NULL AND hold_expire_time <= statement_timestamp()",
        "",
        "",
    ),
    (
        "payments",
        "payments",
        "next_attempt_time",
        "next_attempt_time IS NOT NULL",
        "discrepancy IS NOT NULL AND state = 4",
        "rowlock payments --discrepancies, rowlock compare-books",
    ),
    # Its booking is not kept for it, and may run out while nobody decides.
    (
        "money in doubt",
        "payments",
        "next_attempt_time",
        "false",
        "discrepancy IS NOT NULL AND state <> 4",
        "rowlock payments --discrepancies, rowlock resolve-payment",
    ),
    (
        "refunds",
        "refunds",
        "next_attempt_time",
        "next_attempt_time IS NOT NULL",
        "(state = 4 OR discrepancy IS NOT NULL)",
        "rowlock refunds --state failed (or --discrepancies), rowlock retry-refund, rowlock settle-refund",
    ),
    (
        "mails",
        "notifications",
        "next_attempt_time",
        "next_attempt_time IS NOT NULL",
        "state = 3",
        "rowlock mails, rowlock resend",
    ),
    (
        "messages of providers",
        "provider_webhooks",
        "next_attempt_time",
        "next_attempt_time IS NOT NULL",
        "state = 3",
        "rowlock webhooks list, rowlock webhooks retry",
    ),
    ("changes for partners", "changes", "change_time", "position IS NULL", "", ""),
    (
        "deliveries to partners",
        "webhook_lanes",
        "next_attempt_time",
        "next_attempt_time IS NOT NULL",
        "",
        "",
    ),
    (
        "webhooks switched off",
        "webhook_endpoints",
        "failing_since",
        "false",
        "disable_reason <> ''",
        "rowlock partner webhooks users/-, rowlock partner switch --on",
    ),
    ("cancelled performances", "performances", "wind_up_time", "wind_up_time IS NOT NULL", "", ""),
    ("allocations", "allocations", "release_time", "state = 1", "", ""),
    ("waiting rooms", "waiting_rooms", "next_admission_time", "next_admission_time IS NOT NULL", "", ""),
)


def backlog(session: Session) -> Sequence[Backlog]:
    """Every kind of work, in one statement."""
    parts = [
        f"SELECT {number}, count(*) FILTER (WHERE {waits}),"  # noqa: S608 - words of this module only
        f" clock_timestamp() - min({due}) FILTER (WHERE {waits}),"
        f" count(*) FILTER (WHERE {dead or 'false'}) FROM {table} WHERE {waits}" + (f" OR {dead}" if dead else "")
        for number, (_, table, due, waits, dead, _) in enumerate(_KINDS)
    ]
    rows = session.execute(text(" UNION ALL ".join(parts) + " ORDER BY 1"))
    return [
        Backlog(
            kind=_KINDS[number][0],
            waiting=waiting,
            overdue=late if late is not None and late > timedelta(0) else None,
            for_people=dead,
            remedy=_KINDS[number][5],
        )
        for number, waiting, late, dead in rows
    ]
