"""The mails that concern an account itself, written in the transaction that calls for them."""

from sqlalchemy.orm import Session

from server import resources
from server.db.ids import new_id
from server.db.models.accounts import User
from server.domain.notifications import NO_PERFORMANCE, notify
from server.states import NotificationKind


def mail_or_pretend(session: Session, kind: NotificationKind, user: User | None, email: str) -> None:
    """Write a mail to ``user``; for None do the same work with a mail to nobody, and take it back.

    So what anybody may ask for by an address alone takes as long whether or not an account has it.
    """
    savepoint = session.begin_nested()
    _mail(session, kind, user, user.email if user else email)
    if user is None:
        savepoint.rollback()
    else:
        savepoint.commit()


def welcome(session: Session, owner: User, *, is_new: bool) -> None:
    """Answer a sign-up by mail: with a verification link, or by saying that the address has an account."""
    _mail(
        session, NotificationKind.EMAIL_VERIFICATION if is_new else NotificationKind.ACCOUNT_EXISTS, owner, owner.email
    )


def tell_new_address(session: Session, user: User, former: str) -> None:
    """Mail a verification link to an account's new address, and a warning to the one that it had."""
    _mail(session, NotificationKind.EMAIL_VERIFICATION, user, user.email)
    _mail(session, NotificationKind.EMAIL_CHANGED, user, former)


def tell_new_password(session: Session, user: User) -> None:
    """Tell the owner of an account that it has another password."""
    _mail(session, NotificationKind.PASSWORD_CHANGED, user, user.email)


def _mail(session: Session, kind: NotificationKind, user: User | None, email: str) -> None:
    """Write one mail. Each is an occasion of its own, so its key is new; who repeats a request is served by its id."""
    notify(
        session,
        kind,
        recipient_id=user.id if user else None,
        email=email,
        performance_id=NO_PERFORMANCE,
        subject=resources.user(user.id) if user else "",
        key=f"{kind.name}/{new_id()}",
        data={},
    )
