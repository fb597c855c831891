"""Tells the world what the ledger committed: the hub of this process at once, those of others through Redis.

Redis may lose any of it. Hubs find what is missing in the change log, so what cannot be given away soon is dropped
and counted; nothing here ever makes a buyer wait.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Final

import structlog
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError

from server.redis_clients import RedisClient
from server.seats import feed_metrics as metrics
from server.seats.frames import to_payload
from server.seats.write import Published

_MOST_WAITING: Final = 10_000
_MOST_TOGETHER: Final = 1_000
_PAUSE_AFTER_FAILURE: Final = 1.0

_log = structlog.get_logger(__name__)


def channel(prefix: str, performance_id: int) -> str:
    """The Redis channel of a performance; the braces keep it on one shard of a cluster."""
    return f"{prefix}:seats:{{{performance_id}}}"


class Publisher:
    """What a ledger is given to publish with. Belongs to one event loop.

    Args:
        redis: where frames for other processes go; None: nowhere.
        prefix: first part of every channel.
        deliver: the hub of this process, if it has one.
    """

    def __init__(
        self,
        redis: RedisClient | None,
        *,
        prefix: str = "rowlock",
        deliver: Callable[[Sequence[Published]], None] | None = None,
    ) -> None:
        self._redis = redis
        self._prefix = prefix
        self._deliver = deliver
        self._waiting: deque[Published] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._silent_until = 0.0

    def publish(self, published: Sequence[Published]) -> None:
        """Deliver what one batch changed. Called on the event loop; neither waits nor raises."""
        if self._deliver is not None:
            try:
                self._deliver(published)
            except Exception as error:  # noqa: BLE001
                # The seats are sold, whatever happens to their publication; the hub reads the log within a second.
                _log.error("feed.delivery_failed", error=repr(error))
        if self._redis is None:
            return
        room = _MOST_WAITING - len(self._waiting)
        if room < len(published) or time.monotonic() < self._silent_until:
            metrics.DROPPED.inc(len(published))
            return
        self._waiting.extend(published)
        if self._sending is None:
            # In a context of its own: it must not inherit the deadline of the call whose command came last.
            self._sending = asyncio.get_running_loop().create_task(
                self._send_all(self._redis), name="seat publication", context=Context()
            )

    async def close(self) -> None:
        """Let what waits be sent, unless Redis is away."""
        if self._sending is not None:
            await self._sending

    async def _send_all(self, redis: RedisClient) -> None:
        """Send until nothing waits: all that has gathered in one turn of the loop, together."""
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_TOGETHER))]
                try:
                    with metrics.PUBLICATION.time():
                        await self._send(redis, batch)
                except (RedisError, OSError, TimeoutError) as error:
                    self._give_up(len(batch), error)
                    return
                metrics.PUBLISHED.inc(len(batch))
        finally:
            self._sending = None

    async def _send(self, redis: RedisClient, batch: Sequence[Published]) -> None:
        async with redis.pipeline(transaction=False) as pipeline:
            # On a cluster to the shard that owns the channel, and to no other.
            give = pipeline.spublish if isinstance(redis, RedisCluster) else pipeline.publish
            for one in batch:
                give(channel(self._prefix, one.performance_id), to_payload(one.revision, one.body))
            await pipeline.execute()

    def _give_up(self, lost: int, error: Exception) -> None:
        """Drop everything and be silent for a moment: a Redis that hangs would hold up each batch for seconds."""
        metrics.DROPPED.inc(lost + len(self._waiting))
        self._waiting.clear()
        self._silent_until = time.monotonic() + _PAUSE_AFTER_FAILURE
        _log.warning("feed.publication_failed", error=repr(error), effect="other processes read the change log")
