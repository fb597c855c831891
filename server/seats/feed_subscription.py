"""Frames of other processes: one Redis connection, subscribed to each performance that is watched here.

Nothing depends on it but speed. It is lost and made again without anybody noticing more than that changes come up to
a second later, because the hub compares with the database anyway.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from server.seats import feed_metrics as metrics
from server.seats.feed_publication import channel
from server.seats.frames import from_payload

_PING_INTERVAL: Final = 2.0
_DEAD_AFTER: Final = 3 * _PING_INTERVAL
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0

_log = structlog.get_logger(__name__)

Frame = Callable[[int, int, bytes], None]
"""Takes a frame: performance, revision, body."""


class Subscription:
    """The subscription of one process.

    Args:
        redis_url: where; it makes a connection of its own.
        prefix: first part of every channel.
        timeout: longest wait for a connection or a write, in seconds.

    Attributes:
        on_frame: is given each frame that is heard.
        on_subscribed: is told each performance whose frames are heard from now on.
    """

    def __init__(self, redis_url: str, *, prefix: str = "rowlock", timeout: float = 2.0) -> None:
        self._url = redis_url
        self._prefix = prefix
        self._timeout = timeout
        self._wanted: dict[bytes, int] = {}
        self._changed = asyncio.Event()
        self._heard_at = 0.0
        self.on_frame: Frame = lambda _performance_id, _revision, _body: None
        self.on_subscribed: Callable[[int], None] = lambda _performance_id: None

    def want(self, performance_id: int) -> None:
        """Hear of a performance from now on."""
        self._wanted[channel(self._prefix, performance_id).encode()] = performance_id
        self._changed.set()

    def drop(self, performance_id: int) -> None:
        """Hear of it no more."""
        self._wanted.pop(channel(self._prefix, performance_id).encode(), None)
        self._changed.set()

    async def run(self) -> None:
        """Keep subscribed, for ever."""
        pause = _FIRST_PAUSE
        metrics.SUBSCRIBED.set(0)
        while True:
            began = time.monotonic()
            # A retry inside the client would hide that messages were missed.
            redis = Redis.from_url(
                self._url,
                # With a time limit redis-py writes through asyncio.wait_for, which in Python 3.11 may lose a
                # cancellation, and then this task could not be stopped. Pings find out a dead connection.
                socket_timeout=None,
                socket_connect_timeout=self._timeout,
                retry=Retry(NoBackoff(), 0),
                client_name="rowlock-feed",
            )
            try:
                async with redis, redis.pubsub() as pubsub:
                    # Always subscribed to something, so that the answer to a ping is always a message like others.
                    async with asyncio.timeout(self._timeout):
                        await pubsub.subscribe(f"{self._prefix}:seats")
                    metrics.SUBSCRIBED.set(1)
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._keep(pubsub))
                        group.create_task(self._listen(pubsub))
            except* (RedisError, OSError, TimeoutError) as errors:
                _log.warning("feed.subscription_lost", error=repr(errors.exceptions[0]), effect="polling every second")
            finally:
                metrics.SUBSCRIBED.set(0)
            if time.monotonic() - began > _DEAD_AFTER:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _keep(self, pubsub: PubSub) -> None:
        """Say what is wanted, and see that the other end is alive."""
        subscribed: set[bytes] = set()
        self._heard_at = time.monotonic()
        while True:
            self._changed.clear()
            wanted = set(self._wanted)
            if new := wanted - subscribed:
                await pubsub.subscribe(*new)
            if gone := subscribed - wanted:
                await pubsub.unsubscribe(*gone)
            subscribed = wanted
            try:
                async with asyncio.timeout(_PING_INTERVAL):
                    await self._changed.wait()
            except TimeoutError:
                if time.monotonic() - self._heard_at > _DEAD_AFTER:
                    raise RedisConnectionError("Redis does not answer a ping") from None
                await pubsub.ping()

    async def _listen(self, pubsub: PubSub) -> None:
        while True:
            # Without a timeout: quiet is not an error here, and the pings find out a dead connection.
            message: dict[str, Any] | None = await pubsub.get_message(timeout=None)
            self._heard_at = time.monotonic()
            if message is None:
                continue
            performance_id = self._wanted.get(message["channel"])
            if performance_id is None:
                continue
            if message["type"] == "message":
                self._give(performance_id, message["data"])
            elif message["type"] == "subscribe":
                self.on_subscribed(performance_id)

    def _give(self, performance_id: int, payload: bytes) -> None:
        try:
            revision, body = from_payload(payload)
        except ValueError:
            metrics.REFUSED_FRAMES.inc()
            return
        self.on_frame(performance_id, revision, body)
