"""Parts that servers and workers have in common, made from the settings."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from server.config import LedgerScope, Settings
from server.db.engine import Database
from server.seats.feed_publication import Publisher
from server.seats.halls import Halls
from server.seats.ledger import Ledger


def connect_database(settings: Settings) -> Database:
    """The process's pool of connections; nothing is connected before it is needed."""
    return Database(
        settings.database_url,
        threads=settings.executor_threads,
        pool_wait=settings.database_pool_timeout.total_seconds(),
    )


def connect_redis(settings: Settings) -> Redis:
    """A client that gives up soon: whoever asks Redis can do without."""
    timeout = settings.redis_timeout.total_seconds()
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        # One more try, because a kept connection may have died since it was last used.
        retry=Retry(NoBackoff(), 1),
        client_name="rowlock",
    )


def make_ledger(settings: Settings, database: Database, publisher: Publisher, halls: Halls | None = None) -> Ledger:
    """The process's ledger, which tells ``publisher`` what it has changed."""
    return Ledger(
        database,
        publisher.publish,
        batch_size=settings.ledger_batch_size,
        batches_in_flight=settings.ledger_batches_in_flight,
        by_performance=settings.ledger_scope is LedgerScope.PERFORMANCE,
        queue_limit=settings.ledger_queue_limit,
        gather_time=settings.ledger_gather_time,
        max_hold_time=settings.max_hold_time,
        halls=halls,
    )
