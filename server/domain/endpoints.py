"""Webhook endpoints: the addresses that partners have changes sent to, and the secrets that sign messages.

A secret must be at hand to sign with it, so it is stored as it is, like the keys that sign tokens. Nothing ever shows
it again after it was made.
"""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, tuple_, update
from sqlalchemy.orm import Session

from server.db.clock import database_now
from server.db.ids import new_id
from server.db.models.accounts import User
from server.db.models.partner import WebhookDelivery, WebhookEndpoint, WebhookLane
from server.domain.changes import Sight
from server.domain.etags import require_current
from server.errors import FailedPrecondition, NotFound
from server.resources import user as user_name
from server.resources import webhook_endpoint as endpoint_name
from server.states import DeliveryOutcome

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the beginning of every secret
MOST_ENDPOINTS: Final = 20
SHOWN: Final = 12
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class NewSecret:
    """An endpoint, and the text of the secret that it has just got."""

    endpoint: WebhookEndpoint
    secret: str


def create(
    session: Session, owner_id: UUID, sight: Sight, *, uri: str, display_name: str, kinds: Sequence[int]
) -> NewSecret:
    """Make an endpoint.

    Args:
        session: where to write.
        owner_id: whose.
        sight: what its maker may see, which it is told from now on.
        uri: where to send to; checked by the caller.
        display_name: what it is for.
        kinds: what is sent; empty: everything.

    Raises:
        NotFound: no such user.
        FailedPrecondition: WEBHOOK_ENDPOINT_LIMIT.
    """
    # The owner's row is locked, so that nobody makes a twenty-first beside a twentieth.
    if session.get(User, owner_id, with_for_update={"key_share": True}) is None:
        raise NotFound.of(user_name(owner_id))
    count = session.scalar(select(func.count()).select_from(WebhookEndpoint).where(WebhookEndpoint.user_id == owner_id))
    if (count or 0) >= MOST_ENDPOINTS:
        raise FailedPrecondition(
            "WEBHOOK_ENDPOINT_LIMIT",
            f"an account has at most {MOST_ENDPOINTS} webhook endpoints",
            limit=str(MOST_ENDPOINTS),
        )
    secret = secrets.token_bytes(_SECRET_BYTES)
    endpoint = WebhookEndpoint(
        id=new_id(),
        user_id=owner_id,
        uri=uri,
        display_name=display_name,
        kinds=list(kinds),
        scopes=sorted(sight.scopes),
        all_bookings=sight.customer_id is None,
        everything=sight.drafts,
        secret=secret,
    )
    session.add(endpoint)
    session.flush()
    return NewSecret(endpoint, secret_text(secret))


def sight_of(endpoint: WebhookEndpoint) -> Sight:
    """What an endpoint may be told."""
    return Sight(
        customer_id=None if endpoint.all_bookings else endpoint.user_id,
        scopes=frozenset(endpoint.scopes),
        drafts=endpoint.everything,
    )


def get(session: Session, owner_id: UUID, endpoint_id: UUID, *, lock: bool = False) -> WebhookEndpoint:
    """An endpoint of a user's.

    Raises:
        NotFound: that user has no such endpoint.
    """
    endpoint = session.get(WebhookEndpoint, endpoint_id, with_for_update={"key_share": True} if lock else None)
    if endpoint is None or endpoint.user_id != owner_id:
        raise NotFound.of(endpoint_name(owner_id, endpoint_id))
    return endpoint


def page(
    session: Session, owner_id: UUID | None, after: tuple[datetime, UUID] | None, limit: int
) -> tuple[Sequence[WebhookEndpoint], int]:
    """Endpoints, newest first, and how many there are in all; ``owner_id`` None: those of everybody.

    Raises:
        NotFound: no such user.
    """
    wanted: list[ColumnElement[bool]] = []
    if owner_id is not None:
        if session.get(User, owner_id) is None:
            raise NotFound.of(user_name(owner_id))
        wanted.append(WebhookEndpoint.user_id == owner_id)
    total = session.scalar(select(func.count()).select_from(WebhookEndpoint).where(*wanted)) or 0
    query = select(WebhookEndpoint).where(*wanted)
    if after is not None:
        query = query.where(tuple_(WebhookEndpoint.create_time, WebhookEndpoint.id) < after)
    order = (WebhookEndpoint.create_time.desc(), WebhookEndpoint.id.desc())
    return session.scalars(query.order_by(*order).limit(limit)).all(), total


def change(
    session: Session, owner_id: UUID, endpoint_id: UUID, values: Mapping[str, Any], etag: str
) -> WebhookEndpoint:
    """Change an endpoint. Switched on again, it gets what it has missed.

    Args:
        session: where to write.
        owner_id: whose it is.
        endpoint_id: which.
        values: ``uri``, ``display_name``, ``kinds`` and ``disabled``, of those that change.
        etag: what the caller knows of it; empty: nothing.

    Raises:
        NotFound: that user has no such endpoint.
        Aborted: ETAG_MISMATCH.
    """
    endpoint = get(session, owner_id, endpoint_id, lock=True)
    require_current(etag, endpoint.version)
    for name, value in values.items():
        if name == "disabled":
            _switch(session, endpoint, off=value)
        else:
            setattr(endpoint, name, value)
    endpoint.version += 1
    session.flush()
    return endpoint


def delete(session: Session, owner_id: UUID, endpoint_id: UUID) -> None:
    """Delete an endpoint; its lanes and deliveries go with it.

    Raises:
        NotFound: that user has no such endpoint.
    """
    endpoint = session.get(WebhookEndpoint, endpoint_id, with_for_update=True)
    if endpoint is None or endpoint.user_id != owner_id:
        raise NotFound.of(endpoint_name(owner_id, endpoint_id))
    session.delete(endpoint)
    session.flush()


def rotate(session: Session, owner_id: UUID, endpoint_id: UUID, overlap: timedelta) -> NewSecret:
    """Give an endpoint another secret; until ``overlap`` has passed, messages are signed by the former one, too.

    Raises:
        NotFound: that user has no such endpoint.
    """
    endpoint = get(session, owner_id, endpoint_id, lock=True)
    secret = secrets.token_bytes(_SECRET_BYTES)
    endpoint.former_secret = endpoint.secret if overlap else None
    endpoint.former_secret_expire_time = database_now(session) + overlap if overlap else None
    endpoint.secret = secret
    endpoint.version += 1
    session.flush()
    return NewSecret(endpoint, secret_text(secret))


def switch_off(session: Session, endpoint_id: UUID, reason: str) -> WebhookEndpoint | None:
    """Switch an endpoint off because it does not work; None: it is gone, or off already."""
    endpoint = session.get(WebhookEndpoint, endpoint_id, with_for_update={"key_share": True}, populate_existing=True)
    if endpoint is None or endpoint.disable_time is not None:
        return None
    _switch(session, endpoint, off=True)
    endpoint.disable_reason = reason
    endpoint.version += 1
    session.flush()
    return endpoint


def waiting(session: Session, endpoint_ids: Sequence[UUID]) -> dict[UUID, int]:
    """For how many performances endpoints have something left to be delivered."""
    rows = session.execute(
        select(WebhookLane.endpoint_id, func.count())
        .where(WebhookLane.endpoint_id.in_(endpoint_ids), WebhookLane.target > WebhookLane.cursor)
        .group_by(WebhookLane.endpoint_id)
    )
    return {row.endpoint_id: int(row[1]) for row in rows}


def attempts(
    session: Session,
    endpoint: WebhookEndpoint,
    *,
    failed_only: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[WebhookDelivery]:
    """Attempts to deliver to an endpoint, newest first, at most ``limit``.

    Args:
        session: a transaction.
        endpoint: whose.
        failed_only: leave out those that were taken.
        after: the last one of the page before, by time and id; None: from the newest on.
        limit: how many at most.
    """
    query = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id)
    if failed_only:
        query = query.where(WebhookDelivery.outcome != DeliveryOutcome.DELIVERED)
    if after is not None:
        query = query.where(tuple_(WebhookDelivery.create_time, WebhookDelivery.id) < after)
    order = (WebhookDelivery.create_time.desc(), WebhookDelivery.id.desc())
    return session.scalars(query.order_by(*order).limit(limit)).all()


def require_on(endpoint: WebhookEndpoint) -> None:
    """Return if an endpoint is switched on.

    Raises:
        FailedPrecondition: WEBHOOK_ENDPOINT_DISABLED.
    """
    if endpoint.disable_time is not None:
        raise FailedPrecondition("WEBHOOK_ENDPOINT_DISABLED", "the webhook endpoint is switched off")


def secret_text(secret: bytes) -> str:
    """A secret as receivers are given it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def _switch(session: Session, endpoint: WebhookEndpoint, *, off: bool) -> None:
    if off == (endpoint.disable_time is not None):
        return
    endpoint.disable_time = database_now(session) if off else None
    endpoint.disable_reason = ""
    endpoint.failing_since = None
    # Whoever is just sending finds that the lane is no longer theirs.
    lanes = update(WebhookLane).where(WebhookLane.endpoint_id == endpoint.id)
    session.execute(
        lanes.values(
            next_attempt_time=None,
            test_id=None,
            attempt_count=WebhookLane.attempt_count + 1,
            failure_count=0,
            failing_since=None,
        ),
        execution_options={"synchronize_session": False},
    )
    if not off:
        session.execute(
            lanes.where(WebhookLane.target > WebhookLane.cursor).values(next_attempt_time=func.clock_timestamp()),
            execution_options={"synchronize_session": False},
        )
