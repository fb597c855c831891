"""Codes that are mailed: they prove an address, or permit a new password.

A code is 256 random bits, made when its mail is made and stored as a hash only. It works once, for its purpose and
its time, for the address that it was mailed to, and until a newer one for the same purpose takes its place.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.db.clock import database_now
from server.db.models.accounts import AccountCode, User
from server.domain.email_addresses import email_key
from server.errors import FieldFault, InvalidArgument
from server.states import CodePurpose

LIFETIMES: Final[Mapping[CodePurpose, timedelta]] = MappingProxyType(
    {CodePurpose.VERIFY_EMAIL: timedelta(hours=24), CodePurpose.RESET_PASSWORD: timedelta(minutes=20)}
)
"""How long a code works, from the moment at which its mail was made."""


def issue(session: Session, user_id: UUID, purpose: CodePurpose, *, email: str) -> str:
    """Make a code; earlier ones of the same purpose stop working.

    Args:
        session: a transaction; commit it before the mail leaves, or the code will not be known.
        user_id: whose account it is for.
        purpose: what it will be good for.
        email: the address that it is mailed to. A code that reaches an address which the account has given up is
            worth nothing.

    Returns:
        The code, which is nowhere stored: 43 letters, digits, ``-`` and ``_``.
    """
    code = secrets.token_urlsafe(32)
    now = func.clock_timestamp()
    row = insert(AccountCode).values(
        user_id=user_id,
        purpose=purpose,
        code_hash=_hash(code),
        email_key=email_key(email),
        create_time=now,
        expire_time=now + LIFETIMES[purpose],
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=[AccountCode.user_id, AccountCode.purpose],
            set_={
                "code_hash": row.excluded.code_hash,
                "email_key": row.excluded.email_key,
                "create_time": row.excluded.create_time,
                "expire_time": row.excluded.expire_time,
                "use_time": None,
            },
        )
    )
    return code


def redeem(session: Session, code: str, purpose: CodePurpose) -> User:
    """Use a code up; return its account, whose row is locked until the transaction ends.

    Raises:
        InvalidArgument: CODE_INVALID: unknown, for something else, used, expired, replaced by a newer one, mailed to
            an address that the account no longer has, or the account is shut out. The answer does not tell which.
    """
    # Two who present one code meet at the user's row: the second one finds it used.
    user = _owner(session, code, purpose, lock=True)
    found = _live(session, code, user)
    found.use_time = database_now(session)
    return user


def owner(session: Session, code: str, purpose: CodePurpose) -> User:
    """Whose code this is; it stays unused.

    Raises:
        InvalidArgument: CODE_INVALID, as for ``redeem``.
    """
    user = _owner(session, code, purpose, lock=False)
    _live(session, code, user)
    return user


def _owner(session: Session, code: str, purpose: CodePurpose, *, lock: bool) -> User:
    owner_id = session.scalar(
        select(AccountCode.user_id).where(AccountCode.code_hash == _hash(code), AccountCode.purpose == purpose)
    )
    mode = {"key_share": True} if lock else None
    user = session.get(User, owner_id, with_for_update=mode, populate_existing=True) if owner_id else None
    if user is None or user.disable_time is not None:
        raise _invalid()
    return user


def _live(session: Session, code: str, user: User) -> AccountCode:
    found = session.scalar(
        select(AccountCode).where(
            AccountCode.code_hash == _hash(code),
            AccountCode.email_key == user.email_key,
            AccountCode.use_time.is_(None),
            AccountCode.expire_time > func.clock_timestamp(),
        )
    )
    if found is None:
        raise _invalid()
    return found


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()


def _invalid() -> InvalidArgument:
    return InvalidArgument(
        "CODE_INVALID",
        "the code is unknown, expired or used; ask for a new mail",
        fields=[FieldFault("code", "is unknown, expired or used")],
    )
