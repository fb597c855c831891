"""Who is owed cash: bookings sold for cash and given back by somebody else than staff at the counter, not fetched yet.

It is read from the books, which are the truth of it: a return is owed until an entry that it was fetched follows it.
The versions of the booking, which are the numbers of these entries, say which follows which.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from server.domain.rows import MOST_COUNTED

# The last return of each booking that no fetching follows, and what is owed for the booking in all.
_OWED: Final = """
    FROM book_entries e
    WHERE e.kind = 5 AND e.accounts[2] = 32
      AND (CAST(:performance_id AS bigint) IS NULL OR e.performance_id = :performance_id)
      AND NOT EXISTS (SELECT FROM book_entries f
                      WHERE f.performance_id = e.performance_id AND f.kind = 6 AND f.source_id = e.source_id
                        AND f.number >= e.number)
      AND NOT EXISTS (SELECT FROM book_entries n
                      WHERE n.performance_id = e.performance_id AND n.kind = 5 AND n.source_id = e.source_id
                        AND n.number > e.number AND n.accounts[2] = 32)
"""
_PAGE: Final = text(f"""
    SELECT e.performance_id, e.source_id AS booking_id, e.currency, e.time,
           (SELECT b.customer_id FROM bookings b
            WHERE b.performance_id = e.performance_id AND b.id = e.source_id) AS customer_id,
           (SELECT -sum(l.amount)::bigint FROM book_legs l
            WHERE l.performance_id = e.performance_id AND l.kind IN (5, 6) AND l.source_id = e.source_id
              AND l.account = 32) AS amount
    {_OWED} AND (CAST(:time AS timestamptz) IS NULL OR (e.time, e.source_id) > (:time, CAST(:id AS uuid)))
    ORDER BY e.time, e.source_id LIMIT :limit
""")  # noqa: S608 - words of this module only
_COUNT: Final = text(f"SELECT count(*) FROM (SELECT 1 {_OWED} LIMIT {MOST_COUNTED}) found")  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class CashDue:
    """What a customer may fetch for one booking, in minor units, and since when."""

    performance_id: int
    booking_id: UUID
    customer_id: UUID
    amount: int
    currency: str
    due_time: datetime


@dataclass(frozen=True, slots=True)
class CashDuePage:
    """What is owed, the longest owed first, and how many there are on all pages, counted up to ``MOST_COUNTED``."""

    dues: Sequence[CashDue]
    total: int


def list_cash_due(
    session: Session, *, performance_id: int | None, after: tuple[datetime, UUID] | None, limit: int
) -> CashDuePage:
    """What is owed in cash.

    Args:
        session: a transaction.
        performance_id: of this performance; None: of all.
        after: (time, booking) of the last one of the page before.
        limit: how many at most.
    """
    time, booking_id = after or (None, None)
    values = {"performance_id": performance_id, "time": time, "id": booking_id, "limit": limit}
    rows = session.execute(_PAGE, values)
    dues = [
        CashDue(row.performance_id, row.booking_id, row.customer_id, row.amount, row.currency, row.time) for row in rows
    ]
    total = session.execute(_COUNT, {"performance_id": performance_id}).scalar_one()
    return CashDuePage(dues, total)
