"""Frames of other processes: one Redis connection, subscribed to each performance that is watched here.

On a cluster it is one of these for each shard: ``server.seats.feed_shards``.

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
    """The subscription of one process to one server.

    Args:
        connect: makes a client that is this one's alone.
        prefix: first part of every channel.
        timeout: longest wait for the first answer, in seconds.
        sharded: whether the server is a shard of a cluster, with those channels alone that belong to it.

    Attributes:
        on_frame: is given each frame that is heard.
        on_subscribed: is told each performance whose frames are heard from now on.
        on_connection: is told whether there is one.
    """

    def __init__(
        self, connect: Callable[[], Redis], *, prefix: str = "rowlock", timeout: float = 2.0, sharded: bool = False
    ) -> None:
        self._connect = connect
        self._prefix = prefix
        self._timeout = timeout
        self._sharded = sharded
        self._wanted: dict[bytes, int] = {}
        self._lost: set[bytes] = set()
        self._changed = asyncio.Event()
        self._heard_at = 0.0
        self.on_frame: Frame = lambda _performance_id, _revision, _body: None
        self.on_subscribed: Callable[[int], None] = lambda _performance_id: None
        self.on_connection: Callable[[bool], None] = metrics.SUBSCRIBED.set

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
        self.on_connection(False)
        while True:
            began = time.monotonic()
            try:
                async with self._connect() as redis, redis.pubsub() as pubsub:
                    # Always subscribed to something, so that the answer to a ping is always a message like others.
                    async with asyncio.timeout(self._timeout):
                        await pubsub.subscribe(f"{self._prefix}:seats")
                    self.on_connection(True)
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._keep(pubsub))
                        group.create_task(self._listen(pubsub))
            except* (RedisError, OSError, TimeoutError) as errors:
                _log.warning("feed.subscription_lost", error=repr(errors.exceptions[0]), effect="polling every second")
            finally:
                self.on_connection(False)
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
            subscribed -= self._lost
            self._lost.clear()
            await self._subscribe(pubsub, wanted - subscribed)
            await self._unsubscribe(pubsub, subscribed - wanted)
            subscribed = wanted
            try:
                async with asyncio.timeout(_PING_INTERVAL):
                    await self._changed.wait()
            except TimeoutError:
                if time.monotonic() - self._heard_at > _DEAD_AFTER:
                    raise RedisConnectionError("Redis does not answer a ping") from None
                await pubsub.ping()

    async def _subscribe(self, pubsub: PubSub, channels: set[bytes]) -> None:
        if self._sharded:
            for channel_of_shard in channels:  # one by one: two of them are refused in one command
                await pubsub.ssubscribe(channel_of_shard)
        elif channels:
            await pubsub.subscribe(*channels)

    async def _unsubscribe(self, pubsub: PubSub, channels: set[bytes]) -> None:
        if self._sharded:
            for channel_of_shard in channels:
                await pubsub.sunsubscribe(channel_of_shard)
        elif channels:
            await pubsub.unsubscribe(*channels)

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
            if message["type"] in {"message", "smessage"}:
                self._give(performance_id, message["data"])
            elif message["type"] in {"subscribe", "ssubscribe"}:
                self.on_subscribed(performance_id)
            elif message["type"] == "sunsubscribe":
                # The channel has gone to another shard: to ask for it once more gives the error that says so.
                self._lost.add(message["channel"])
                self._changed.set()

    def _give(self, performance_id: int, payload: bytes) -> None:
        try:
            revision, body = from_payload(payload)
        except ValueError:
            metrics.REFUSED_FRAMES.inc()
            return
        self.on_frame(performance_id, revision, body)
