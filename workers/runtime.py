"""What a worker process is made of. Belongs to one event loop: that of the worker's async actors."""

import asyncio
from dataclasses import dataclass
from typing import Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from server.config import LedgerScope, Settings
from server.db.engine import Database
from server.domain.payment_attempts import Attempt
from server.domain.refunds import RefundAttempt
from server.payments.collecting import Collector, Patience
from server.payments.port import PaymentProvider
from server.payments.refunding import Refunder
from server.payments.simulator import Simulator
from server.seats.feed_publication import Publisher
from server.seats.ledger import Ledger
from server.states import Provider
from workers.drain import Drain


@dataclass(frozen=True, slots=True)
class WorkerRuntime:
    """Everything that work needs.

    Attributes:
        settings: what it was built from.
        database: where the schedule is.
        ledger: changes seats; it combines what the actors of this process ask for.
        payments: works off due payments.
        refunds: works off due refunds.
    """

    settings: Settings
    database: Database
    ledger: Ledger
    payments: Drain[Attempt]
    refunds: Drain[RefundAttempt]
    redis: Redis
    publisher: Publisher

    @classmethod
    async def start(cls, settings: Settings) -> Self:
        """Build everything; nothing is connected before it is needed."""
        database = Database(
            settings.database_url,
            threads=settings.executor_threads,
            pool_wait=settings.database_pool_timeout.total_seconds(),
        )
        timeout = settings.redis_timeout.total_seconds()
        redis = Redis.from_url(
            settings.redis_url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1),
            client_name="rowlock",
        )
        publisher = Publisher(redis, prefix=settings.redis_key_prefix)
        ledger = Ledger(
            database,
            publisher.publish,
            batch_size=settings.ledger_batch_size,
            batches_in_flight=settings.ledger_batches_in_flight,
            by_performance=settings.ledger_scope is LedgerScope.PERFORMANCE,
            queue_limit=settings.ledger_queue_limit,
            max_hold_time=settings.max_hold_time,
        )
        providers: dict[Provider, PaymentProvider] = {
            Provider.SIMULATOR: Simulator(
                database, success_rate=settings.simulator_success_rate, delay=settings.simulator_delay
            )
        }
        patience = Patience(
            call=settings.payment_call_timeout,
            first_wait=settings.payment_resolve_interval,
            longest_hold=settings.payment_max_time,
        )
        collector = Collector(database, ledger, providers, patience)
        refunder = Refunder(database, providers, patience)
        return cls(
            settings=settings,
            database=database,
            ledger=ledger,
            payments=Drain(collector.take, collector.carry_on),
            refunds=Drain(refunder.take, refunder.carry_on),
            redis=redis,
            publisher=publisher,
        )

    async def close(self) -> None:
        """Let what is under way end, within limits, and close everything."""
        await asyncio.gather(self.payments.close(), self.refunds.close())
        await self.ledger.close()
        await self.publisher.close()
        await self.redis.aclose()
        await asyncio.to_thread(self.database.close)
