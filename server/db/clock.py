"""The clock that decides: PostgreSQL's, the same for all processes."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def database_now(session: Session) -> datetime:
    """The time at this moment, not at the begin of the transaction; read it after taking the locks."""
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now
