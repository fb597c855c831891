"""People: opening accounts, reading and changing them, roles.

Invariants: an address belongs to one account, whatever its case; there is always an administrator who can log in
(once there was one); a change of password, of role or of being let in ends every session of the account.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from server.db.clock import database_now
from server.db.ids import new_id
from server.db.models.accounts import User
from server.domain.account_mail import tell_new_address, welcome
from server.domain.email_addresses import email_key
from server.domain.etags import require_current
from server.domain.sessions import end_api_keys, end_sessions
from server.errors import AlreadyExists, FailedPrecondition, FieldFault, InvalidArgument, NotFound
from server.resources import user as user_name
from server.states import Role

PEOPLE: Final = frozenset({Role.CUSTOMER, Role.STAFF, Role.ADMIN})

# Whoever may change the set of administrators holds this lock, so that two of them cannot remove each other.
_ADMINS_LOCK: Final = 0x526F776C41


@dataclass(frozen=True, slots=True)
class Changed:
    """A user after a change, and the sessions and API keys that the change ended."""

    user: User
    ended: Sequence[UUID] = ()


def sign_up(session: Session, *, email: str, display_name: str, locale: str, password_hash: str) -> None:
    """Open an account with the role CUSTOMER and mail a verification link.

    If the address is taken, nothing changes and its owner is told by mail: in as many statements, so nobody else is.
    """
    opened = session.execute(
        insert(User)
        .values(
            id=new_id(),
            email=email,
            email_key=email_key(email),
            display_name=display_name,
            locale=locale,
            password_hash=password_hash,
            role=Role.CUSTOMER,
        )
        .on_conflict_do_nothing(index_elements=[User.email_key])
        .returning(User.id)
    ).first()
    owner = find_by_email(session, email)
    if owner is not None:
        welcome(session, owner, is_new=opened is not None)


def find_by_email(session: Session, email: str) -> User | None:
    """The account with this address, in any case, or None."""
    return session.scalar(select(User).where(User.email_key == email_key(email)))


def get_user(session: Session, user_id: UUID) -> User:
    """Read an account.

    Raises:
        NotFound: there is none.
    """
    user = session.get(User, user_id)
    if user is None:
        raise NotFound.of(user_name(user_id))
    return user


def lock_user(session: Session, user_id: UUID) -> User:
    """Read an account in order to change it; everything that concerns its sessions waits.

    Raises:
        NotFound: there is none.
    """
    user = session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    if user is None:
        raise NotFound.of(user_name(user_id))
    return user


def list_users(
    session: Session, *, text: str, role: Role | None, after: tuple[datetime, UUID] | None, limit: int
) -> tuple[Sequence[User], int]:
    """List accounts, oldest first.

    Args:
        session: where to read.
        text: part of the address or name, in any case; empty: any.
        role: with this role only; None: any.
        after: the (create_time, id) behind which to begin; None: at the start.
        limit: how many at most.

    Returns:
        The accounts, and how many there are without ``after`` and ``limit``.
    """
    wanted: list[ColumnElement[bool]] = []
    if text:
        wanted.append(User.email.icontains(text, autoescape=True) | User.display_name.icontains(text, autoescape=True))
    if role is not None:
        wanted.append(User.role == role)
    total = session.scalar(select(func.count()).select_from(User).where(*wanted)) or 0
    query = select(User).where(*wanted).order_by(User.create_time, User.id).limit(limit)
    if after is not None:
        query = query.where(tuple_(User.create_time, User.id) > after)
    return session.scalars(query).all(), total


def update_user(
    session: Session,
    user_id: UUID,
    *,
    etag: str = "",
    email: str | None = None,
    display_name: str | None = None,
    locale: str | None = None,
) -> User:
    """Change an account's own data; None leaves a field as it is.

    A new address has to be verified: it is mailed a link, and the former one is told.

    Raises:
        NotFound: no such account.
        Aborted: ETAG_MISMATCH.
        AlreadyExists: EMAIL_TAKEN.
    """
    user = lock_user(session, user_id)
    require_current(etag, user.version)
    former = user.email
    moved = email is not None and email_key(email) != user.email_key
    if email is not None:
        user.email, user.email_key = email, email_key(email)
    if moved:
        user.email_verify_time = None
    if display_name is not None:
        user.display_name = display_name
    if locale is not None:
        user.locale = locale
    if session.is_modified(user):
        user.version += 1
    try:
        session.flush()
    except IntegrityError as error:
        raise AlreadyExists(
            "EMAIL_TAKEN",
            "another account has this e-mail address",
            fields=[FieldFault("user.email", "another account has it")],
        ) from error
    if moved:
        tell_new_address(session, user, former)
    return user


def log_out_everywhere(session: Session, user_id: UUID) -> Sequence[UUID]:
    """End every session of an account; return their ids.

    Raises:
        NotFound: no such account.
    """
    return end_sessions(session, lock_user(session, user_id).id, "log_out_everywhere")


def set_role(session: Session, user_id: UUID, role: Role, *, etag: str = "") -> Changed:
    """Give an account another role, and end its sessions, whose tokens carry the old one.

    Raises:
        NotFound: no such account.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: LAST_ADMIN.
        InvalidArgument: the role is one of devices and partners, which get theirs by API keys.
    """
    if role not in PEOPLE:
        raise InvalidArgument.of("role", "must be CUSTOMER, STAFF or ADMIN; devices get theirs by an API key")
    _lock_admins(session)
    user = lock_user(session, user_id)
    require_current(etag, user.version)
    if user.role == role:
        return Changed(user)
    if user.role == Role.ADMIN:
        _require_another_admin(session, user)
    user.role = role
    user.version += 1
    return Changed(user, end_sessions(session, user.id, "role_change"))


def disable(session: Session, user_id: UUID, *, etag: str = "") -> Changed:
    """Shut an account out: its sessions end and its API keys are revoked.

    Raises:
        NotFound: no such account.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: LAST_ADMIN.
    """
    _lock_admins(session)
    user = lock_user(session, user_id)
    require_current(etag, user.version)
    if user.disable_time is not None:
        return Changed(user)
    if user.role == Role.ADMIN:
        _require_another_admin(session, user)
    user.disable_time = database_now(session)
    user.version += 1
    return Changed(user, [*end_sessions(session, user.id, "disabled"), *end_api_keys(session, user.id)])


def enable(session: Session, user_id: UUID, *, etag: str = "") -> Changed:
    """Let a disabled account in again; its sessions and API keys stay revoked.

    Raises:
        NotFound: no such account.
        Aborted: ETAG_MISMATCH.
    """
    user = lock_user(session, user_id)
    require_current(etag, user.version)
    if user.disable_time is not None:
        user.disable_time = None
        user.version += 1
    return Changed(user)


def ensure_admin(session: Session, *, email: str, display_name: str, password_hash: str) -> bool:
    """Make an administrator, or make the account with this address one and let it in again.

    An account that exists keeps its name and password; one that gains the role loses its sessions.

    Returns:
        Whether a new account was made.
    """
    _lock_admins(session)
    found = find_by_email(session, email)
    if found is None:
        session.add(
            User(
                id=new_id(),
                email=email,
                email_key=email_key(email),
                display_name=display_name,
                password_hash=password_hash,
                role=Role.ADMIN,
                # Whoever has a shell on the server has vouched for the address.
                email_verify_time=database_now(session),
            )
        )
        return True
    user = lock_user(session, found.id)
    if user.role != Role.ADMIN or user.disable_time is not None:
        user.role = Role.ADMIN
        user.disable_time = None
        user.version += 1
        end_sessions(session, user.id, "role_change")
    return False


def _lock_admins(session: Session) -> None:
    session.execute(select(func.pg_advisory_xact_lock(_ADMINS_LOCK)))


def _require_another_admin(session: Session, user: User) -> None:
    others = exists().where(User.role == Role.ADMIN, User.disable_time.is_(None), User.id != user.id)
    if user.disable_time is None and not session.scalar(select(others)):
        raise FailedPrecondition("LAST_ADMIN", "the last administrator cannot be disabled or lose the role")
