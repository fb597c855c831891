"""Partners in tests: the log of changes and webhook endpoints, driven step by step."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.db.models.accounts import User
from server.db.models.partner import Change, WebhookDelivery, WebhookEndpoint, WebhookLane
from server.domain import changes, endpoints
from server.domain.changes import Sight
from server.domain.endpoints import NewSecret
from server.partners.addresses import Addresses
from server.partners.delivering import MOST_AT_ONCE, Deliverer
from server.partners.sending import Sending
from server.states import Role
from workers.drain import Drain

PRIVATE = Addresses(allow_private=True)


class PostOffice:
    """One worker that tells partners. Nothing happens by itself.

    Args:
        database: where the log and the lanes are.
        addresses: which may be sent to.
        time_limit: seconds for one message. Long by default: a machine that stands still is no receiver that does.
        ca_file: authorities that receivers' certificates are checked by.
    """

    def __init__(
        self,
        database: Database,
        *,
        addresses: Addresses = PRIVATE,
        time_limit: float = 60.0,
        ca_file: str | None = None,
    ) -> None:
        self.database = database
        self.deliverer = Deliverer(database, Sending(addresses, time_limit=time_limit, ca_file=ca_file))
        self.drain = Drain(self.deliverer.take, self.deliverer.carry_on, most=MOST_AT_ONCE, pause=self.deliverer.pause)

    async def work(self) -> None:
        """Place what is new, and deliver what is due, until nothing is. What fails meanwhile is not tried again."""
        begin = await self.database.read(lambda session: session.scalar(text("SELECT clock_timestamp()")))
        await self.deliverer.place()
        while await self.is_due(begin):
            await self.drain.run()
            await self.drain.finish()

    async def is_due(self, begin: datetime) -> bool:
        """Whether anything may be sent now, but for what has failed since ``begin``, however long ago that is."""
        due = text(
            "SELECT EXISTS (SELECT FROM webhook_lanes l JOIN webhook_endpoints e ON e.id = l.endpoint_id "
            "WHERE e.disable_time IS NULL AND l.next_attempt_time <= clock_timestamp() "
            "AND (l.failure_count = 0 OR l.next_attempt_time <= :begin))"
        )
        return bool(await self.database.read(lambda session: session.scalar(due, {"begin": begin})))

    def make_due(self) -> None:
        """Let the wait after failures be over, and the leases of dead workers."""
        self.execute("UPDATE webhook_lanes SET next_attempt_time = now() WHERE next_attempt_time IS NOT NULL")

    def let_days_pass(self, days: float) -> None:
        """Let everything that has failed so far have failed earlier."""
        back = f"failing_since = failing_since - interval '{days} days'"
        self.execute(f"UPDATE webhook_lanes SET {back}")
        self.execute(f"UPDATE webhook_endpoints SET {back}")

    def execute(self, sql: str) -> None:
        """Change what no function changes."""
        self.database.run_transaction(lambda session: session.execute(text(sql)))

    def subscribe(self, uri: str, owner: UUID | None = None, sight: Sight | None = None, **more: Any) -> NewSecret:
        """An endpoint of somebody who sees everything, or what is said."""
        owner_id = owner or partner(self.database)
        values = {"display_name": "", "kinds": [], **more}
        return self.database.run_transaction(
            lambda session: endpoints.create(session, owner_id, sight or Sight(None), uri=uri, **values)
        )

    def endpoint(self, endpoint_id: UUID) -> WebhookEndpoint:
        """As it is now."""
        return self.database.run_transaction(lambda session: session.get_one(WebhookEndpoint, endpoint_id))

    def lanes(self) -> Sequence[WebhookLane]:
        """As they are now."""
        query = select(WebhookLane).order_by(WebhookLane.performance_id)
        return self.database.run_transaction(lambda session: session.scalars(query).all())

    def attempts(self) -> Sequence[WebhookDelivery]:
        """In the order in which they were made."""
        query = select(WebhookDelivery).order_by(WebhookDelivery.create_time, WebhookDelivery.id)
        return self.database.run_transaction(lambda session: session.scalars(query).all())

    def log(self, after: int = 0, sight: Sight | None = None, **narrowed: Any) -> Sequence[Change]:
        """What can be read."""
        return self.database.run_transaction(
            lambda session: (
                changes.read_changes(
                    session, sight or Sight(None, drafts=True), after=after, limit=1000, **narrowed
                ).changes
            )
        )

    def end(self) -> int:
        """The newest position."""
        read = "SELECT position FROM change_sequence"
        return int(self.database.run_transaction(lambda session: session.scalar(text(read))) or 0)


def partner(database: Database) -> UUID:
    """An account that owns keys and endpoints."""
    owner_id = uuid4()

    def work(session: Session) -> None:
        email = f"{owner_id.hex}@example.com"
        session.add(
            User(
                id=owner_id, email=email, email_key=email, display_name="Partner", password_hash="-", role=Role.CUSTOMER
            )
        )

    database.run_transaction(work)
    return owner_id


async def together(*offices: PostOffice) -> None:
    """Have several workers work at once."""
    await asyncio.gather(*(office.work() for office in offices))
