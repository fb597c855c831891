"""A server process in small for tests of the seat feed: real ledger, hub, concerns and sockets, and all within reach.

Several of them in one test are several processes, as far as the feed is concerned: they share only PostgreSQL and
Redis.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import grpc.aio

from server.access_log import AccessLog
from server.config import LogFormat, LogLevel
from server.db.engine import Database
from server.domain.signing_keys import shared_keys
from server.domain.tokens import Tokens
from server.errors import RowlockError
from server.interceptors import make_chain
from server.interceptors.address import Addresses
from server.interceptors.authentication import Authenticator
from server.interceptors.draining import Draining
from server.interceptors.observe import Observer
from server.interceptors.rate_limit import RateLimits
from server.interceptors.revocations import Revocations
from server.interceptors.streams import OpenStreams
from server.interceptors.validation import Validation
from server.logs import LineWriter
from server.parts import make_subscription
from server.redis_clients import connect
from server.registration import register
from server.seats.booking import Booking
from server.seats.commands import Cancel, Claim, Hold
from server.seats.feed_publication import Publisher
from server.seats.hub import FeedLimits, Hub
from server.seats.ledger import Ledger
from server.services.watch_seats import SeatFeedService
from server.states import Role

QUICK = FeedLimits(poll_interval=0.2, heartbeat=600.0)
"""Without heartbeats, so that what a watcher is told does not depend on how long a test takes."""


@dataclass
class FeedServer:
    """One server."""

    database: Database
    hub: Hub
    ledger: Ledger
    tokens: Tokens
    revocations: Revocations
    streams: OpenStreams
    draining: asyncio.Event
    background: "asyncio.Task[None]"
    address: str

    def token(self, role: Role = Role.CUSTOMER, *, session_id: UUID | None = None) -> str:
        """A token of somebody new."""
        return self.tokens.issue(uuid4(), role, session_id=session_id or uuid4()).text

    async def hold(self, performance_id: int, *places: int) -> Booking:
        """Hold places for a customer of their own."""
        customer = uuid4()
        claims = tuple(Claim(place) for place in places)
        booking = await self.ledger.execute(
            Hold(performance_id=performance_id, customer_id=customer, actor_id=customer, claims=claims)
        )
        assert booking is not None
        return booking

    async def release(self, booking: Booking) -> None:
        """Give a hold back."""
        await self.ledger.execute(
            Cancel(
                performance_id=booking.performance_id, booking_id=booking.id, actor_id=booking.customer_id, staff=False
            )
        )

    async def churn(self, performance_id: int, places: Iterable[int], rounds: int) -> None:
        """Hold and release places, one after another; those that others have are left to them."""
        for _ in range(rounds):
            for place in places:
                try:
                    booking = await self.hold(performance_id, place)
                except RowlockError:
                    await asyncio.sleep(0.001)
                else:
                    await self.release(booking)


@asynccontextmanager
async def feed_server(
    database_url: str,
    redis_url: str | None,
    limits: FeedLimits = QUICK,
    *,
    write_timeout: float = 20.0,
    token_ttl: timedelta = timedelta(minutes=15),
) -> AsyncIterator[FeedServer]:
    """A running server."""
    database = Database(database_url)
    keys = await database.transaction(shared_keys)
    tokens = Tokens(keys, issuer="https://rowlock.test", audience="rowlock", ttl=token_ttl)
    revocations = Revocations(database, interval=timedelta(seconds=60), token_ttl=token_ttl)
    authenticator = Authenticator(tokens, revocations)
    redis = None
    subscription = None
    if redis_url is not None:
        redis = connect(redis_url, timeout=1)
        subscription = make_subscription(redis_url, prefix="rowlock", timeout=1)
    draining = asyncio.Event()
    hub = Hub(database, limits, subscription=subscription, draining=draining)
    publisher = Publisher(redis, deliver=hub.deliver)
    ledger = Ledger(database, publisher.publish)
    streams = OpenStreams(most=10_000, most_per_account=10_000, write_timeout=write_timeout)
    chain = make_chain(
        observer=Observer(AccessLog(LineWriter(io.StringIO()), LogFormat.JSON, LogLevel.ERROR), Addresses()),
        authenticator=authenticator,
        rate_limits=RateLimits(),
        validation=Validation(262_144),
        streams=streams,
        draining=Draining(),
        default_deadline=30,
    )
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    register(server, (SeatFeedService(hub, authenticator),), chain)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(hub.run())
            group.create_task(streams.watch())

    background = asyncio.create_task(run())
    try:
        yield FeedServer(database, hub, ledger, tokens, revocations, streams, draining, background, f"127.0.0.1:{port}")
        assert not background.done(), background.exception()
    finally:
        await server.stop(None)
        await publisher.close()
        background.cancel()
        await asyncio.gather(background, return_exceptions=True)
        await ledger.close()
        database.close()
        if redis is not None:
            await redis.aclose()
