"""What was written to an address, and what the worker would put into a mail."""

from sqlalchemy import select

from server.db.engine import Database
from server.db.models.accounts import User
from server.db.models.notifications import Notification
from server.domain import account_codes
from server.domain.email_addresses import email_key
from server.states import CodePurpose, NotificationKind


async def mails_to(database: Database, email: str) -> list[NotificationKind]:
    """The kinds of the mails to an address, oldest first."""
    return await database.read(
        lambda session: list(
            session.scalars(
                select(Notification.kind)
                .where(Notification.email == email)
                .order_by(Notification.create_time, Notification.id)
            )
        )
    )


async def code_in_mail(database: Database, email: str, purpose: CodePurpose) -> str:
    """A code as a mail that is made now would have it; there must be such a mail."""
    kinds = {
        CodePurpose.VERIFY_EMAIL: NotificationKind.EMAIL_VERIFICATION,
        CodePurpose.RESET_PASSWORD: NotificationKind.PASSWORD_RESET,
    }
    assert kinds[purpose] in await mails_to(database, email)

    def issued(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 (a closure of two lines)
        owner = session.scalars(select(User).where(User.email_key == email_key(email))).one()
        return account_codes.issue(session, owner.id, purpose, email=email)

    return str(await database.transaction(issued))
