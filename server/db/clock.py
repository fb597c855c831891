"""The clock that decides: PostgreSQL's, the same for all processes."""

from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session


def database_now(session: Session) -> datetime:
    """The time at this moment, not at the begin of the transaction; read it after taking the locks."""
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now


def statement_time() -> ColumnElement[datetime]:
    """The time at which a statement began, for conditions on columns that have an index.

    It stays the same within the statement, so PostgreSQL finds what is older by the index. ``clock_timestamp()`` may
    differ from row to row: with it each row that waits for a later time would be looked at, too.
    """
    return func.statement_timestamp()
