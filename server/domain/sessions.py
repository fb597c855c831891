"""Sessions: a log-in and the refresh tokens that descend from it.

A refresh token works once and is replaced by its successor. One that is presented again after a few seconds was
copied, so its whole session ends. Within those seconds the same successor is given again, because the first answer
may have been lost: it is computed from the token with the session's key, so nothing but hashes is stored.

Locks are always taken in the order user, session.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session as DatabaseSession

from server.db.clock import database_now
from server.db.ids import new_id
from server.db.models.accounts import ApiKey, RefreshToken, Session, User
from server.errors import PermissionDenied, Unauthenticated

_PREFIX: Final = "rlr_"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session and its newest refresh token, which is nowhere stored."""

    user: User
    session_id: UUID
    refresh_token: str
    refresh_expire_time: datetime


@dataclass(frozen=True, slots=True)
class Reused:
    """A refresh token came a second time: its session has been ended, and the caller must be told so."""

    session_id: UUID


def begin(session: DatabaseSession, user_id: UUID, *, checked_hash: str, ttl: timedelta) -> SignedIn | None:
    """Begin a session.

    Args:
        session: where to write.
        user_id: whose.
        checked_hash: the hash that the password was checked against.
        ttl: how long the refresh token is valid.

    Returns:
        None if the account is gone or its password is no longer the one that was checked.

    Raises:
        PermissionDenied: ACCOUNT_DISABLED.
    """
    user = _share(session, user_id)
    if user is None or user.password_hash != checked_hash:
        return None
    _require_enabled(user)
    family = Session(
        id=new_id(), user_id=user.id, expire_time=database_now(session) + ttl, successor_key=secrets.token_bytes(32)
    )
    token = _PREFIX + secrets.token_urlsafe(32)
    session.add(family)
    session.flush()
    session.add(RefreshToken(token_hash=_hash(token), session_id=family.id))
    return SignedIn(user, family.id, token, family.expire_time)


def rotate(session: DatabaseSession, token: str, *, ttl: timedelta, reuse_window: timedelta) -> SignedIn | Reused:
    """Replace a refresh token by its successor.

    Args:
        session: where to write.
        token: the token presented.
        ttl: how long the successor is valid.
        reuse_window: for how long after its first use the token may be presented again.

    Raises:
        Unauthenticated: TOKEN_INVALID, TOKEN_REVOKED or TOKEN_EXPIRED.
        PermissionDenied: ACCOUNT_DISABLED.
    """
    owner = session.execute(
        select(Session.user_id, Session.id)
        .join(RefreshToken, RefreshToken.session_id == Session.id)
        .where(RefreshToken.token_hash == _hash(token))
    ).first()
    user = _share(session, owner.user_id) if owner else None
    family = _lock(session, owner.id) if owner else None
    used = session.get(RefreshToken, _hash(token), populate_existing=True)
    if user is None or family is None or used is None:
        raise _unknown()
    _require_enabled(user)
    now = database_now(session)
    if family.revoke_time is not None:
        raise Unauthenticated("TOKEN_REVOKED", "the session has ended; log in again")
    if family.expire_time <= now:
        raise Unauthenticated("TOKEN_EXPIRED", "the refresh token has expired; log in again")
    successor = _successor(family, token)
    if used.use_time is None:
        used.use_time = now
        family.expire_time = now + ttl
        session.add(RefreshToken(token_hash=_hash(successor), session_id=family.id))
    elif now - used.use_time > reuse_window:
        family.revoke_time, family.revoke_reason = now, "reuse"
        return Reused(family.id)
    return SignedIn(user, family.id, successor, family.expire_time)


def log_out(session: DatabaseSession, token: str) -> UUID:
    """End the session of a refresh token, used or not; return its id. An ended one stays as it is.

    Raises:
        Unauthenticated: TOKEN_INVALID, no session has this token.
    """
    family_id = session.scalar(select(RefreshToken.session_id).where(RefreshToken.token_hash == _hash(token)))
    family = _lock(session, family_id) if family_id else None
    if family is None:
        raise _unknown()
    if family.revoke_time is None:
        family.revoke_time, family.revoke_reason = database_now(session), "log_out"
    return family.id


def end_sessions(session: DatabaseSession, user_id: UUID, reason: str) -> Sequence[UUID]:
    """End every session of a user whose row the caller has locked; return the ids of those that were alive."""
    return session.scalars(
        update(Session)
        .where(Session.user_id == user_id, Session.revoke_time.is_(None), Session.expire_time > func.clock_timestamp())
        .values(revoke_time=func.clock_timestamp(), revoke_reason=reason)
        .returning(Session.id)
        .execution_options(synchronize_session=False)
    ).all()


def end_api_keys(session: DatabaseSession, user_id: UUID) -> Sequence[UUID]:
    """Revoke every API key of a user whose row the caller has locked; return the ids of those that were alive."""
    return session.scalars(
        update(ApiKey)
        .where(ApiKey.user_id == user_id, ApiKey.revoke_time.is_(None))
        .values(revoke_time=func.clock_timestamp())
        .returning(ApiKey.id)
        .execution_options(synchronize_session=False)
    ).all()


def _share(session: DatabaseSession, user_id: UUID) -> User | None:
    """Read a user and keep it as it is until the transaction ends: no new password, no new role, not disabled."""
    return session.get(User, user_id, with_for_update={"read": True}, populate_existing=True)


def _lock(session: DatabaseSession, session_id: UUID) -> Session | None:
    return session.get(Session, session_id, with_for_update={"key_share": True}, populate_existing=True)


def _require_enabled(user: User) -> None:
    if user.disable_time is not None:
        raise PermissionDenied("ACCOUNT_DISABLED", "this account was disabled")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _successor(family: Session, token: str) -> str:
    digest = hmac.digest(family.successor_key, token.encode(), "sha256")
    return _PREFIX + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _unknown() -> Unauthenticated:
    return Unauthenticated("TOKEN_INVALID", "the refresh token is not valid; log in again")
