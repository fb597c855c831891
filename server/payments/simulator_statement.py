"""The simulator's statement: what it took and gave back, a page at a time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from server.domain.book_lines import Direction
from server.payments.statements import Movement

_PAGE: Final = """
    FROM ({lines}) line
    WHERE (CAST(:since AS timestamptz) IS NULL OR time >= :since)
      AND (CAST(:key AS uuid) IS NULL OR (time, key) > (:time, CAST(:key AS uuid)))
    ORDER BY time, key LIMIT 1000
"""
_CAPTURES: Final = """
    SELECT payment_id AS key, reference, amount, currency, capture_time AS time FROM simulator_orders WHERE state = 2"""
_REFUNDS: Final = """
    SELECT r.refund_id AS key, r.reference, r.amount, o.currency, r.create_time AS time
    FROM simulator_refunds r JOIN simulator_orders o ON o.payment_id = r.payment_id"""
_QUERIES: Final = {
    Direction.IN: text("SELECT key, reference, amount, currency, time" + _PAGE.format(lines=_CAPTURES)),
    Direction.OUT: text("SELECT key, reference, amount, currency, time" + _PAGE.format(lines=_REFUNDS)),
}


def page(
    session: Session, direction: Direction, since: datetime | None, last: tuple[datetime, UUID] | None
) -> Sequence[Movement]:
    """The next movements in one direction, by time.

    Args:
        session: a transaction.
        direction: payments or refunds.
        since: from when on; None: ever.
        last: time and key of the last one of the page before.
    """
    time, key = last or (None, None)
    rows = session.execute(_QUERIES[direction], {"since": since, "time": time, "key": key})
    return [Movement(direction, row.key, row.reference, row.amount, row.currency, row.time) for row in rows]
