"""Parts that servers and workers have in common, made from the settings."""

from collections.abc import Callable, Sequence

from server import tracing
from server.config import LedgerScope, Settings, StartError
from server.db.engine import Database
from server.domain.signing_keys import Keys, SigningKeyError, read_pem, shared_keys
from server.mail.attaching import Attacher
from server.mail.composing import Letterhead
from server.mail.pace import Pace
from server.mail.post import MailServer, Post
from server.mail.rendering import Renderer
from server.mail.sending import MailPatience, Sender
from server.rates import Rate
from server.redis_clients import (
    RedisClient,
    connect,
    connect_cluster,
    connect_subscriber,
    is_cluster,
    node_connector,
)
from server.seats.feed_publication import Publisher
from server.seats.feed_shards import ShardedSubscription
from server.seats.feed_subscription import Subscription
from server.seats.halls import Halls
from server.seats.ledger import Ledger
from server.seats.write import Published


def connect_database(settings: Settings) -> Database:
    """The process's pool of connections; nothing is connected before it is needed."""
    kind = Database
    if tracing.is_on():
        from server.tracing.database import TracedDatabase as kind  # noqa: N813, PLC0415 - an optional package
    return kind(
        settings.database_url,
        threads=settings.executor_threads,
        pool_wait=settings.database_pool_timeout.total_seconds(),
    )


def connect_redis(settings: Settings) -> RedisClient:
    """A client that gives up soon: whoever asks Redis can do without."""
    return connect(settings.redis_url, timeout=settings.redis_timeout.total_seconds())


def make_subscription(url: str, *, prefix: str, timeout: float) -> Subscription | ShardedSubscription:
    """What hears from other processes, through a server or a cluster.

    Args:
        url: of Redis.
        prefix: first part of every channel.
        timeout: longest wait for a connection or a first answer, in seconds.
    """
    if not is_cluster(url):
        return Subscription(lambda: connect_subscriber(url, timeout=timeout), prefix=prefix, timeout=timeout)
    cluster = connect_cluster(url, timeout=timeout)
    return ShardedSubscription(cluster, node_connector(url, timeout=timeout), prefix=prefix, timeout=timeout)


def make_publisher(
    settings: Settings, redis: RedisClient, deliver: Callable[[Sequence[Published]], None] | None = None
) -> Publisher:
    """What tells this process's hub, if it has one, and through Redis those of others what was committed."""
    kind = Publisher
    if tracing.is_on():
        from server.tracing.feed import TracedPublisher as kind  # noqa: N813, PLC0415 - an optional package
    return kind(redis, prefix=settings.redis_key_prefix, deliver=deliver)


def make_ledger(settings: Settings, database: Database, publisher: Publisher, halls: Halls | None = None) -> Ledger:
    """The process's ledger, which tells ``publisher`` what it has changed."""
    kind = Ledger
    if tracing.is_on():
        from server.tracing.ledger import TracedLedger as kind  # noqa: N813, PLC0415 - an optional package
    return kind(
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


async def signing_keys(settings: Settings, database: Database) -> Keys:
    """The keys of the file that the settings name, else those that all processes share in the database.

    Raises:
        StartError: the file cannot be used.
    """
    if settings.jwt_private_key_file is None:
        return await database.transaction(shared_keys)
    try:
        return read_pem(settings.jwt_private_key_file.read_text())
    except (OSError, UnicodeDecodeError, SigningKeyError) as error:
        raise StartError(f"ROWLOCK_JWT_PRIVATE_KEY_FILE={settings.jwt_private_key_file}: {error}.") from None


def make_renderer(settings: Settings) -> Renderer:
    """What makes words of messages, for mails and for inboxes."""
    return Renderer(
        public_url=settings.public_url,
        templates=settings.mail_templates_dir,
        sender=Letterhead(settings.mail_from).name,
    )


def make_sender(settings: Settings, database: Database) -> Sender:
    """What sends mails; without a mail server in the settings it leaves them where they are."""
    letterhead, halls, post = Letterhead(settings.mail_from, settings.mail_reply_to), Halls(), None
    if settings.smtp_url:
        post = Post(
            MailServer.parse(settings.smtp_url, settings.smtp_ca_file),
            connections=settings.smtp_connections,
            timeout=settings.smtp_timeout.total_seconds(),
            greeting=letterhead.domain,
        )
    return Sender(
        database,
        post,
        renderer=make_renderer(settings),
        letterhead=letterhead,
        attacher=Attacher(
            database, lambda: signing_keys(settings, database), halls, font_file=settings.ticket_font_file
        ),
        halls=halls,
        patience=MailPatience(
            answer=settings.smtp_timeout,
            first_wait=settings.mail_retry_interval,
            give_up_after=settings.mail_give_up_after,
            repeat_uncertain=settings.mail_repeat_uncertain,
        ),
        pace=Pace(Rate.parse(settings.mail_rate) if settings.mail_rate else None),
    )
