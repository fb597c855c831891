"""Which sessions and API keys were ended before their tokens expired."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session as DatabaseSession

from server.db.clock import statement_time
from server.db.models.accounts import ApiKey, Session


def revoked_within(session: DatabaseSession, window: timedelta) -> list[UUID]:
    """Return the ids of the sessions and API keys that were revoked in the last ``window``."""
    since = statement_time() - window
    wanted = union_all(
        select(Session.id).where(Session.revoke_time > since),
        select(ApiKey.id).where(ApiKey.revoke_time > since),
    )
    return list(session.scalars(wanted))
