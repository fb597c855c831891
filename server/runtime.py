"""Builds everything that a server process is made of, in one place, and takes it apart again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from server import tracing
from server.access_log import AccessLog
from server.background import Background
from server.config import Settings, StartError
from server.db.engine import Database
from server.domain.check_in_rules import DoorPolicy
from server.domain.passwords import PasswordHasher
from server.domain.signing_keys import Keys
from server.domain.tokens import Tokens
from server.health import Checker, Health
from server.interceptors import Chain, make_chain
from server.interceptors.address import Addresses
from server.interceptors.authentication import Authenticator
from server.interceptors.draining import Draining
from server.interceptors.method import Around
from server.interceptors.observe import Observer
from server.interceptors.rate_limit import KeyBuckets, LocalBuckets, RateLimits
from server.interceptors.revocations import Revocations
from server.interceptors.streams import OpenStreams
from server.interceptors.validation import Validation
from server.logs import line_writer
from server.metrics import measured, watch_event_loop
from server.parts import (
    connect_database,
    connect_redis,
    make_ledger,
    make_publisher,
    make_subscription,
    signing_keys,
)
from server.payments.wake import Waker, redis_broker
from server.rates import Rate
from server.redis_clients import RedisClient
from server.registration import service_names
from server.seats.halls import Halls
from server.seats.hub import FeedLimits, Hub
from server.servicers import Parts, make_servicers, shared_buckets
from server.services.password_hashing import PasswordHashing
from server.services.scan_queue import ScanQueue
from server.services.stream_end import StreamEnd
from server.services.ticket_printing import TicketPrinting
from server.services.waiting_room import QueueParts
from server.tickets.fonts import FontError
from server.waiting_room.index import LineIndex
from server.waiting_room.joining import Joiner
from server.waiting_room.lines import Lines
from server.waiting_room.positions import Positions
from server.waiting_room.rooms import Rooms
from server.waiting_room.tickets import QueueTickets
from server.waiting_room.watching import QueueWatch


@dataclass(frozen=True, slots=True)
class Runtime:
    """One server process, ready to be bound to a port.

    Attributes:
        settings: what it was built from.
        servicers: the implementations of the contract.
        chain: what every call passes.
        health: what health checks are told.
        draining: set when the process begins to end; streams then say goodbye.
        turn_away: makes new calls go elsewhere.
        background: the tasks beside the calls.
    """

    settings: Settings
    servicers: tuple[object, ...]
    chain: Chain
    health: Health
    draining: asyncio.Event
    turn_away: Draining
    background: Background


@asynccontextmanager
async def runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Build a runtime; take it apart at the end of the block, in the opposite order.

    Args:
        settings: with the URLs of a database that has the newest schema, and of a Redis.

    Raises:
        StartError: the signing key cannot be used.
    """
    async with AsyncExitStack() as stack:
        draining = asyncio.Event()
        turn_away = Draining()
        background = Background()
        health = Health(tuple(service_names()))

        database = connect_database(settings)
        stack.callback(database.close)
        redis = connect_redis(settings)
        stack.push_async_callback(redis.aclose)

        tokens, revocations, authenticator = await _identity(settings, database, stack)
        passwords = PasswordHashing(
            PasswordHasher(memory_kib=settings.password_memory // 1024, passes=settings.password_passes),
            threads=settings.password_threads,
        )
        stack.callback(passwords.close)

        hub = _hub(settings, database, draining)
        publisher = make_publisher(settings, redis, hub.deliver)
        stack.push_async_callback(publisher.close)
        halls = Halls()
        ledger = make_ledger(settings, database, publisher, halls)
        stack.push_async_callback(ledger.close)
        stack.enter_context(measured(database, ledger))

        streams = OpenStreams(
            most=settings.max_streams,
            most_per_account=settings.max_streams_per_account,
            write_timeout=settings.stream_write_timeout.total_seconds(),
        )
        stream_end = StreamEnd(
            authenticator,
            draining,
            max_age=settings.stream_max_age.total_seconds(),
            jitter=settings.stream_age_jitter,
        )

        waker = Waker(redis_broker(settings))
        queue = _queue(settings, database, redis, tokens)
        stack.push_async_callback(queue.close)
        printing = _printing(settings)
        stack.callback(printing.close)
        scans = ScanQueue(database, DoorPolicy(settings.doors_open, settings.doors_close))
        stack.push_async_callback(scans.close)

        background.start(hub.run(), "seat feed")
        background.start(waker.run(), "wake-ups of workers")
        background.start(streams.watch(), "streams")
        background.start(watch_event_loop(), "event loop lag")
        checker = Checker(health, database.url, redis)
        stack.callback(checker.close)
        background.start(checker.watch_database(), "health of the database")
        background.start(checker.watch_redis(), "health of Redis")
        stack.push_async_callback(background.stop)

        parts = Parts(
            database=database,
            redis=redis,
            tokens=tokens,
            revocations=revocations,
            authenticator=authenticator,
            passwords=passwords,
            halls=halls,
            ledger=ledger,
            hub=hub,
            stream_end=stream_end,
            waker=waker,
            queue=queue,
            printing=printing,
            scans=scans,
        )
        yield Runtime(
            settings=settings,
            servicers=make_servicers(settings, parts),
            chain=_chain(settings, authenticator, streams, turn_away, redis),
            health=health,
            draining=draining,
            turn_away=turn_away,
            background=background,
        )


async def _identity(
    settings: Settings, database: Database, stack: AsyncExitStack
) -> tuple[Tokens, Revocations, Authenticator]:
    """What makes tokens, what ends them early, and what knows callers by them."""

    async def read_keys() -> Keys:
        return await signing_keys(settings, database)

    tokens = Tokens(
        await read_keys(),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        ttl=settings.access_token_ttl,
    )
    revocations = Revocations(database, interval=settings.revocation_poll_interval, token_ttl=settings.access_token_ttl)
    await revocations.start()
    stack.push_async_callback(revocations.stop)
    authenticator = Authenticator(tokens, revocations, cache_size=settings.token_cache_size, reload_keys=read_keys)
    return tokens, revocations, authenticator


def _queue(settings: Settings, database: Database, redis: RedisClient, tokens: Tokens) -> QueueParts:
    """What this process has for waiting rooms."""
    index, lines = LineIndex(redis, database, settings.redis_key_prefix), Lines(database)
    return QueueParts(
        rooms=Rooms(database, index),
        index=index,
        lines=lines,
        positions=Positions(index, lines),
        joiner=Joiner(database),
        watch=QueueWatch(database, interval=settings.stream_poll_interval.total_seconds()),
        tickets=QueueTickets(lambda: tokens.keys),
    )


def _printing(settings: Settings) -> TicketPrinting:
    """What prints tickets, in a font that can be used.

    Raises:
        StartError: it cannot.
    """
    try:
        return TicketPrinting(settings.ticket_font_file)
    except FontError as error:
        raise StartError(f"ROWLOCK_TICKET_FONT_FILE: {error}.") from None


def _hub(settings: Settings, database: Database, draining: asyncio.Event) -> Hub:
    limits = FeedLimits(
        ring_frames=settings.stream_ring_frames,
        pending_frames=settings.stream_pending_frames,
        poll_interval=settings.stream_poll_interval.total_seconds(),
        heartbeat=settings.stream_heartbeat.total_seconds(),
        max_age=settings.stream_max_age.total_seconds(),
        age_jitter=settings.stream_age_jitter,
        token_check=settings.stream_token_check_interval.total_seconds(),
    )
    subscription = make_subscription(
        settings.redis_url, prefix=settings.redis_key_prefix, timeout=settings.redis_timeout.total_seconds()
    )
    return Hub(database, limits, subscription=subscription, draining=draining)


def _chain(
    settings: Settings, authenticator: Authenticator, streams: OpenStreams, turn_away: Draining, redis: RedisClient
) -> Chain:
    limits = RateLimits()
    if settings.rate_limits:
        limits = RateLimits(
            per_account=LocalBuckets(Rate.parse(settings.rate_limit_account)),
            per_address=LocalBuckets(Rate.parse(settings.rate_limit_address)),
            webhooks=LocalBuckets(Rate.parse(settings.rate_limit_webhooks)),
            credentials=shared_buckets(settings, redis, "credentials", settings.rate_limit_credentials),
            keys=KeyBuckets(redis, f"{settings.redis_key_prefix}:limit:keys:"),
        )
    log = AccessLog(line_writer(), settings.log_format, settings.log_level)
    traced: Around | None = None
    if tracing.is_on():
        from server.tracing.rpc import traced as make_traced  # noqa: PLC0415 - an optional package

        traced = make_traced(tracing.tracer())
    return make_chain(
        observer=Observer(log, Addresses(settings.trusted_proxies)),
        authenticator=authenticator,
        rate_limits=limits,
        validation=Validation(settings.max_receive_bytes),
        streams=streams,
        draining=turn_away,
        default_deadline=settings.default_deadline.total_seconds(),
        traced=traced,
    )
