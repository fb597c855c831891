"""What a worker process is made of. Belongs to one event loop: that of the worker's async actors."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from server.config import Settings
from server.db.engine import Database
from server.db.models.payments import Payment, Refund
from server.domain.deliveries import Lane
from server.domain.payment_attempts import Attempt
from server.domain.payment_comparison import Comparison
from server.domain.refund_attempts import RefundAttempt
from server.domain.webhooks import Message
from server.mail.sending import Due, Sender
from server.partners.addresses import Addresses
from server.partners.delivering import MOST_AT_ONCE, Deliverer
from server.partners.sending import Sending
from server.parts import connect_database, connect_redis, make_ledger, make_publisher, make_sender
from server.payments.collecting import Collector, Patience
from server.payments.comparing import Comparer
from server.payments.port import PaymentProvider
from server.payments.providers import close_providers, connect_providers
from server.payments.refunding import Refunder
from server.payments.watched import watched
from server.payments.webhook_handling import WebhookHandler
from server.redis_clients import RedisClient
from server.seats.feed_publication import Publisher
from server.seats.ledger import Ledger
from server.states import Provider
from server.waiting_room.index import LineIndex
from workers.drain import Drain

_COMPARED_AT_ONCE: Final = 4
"""Comparisons are in no hurry, and providers limit how often they are asked."""


@dataclass(frozen=True, slots=True)
class WorkerRuntime:
    """Everything that work needs.

    Attributes:
        settings: what it was built from.
        database: where the schedule is.
        ledger: changes seats; it combines what the actors of this process ask for.
        payments: works off due payments.
        refunds: works off due refunds.
        comparisons: works off payments that are to be compared with their provider's books.
        webhooks: works off what providers have told.
        mails: works off messages that are due.
        deliveries: works off what webhook endpoints are to be told.
        deliverer: tells them, and keeps the log of what changed.
        sender: sends them.
        providers: what speaks to those who move money.
        line_index: the lines of waiting rooms in Redis.
    """

    settings: Settings
    database: Database
    ledger: Ledger
    payments: Drain[Attempt]
    refunds: Drain[RefundAttempt]
    comparisons: Drain[Comparison]
    webhooks: Drain[Message]
    mails: Drain[Due]
    deliveries: Drain[Lane]
    deliverer: Deliverer
    sender: Sender
    providers: Mapping[Provider, PaymentProvider]
    line_index: LineIndex
    redis: RedisClient
    publisher: Publisher

    @classmethod
    async def start(cls, settings: Settings) -> Self:
        """Build everything; nothing is connected before it is needed."""
        database = connect_database(settings)
        redis = connect_redis(settings)
        publisher = make_publisher(settings, redis)
        ledger = make_ledger(settings, database, publisher)
        providers = watched(connect_providers(settings, database))
        patience = Patience(
            call=settings.payment_call_timeout,
            first_wait=settings.payment_resolve_interval,
            longest_hold=settings.payment_max_time,
            ask=settings.payment_ask_interval,
        )
        collector = Collector(database, ledger, providers, patience)
        comparer = Comparer(database, collector, settings.payment_compare_after)
        refunder = Refunder(database, providers, patience, rate=settings.refund_rate or None)
        sender = make_sender(settings, database)
        deliverer = _deliverer(settings, database)
        payments = Drain(collector.take, collector.carry_on, kind="payments")
        refunds = Drain(refunder.take, refunder.carry_on, pause=refunder.pause, kind="refunds")
        webhooks = WebhookHandler(
            database,
            providers,
            patience,
            most_attempts=settings.webhook_attempts,
            carry_on={Payment: payments.run, Refund: refunds.run},
        )
        return cls(
            settings=settings,
            database=database,
            ledger=ledger,
            payments=payments,
            refunds=refunds,
            comparisons=Drain(comparer.take, comparer.carry_on, most=_COMPARED_AT_ONCE, kind="comparisons"),
            # Few at once: what providers tell in thousands must not use up what they let us ask.
            webhooks=Drain(webhooks.take, webhooks.handle, most=8, kind="webhooks"),
            # The next ones are made while these are handed over.
            mails=Drain(sender.take, sender.carry_on, most=2 * settings.smtp_connections, kind="mails"),
            deliveries=Drain(
                deliverer.take, deliverer.carry_on, most=MOST_AT_ONCE, pause=deliverer.pause, kind="deliveries"
            ),
            deliverer=deliverer,
            sender=sender,
            providers=providers,
            line_index=LineIndex(redis, database, settings.redis_key_prefix),
            redis=redis,
            publisher=publisher,
        )

    async def close(self) -> None:
        """Let what is under way end, within limits, and close everything."""
        # Messages first: they have payments and refunds looked at.
        await self.webhooks.close()
        await asyncio.gather(self.payments.close(), self.refunds.close(), self.comparisons.close())
        await asyncio.gather(self.mails.close(), self.deliveries.close())
        await self.sender.close()
        await close_providers(self.providers)
        await self.ledger.close()
        await self.publisher.close()
        await self.redis.aclose()
        await asyncio.to_thread(self.database.close)


def _deliverer(settings: Settings, database: Database) -> Deliverer:
    """What tells webhook endpoints."""
    return Deliverer(
        database,
        Sending(
            Addresses(allow_private=settings.delivery_private_networks),
            time_limit=settings.delivery_timeout.total_seconds(),
            ca_file=None if settings.delivery_ca_file is None else str(settings.delivery_ca_file),
        ),
    )
