"""Taking up what is due: the schedule is a column, and whoever moves it into the future has the row for so long.

So work is taken up by one worker at a time, and by another one if the first dies; see ``payment_attempts``.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, func, select, true, tuple_, update
from sqlalchemy.orm import Session

from server.db.clock import statement_time
from server.db.models.base import Base

Row = TypeVar("Row", bound=Base)


def take_up(
    session: Session,
    kind: type[Row],
    limit: int,
    lease: timedelta,
    *,
    first: Sequence[str] = (),
    only: ColumnElement[bool] | None = None,
    **changes: Any,
) -> Sequence[Row]:
    """Take up rows that are due, the longest overdue first; nobody else does for the length of ``lease``.

    Args:
        session: a transaction.
        kind: of which table; it has the columns ``next_attempt_time``, ``attempt_count`` and ``update_time``.
        limit: how many at most.
        lease: for how long.
        first: columns that decide the order before the time does.
        only: rows that meet this condition; None: any.
        changes: what else is to be written into them.
    """
    columns, key = kind.__table__.c, kind.__table__.primary_key.columns  # type: ignore[attr-defined]
    keys = session.execute(
        select(*key)
        .where(columns.next_attempt_time <= statement_time(), true() if only is None else only)
        .order_by(*(columns[name] for name in first), columns.next_attempt_time)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    ).all()
    if not keys:
        return ()
    return session.scalars(
        update(kind)
        .where(tuple_(*key).in_([tuple(row) for row in keys]))
        .values(
            next_attempt_time=func.clock_timestamp() + lease,
            attempt_count=columns.attempt_count + 1,
            update_time=columns.update_time,
            **changes,
        )
        .returning(kind),
        execution_options={"synchronize_session": False, "populate_existing": True},
    ).all()
