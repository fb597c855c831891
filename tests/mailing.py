"""Sending mails in tests: a worker's part, driven step by step, against a real mail server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from server.config import Settings
from server.db.engine import Database
from server.db.ids import new_id
from server.db.models.accounts import User
from server.db.models.notifications import Notification
from server.domain.email_addresses import email_key
from server.domain.notifications import NO_PERFORMANCE, message_id, notify
from server.mail.sending import Sender
from server.parts import make_sender
from server.states import NotificationKind, NotificationState, Role
from tests.mail_server import MailServer
from workers.drain import Drain


@dataclass
class Mailroom:
    """One worker that sends mails. Nothing happens by itself."""

    database: Database
    sender: Sender
    server: MailServer

    async def send(self) -> None:
        """Send what is due, and wait until nothing is in work."""
        drain = Drain(self.sender.take, self.sender.carry_on, most=8)
        await drain.run()
        await drain.finish()

    def make_due(self) -> None:
        """Let the time of the next attempts come."""
        self.execute("UPDATE notifications SET next_attempt_time = clock_timestamp() WHERE state = 1")

    def execute(self, statement: str, **values: Any) -> None:
        """Change rows behind everybody's back."""
        self.database.run_transaction(lambda session: session.execute(text(statement), values))

    def tell(self, user: User, key: str = "", **given: Any) -> UUID:
        """Write one message about nothing in particular; its id."""
        key = key or f"test/{new_id()}"
        kind = given.pop("kind", NotificationKind.PASSWORD_CHANGED)
        values = {"email": None, "performance_id": NO_PERFORMANCE, "subject": "", "data": {}} | given
        self.database.run_transaction(lambda session: notify(session, kind, recipient_id=user.id, key=key, **values))
        return message_id(int(values["performance_id"]), key)

    def row(self, notification_id: UUID) -> Notification:
        """A message as it stands."""
        rows = self.rows(id=notification_id)
        assert len(rows) == 1
        return rows[0]

    def rows(self, **wanted: Any) -> list[Notification]:
        """Messages, oldest first."""
        return self.database.run_transaction(
            lambda session: session.query(Notification).filter_by(**wanted).order_by(Notification.create_time).all()
        )

    def states(self) -> list[NotificationState]:
        """The states of all messages."""
        return [row.state for row in self.rows()]


@asynccontextmanager
async def mailroom(database: Database, server: MailServer, **settings: Any) -> AsyncIterator[Mailroom]:
    """A worker's part, with short waits."""
    given: dict[str, Any] = {
        "smtp_url": server.url,
        "smtp_timeout": timedelta(minutes=1),
        "database_url": database.url,
    } | settings
    sender = make_sender(Settings(**given), database)
    try:
        yield Mailroom(database, sender, server)
    finally:
        await sender.close()


def person(database: Database, email: str = "", name: str = "Ada Lovelace") -> User:
    """Somebody with an account."""
    user_id = new_id()
    email = email or f"p{user_id.hex}@example.org"
    user = User(
        id=user_id,
        email=email,
        email_key=email_key(email),
        display_name=name,
        password_hash="",
        role=Role.CUSTOMER,
    )

    def work(session: Any) -> User:
        session.add(user)
        session.flush()
        return user

    return database.run_transaction(work)
