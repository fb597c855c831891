"""Deletes what nobody will ask for again: old answers to repeated requests, ended sessions, used-up codes.

In small batches, and past rows that somebody holds: tidying never makes anybody wait.
"""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm import Session as DatabaseSession

from server.db.clock import statement_time
from server.db.models.accounts import AccountCode, RequestResult, Session

KEEP_ENDED: Final = timedelta(days=1)
"""Longer than any access token lives: until then its session must be known to have ended."""


def delete_outdated(session: DatabaseSession, *, answers_after: timedelta, limit: int) -> int:
    """Delete one batch.

    Args:
        session: where to delete.
        answers_after: for how long a repeated ``request_id`` gets the first answer again.
        limit: most rows of each kind.

    Returns:
        How many rows were deleted; 0: nothing is left to do.
    """
    now = statement_time()
    ended = or_(Session.expire_time < now - KEEP_ENDED, Session.revoke_time < now - KEEP_ENDED)
    return (
        _delete(
            session,
            (RequestResult.scope, RequestResult.request_id),
            RequestResult.create_time < now - answers_after,
            limit,
        )
        + _delete(session, (Session.id,), ended, limit)  # its refresh tokens go with it
        + _delete(
            session, (AccountCode.user_id, AccountCode.purpose), AccountCode.expire_time < now - KEEP_ENDED, limit
        )
    )


def _delete(
    session: DatabaseSession, key: tuple[InstrumentedAttribute[Any], ...], old: ColumnElement[bool], limit: int
) -> int:
    found = session.execute(select(*key).where(old).limit(limit).with_for_update(skip_locked=True)).all()
    if found:
        # Read first, then deleted by key: a subquery may be run again by the planner, past its limit.
        session.execute(
            delete(key[0].class_).where(tuple_(*key).in_([tuple(row) for row in found])),
            execution_options={"synchronize_session": False},
        )
    return len(found)
