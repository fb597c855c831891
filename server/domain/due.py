"""Taking up what is due: the schedule is a column, and whoever moves it into the future has the row for so long.

So work is taken up by one worker at a time, and by another one if the first dies; see ``payment_attempts``.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.orm import Session

from server.db.models.payments import Payment, Refund

Row = TypeVar("Row", Payment, Refund)


def take_up(session: Session, kind: type[Row], limit: int, lease: timedelta, **changes: Any) -> Sequence[Row]:
    """Take up rows that are due, the longest overdue first; nobody else does for the length of ``lease``.

    Args:
        session: a transaction.
        kind: of which table.
        limit: how many at most.
        lease: for how long.
        changes: what else is to be written into them.
    """
    keys = session.execute(
        select(kind.performance_id, kind.id)
        .where(kind.next_attempt_time <= func.clock_timestamp())
        .order_by(kind.next_attempt_time)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    ).all()
    if not keys:
        return ()
    return session.scalars(
        update(kind)
        .where(tuple_(kind.performance_id, kind.id).in_([tuple(key) for key in keys]))
        .values(
            next_attempt_time=func.clock_timestamp() + lease,
            attempt_count=kind.attempt_count + 1,
            update_time=kind.update_time,
            **changes,
        )
        .returning(kind),
        execution_options={"synchronize_session": False, "populate_existing": True},
    ).all()
