"""What proves an account to be somebody's: the address and the password, and what changes with them.

What anybody may ask for by an address alone does the same work whether or not an account has it, so neither the answer
nor the time that it takes says who has one. A new password ends every session, and links of reset mails that are still
on their way become useless.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.orm import Session

from server.db.clock import database_now
from server.db.models.accounts import AccountCode, User
from server.domain import account_codes
from server.domain.account_mail import mail_or_pretend, tell_new_password
from server.domain.accounts import Changed, find_by_email, lock_user
from server.domain.sessions import end_sessions
from server.states import CodePurpose, NotificationKind


@dataclass(frozen=True, slots=True)
class Owner:
    """Of whom a new password must not be a copy."""

    email: str
    display_name: str


def ask_for_verification(session: Session, email: str) -> None:
    """Mail a verification link to an address, if an account has it and has not verified it yet."""
    user = find_by_email(session, email)
    waiting = user is not None and user.email_verify_time is None and user.disable_time is None
    mail_or_pretend(session, NotificationKind.EMAIL_VERIFICATION, user if waiting else None, email)


def ask_for_reset(session: Session, email: str) -> None:
    """Mail a reset link to an address, if an account has it that may log in."""
    user = find_by_email(session, email)
    admitted = user is not None and user.disable_time is None
    mail_or_pretend(session, NotificationKind.PASSWORD_RESET, user if admitted else None, email)


def verify_email(session: Session, code: str) -> None:
    """Mark the address to which a code was mailed as its account's.

    Raises:
        InvalidArgument: CODE_INVALID.
    """
    _verified(session, account_codes.redeem(session, code, CodePurpose.VERIFY_EMAIL))


def owner_by_reset_code(session: Session, code: str) -> Owner:
    """Whose password a code would reset; the code stays unused.

    Raises:
        InvalidArgument: CODE_INVALID.
    """
    user = account_codes.owner(session, code, CodePurpose.RESET_PASSWORD)
    return Owner(user.email, user.display_name)


def reset_password(session: Session, code: str, new_hash: str) -> Changed:
    """Set a new password by a code, and end every session.

    The code was mailed to the account's address, so the address is verified by it, too.

    Raises:
        InvalidArgument: CODE_INVALID.
    """
    user = account_codes.redeem(session, code, CodePurpose.RESET_PASSWORD)
    _verified(session, user)
    return _set_password(session, user, new_hash, "password_reset")


def change_password(session: Session, user_id: UUID, *, old_hash: str, new_hash: str) -> Changed | None:
    """Set a new password and end every session.

    Args:
        session: where to write.
        user_id: whose.
        old_hash: the hash that the caller's current password was checked against.
        new_hash: the new password's.

    Returns:
        None if the password is no longer the one that was checked.
    """
    user = lock_user(session, user_id)
    if user.password_hash != old_hash:
        return None
    session.execute(
        delete(AccountCode).where(AccountCode.user_id == user.id, AccountCode.purpose == CodePurpose.RESET_PASSWORD)
    )
    return _set_password(session, user, new_hash, "password_change")


def renew_hash(session: Session, user_id: UUID, *, old_hash: str, new_hash: str) -> bool:
    """Store the same password at today's costs; False if the password is no longer the one that was checked."""
    user = session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    if user is None or user.password_hash != old_hash:
        return False
    user.password_hash = new_hash
    session.flush()
    return True


def _verified(session: Session, user: User) -> None:
    if user.email_verify_time is None:
        user.email_verify_time = database_now(session)
        user.version += 1


def _set_password(session: Session, user: User, new_hash: str, reason: str) -> Changed:
    user.password_hash = new_hash
    user.version += 1
    tell_new_password(session, user)
    return Changed(user, end_sessions(session, user.id, reason))
