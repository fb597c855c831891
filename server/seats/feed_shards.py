"""Frames of other processes through a Redis Cluster: a subscription to each shard, for the channels that belong to it.

A performance's channel is a sharded one: published to the shard that owns its slot and to nobody else, so that shards
share the work. Slots move from shard to shard, and shards come and go. So the map of the cluster is read again whenever
a connection is lost, which is also how a shard says that it owns a channel no more, and now and then anyway; each
performance is then asked for where it belongs. As with one server, nothing depends on it but speed.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from server.redis_clients import LOST_IN_CLUSTER
from server.seats import feed_metrics as metrics
from server.seats.feed_publication import channel
from server.seats.feed_subscription import Frame, Subscription

_LOOK_INTERVAL: Final = 10.0
_PAUSE_AFTER_FAILURE: Final = 2.0
_SHORTEST_INTERVAL: Final = 0.2

_log = structlog.get_logger(__name__)

Node = tuple[str, int]
"""Host and port."""


class ShardedSubscription:
    """The subscription of one process to a cluster. Used like ``Subscription``.

    Args:
        cluster: knows who owns which channel; this one's alone.
        connect: makes a client of one node, by host and port.
        prefix: first part of every channel.
        timeout: longest wait for the first answer of a node, in seconds.
    """

    def __init__(
        self,
        cluster: RedisCluster,
        connect: Callable[[str, int], Redis],
        *,
        prefix: str = "rowlock",
        timeout: float = 2.0,
    ) -> None:
        self._cluster = cluster
        self._connect = connect
        self._prefix = prefix
        self._timeout = timeout
        self._wanted: dict[int, Node | None] = {}
        self._shards: dict[Node, tuple[Subscription, asyncio.Task[None]]] = {}
        self._connected: set[Node] = set()
        self._look_again = asyncio.Event()
        self.on_frame: Frame = lambda _performance_id, _revision, _body: None
        self.on_subscribed: Callable[[int], None] = lambda _performance_id: None

    def want(self, performance_id: int) -> None:
        """Hear of a performance from now on."""
        self._wanted.setdefault(performance_id, None)
        self._place(performance_id)

    def drop(self, performance_id: int) -> None:
        """Hear of it no more."""
        node = self._wanted.pop(performance_id, None)
        if node is not None:
            self._shards[node][0].drop(performance_id)

    async def run(self) -> None:
        """Keep subscribed, for ever."""
        metrics.SUBSCRIBED.set(0)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    began = time.monotonic()
                    self._look_again.clear()
                    # In a task of its own, as redis-py may lose a cancellation: this one must be stoppable.
                    looking = asyncio.create_task(self._cluster_nodes(), name="seat feed shards")
                    try:
                        await asyncio.wait([looking])
                    finally:
                        looking.cancel()
                    nodes = looking.result()
                    if nodes is not None:
                        self._follow(nodes, group)
                    await asyncio.sleep(max(0.0, _SHORTEST_INTERVAL - (time.monotonic() - began)))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_PAUSE_AFTER_FAILURE if nodes is None else _LOOK_INTERVAL):
                            await self._look_again.wait()
        finally:
            metrics.SUBSCRIBED.set(0)
            await self._cluster.aclose()

    async def _cluster_nodes(self) -> set[Node] | None:
        """Ask the cluster for its map; None: it cannot be had now."""
        try:
            await self._cluster.initialize()
            await self._cluster.nodes_manager.initialize()
        except (RedisError, OSError, TimeoutError, *LOST_IN_CLUSTER) as error:
            _log.warning("feed.cluster_unknown", error=repr(error), effect="the last known shards are asked")
            return None
        return {(node.host, int(node.port)) for node in self._cluster.get_primaries()}

    def _follow(self, nodes: set[Node], group: asyncio.TaskGroup) -> None:
        """Have a subscription to each shard and no other, and each performance asked for where it belongs."""
        for node in self._shards.keys() - nodes:
            _, task = self._shards.pop(node)
            task.cancel()
        for performance_id, owner in self._wanted.items():
            if owner not in self._shards:
                self._wanted[performance_id] = None
        for node in nodes - self._shards.keys():
            self._shards[node] = self._subscribe(node, group)
        for performance_id in self._wanted:
            self._place(performance_id)

    def _subscribe(self, node: Node, group: asyncio.TaskGroup) -> tuple[Subscription, "asyncio.Task[None]"]:
        shard = Subscription(lambda: self._connect(*node), prefix=self._prefix, timeout=self._timeout, sharded=True)
        shard.on_frame = self.on_frame
        shard.on_subscribed = self.on_subscribed
        shard.on_connection = lambda connected: self._on_connection(node, connected=connected)
        return shard, group.create_task(shard.run(), name=f"seat feed shard {node[0]}:{node[1]}")

    def _place(self, performance_id: int) -> None:
        """Ask for a performance at the shard that owns its channel, if that is known by now."""
        try:
            owner = self._cluster.get_node_from_key(channel(self._prefix, performance_id))
        except RedisClusterException:
            return  # nobody owns it now; the next look will tell
        node = None if owner is None else (owner.host, int(owner.port))
        before = self._wanted[performance_id]
        if node is None or node not in self._shards or node == before:
            return
        if before is not None:
            self._shards[before][0].drop(performance_id)
        self._shards[node][0].want(performance_id)
        self._wanted[performance_id] = node

    def _on_connection(self, node: Node, *, connected: bool) -> None:
        if connected:
            self._connected.add(node)
        else:
            self._connected.discard(node)
            self._look_again.set()
        metrics.SUBSCRIBED.set(bool(self._shards) and self._connected >= self._shards.keys())
