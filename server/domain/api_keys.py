"""API keys: how devices and partners get access tokens.

A key's secret is 256 random bits, so a plain SHA-256 keeps it. Its first characters are kept readable, so that
people can tell keys apart.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import Session

from server.db.clock import database_now
from server.db.ids import new_id
from server.db.models.accounts import ApiKey, User
from server.errors import InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from server.resources import api_key as key_name
from server.resources import user as user_name
from server.states import Role

_PREFIX: Final = "rlk_"
_SHOWN: Final = 12
_USE_GRAIN: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a key may do, beside what its role says.

    Attributes:
        scopes: resource names that its tokens are narrowed to; none: no such bound.
        permissions: what its tokens may be used for; none: all that the role may do, but not ALL_BOOKINGS.
        calls_per_minute: over all servers; 0: no bound of its own.
        held_places_per_day: places that it may claim; 0: no bound.
        sold_places_per_day: places for which it may begin to pay; 0: no bound.
    """

    scopes: Sequence[str] = ()
    permissions: Sequence[int] = ()
    calls_per_minute: int = 0
    held_places_per_day: int = 0
    sold_places_per_day: int = 0


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key and its secret, which is nowhere stored."""

    key: ApiKey
    secret: str


def create(
    session: Session,
    owner_id: UUID,
    *,
    display_name: str,
    role: Role,
    bounds: Bounds,
    expire_time: datetime | None,
    rotated_from: ApiKey | None = None,
) -> NewKey:
    """Make a key.

    Args:
        session: where to write.
        owner_id: the user who answers for it.
        display_name: what it is for.
        role: what its tokens may do.
        bounds: what else bounds them.
        expire_time: when it stops working; None: never.
        rotated_from: the key that it is the successor of.

    Raises:
        NotFound: no such user.
        PermissionDenied: ACCOUNT_DISABLED.
        InvalidArgument: ``expire_time`` has passed.
    """
    owner = session.get(User, owner_id, with_for_update={"read": True})
    if owner is None:
        raise NotFound.of(user_name(owner_id))
    if owner.disable_time is not None:
        raise PermissionDenied("ACCOUNT_DISABLED", "the account that would answer for the key is disabled")
    if expire_time is not None and expire_time <= database_now(session):
        raise InvalidArgument.of("api_key.expire_time", "must be in the future")
    secret = _PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        id=new_id(),
        user_id=owner.id,
        display_name=display_name,
        role=role,
        scopes=list(bounds.scopes),
        permissions=list(bounds.permissions),
        calls_per_minute=bounds.calls_per_minute,
        held_places_per_day=bounds.held_places_per_day,
        sold_places_per_day=bounds.sold_places_per_day,
        rotated_from=None if rotated_from is None else rotated_from.id,
        family_id=None if rotated_from is None else rotated_from.family_id or rotated_from.id,
        prefix=secret[:_SHOWN],
        key_hash=_hash(secret),
        expire_time=expire_time,
    )
    session.add(key)
    session.flush()
    return NewKey(key, secret)


def list_keys(
    session: Session, *, owner_id: UUID | None, after: tuple[datetime, UUID] | None, limit: int
) -> tuple[Sequence[ApiKey], int]:
    """List keys, newest first.

    Args:
        session: where to read.
        owner_id: whose; None: those of all.
        after: the (create_time, id) behind which to begin; None: at the start.
        limit: how many at most.

    Returns:
        The keys, and how many there are without ``after`` and ``limit``.

    Raises:
        NotFound: no such user.
    """
    wanted: list[ColumnElement[bool]] = []
    if owner_id is not None:
        if session.get(User, owner_id) is None:
            raise NotFound.of(user_name(owner_id))
        wanted.append(ApiKey.user_id == owner_id)
    total = session.scalar(select(func.count()).select_from(ApiKey).where(*wanted)) or 0
    query = select(ApiKey).where(*wanted).order_by(ApiKey.create_time.desc(), ApiKey.id.desc()).limit(limit)
    if after is not None:
        query = query.where(tuple_(ApiKey.create_time, ApiKey.id) < after)
    return session.scalars(query).all(), total


def revoke(session: Session, owner_id: UUID, key_id: UUID) -> ApiKey:
    """Make a key useless. A revoked one stays as it is.

    Raises:
        NotFound: that user has no such key.
    """
    key = session.get(ApiKey, key_id, with_for_update={"key_share": True})
    if key is None or key.user_id != owner_id:
        raise NotFound.of(key_name(owner_id, key_id))
    if key.revoke_time is None:
        key.revoke_time = database_now(session)
    return key


def rotate(session: Session, secret: str, overlap: timedelta) -> tuple[NewKey, datetime]:
    """Make a successor of the key of a secret; the key itself works until ``overlap`` has passed.

    Returns:
        The new key, and when the former one ends.

    Raises:
        Unauthenticated: API_KEY_INVALID, unknown, expired or revoked.
        PermissionDenied: ACCOUNT_DISABLED, the user who answers for it is shut out.
    """
    former = exchange(session, secret)
    bounds = Bounds(
        former.scopes,
        former.permissions,
        former.calls_per_minute,
        former.held_places_per_day,
        former.sold_places_per_day,
    )
    made = create(
        session,
        former.user_id,
        display_name=former.display_name,
        role=former.role,
        bounds=bounds,
        expire_time=former.expire_time,
        rotated_from=former,
    )
    end = database_now(session) + overlap
    former.expire_time = end if former.expire_time is None else min(end, former.expire_time)
    return made, former.expire_time


def exchange(session: Session, secret: str) -> ApiKey:
    """Return the key of a secret, which was used now.

    Raises:
        Unauthenticated: API_KEY_INVALID, unknown, expired or revoked.
        PermissionDenied: ACCOUNT_DISABLED, the user who answers for it is shut out.
    """
    found = session.execute(
        select(ApiKey, User.disable_time).join(User, User.id == ApiKey.user_id).where(ApiKey.key_hash == _hash(secret))
    ).first()
    if found is None:
        raise _invalid()
    key, disable_time = found
    now = database_now(session)
    if disable_time is not None:
        raise PermissionDenied("ACCOUNT_DISABLED", "the account that answers for the API key was disabled")
    if key.revoke_time is not None or (key.expire_time is not None and key.expire_time <= now):
        raise _invalid()
    # To the minute only: many devices may share a key, and each write locks its row.
    if key.use_time is None or now - key.use_time > _USE_GRAIN:
        key.use_time = now
    return key


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _invalid() -> Unauthenticated:
    return Unauthenticated("API_KEY_INVALID", "the API key is unknown, expired or revoked")
