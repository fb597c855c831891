"""Clients of Redis: of one server, or of a cluster (``redis+cluster://…``), which look the same to those who ask.

The scheme of ``ROWLOCK_REDIS_URL`` decides. What asks Redis catches ``RedisError`` and ``OSError``, and does without;
the errors with which redis-py says that it cannot find its way in a cluster are none of these, and are made such here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import redis
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode as SyncClusterNode
from redis.cluster import RedisCluster as SyncRedisCluster
from redis.connection import SSLConnection, parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry as SyncRetry

T = TypeVar("T")

RedisClient = Redis | RedisCluster
"""What the servers and workers ask, on their event loop."""

LOST_IN_CLUSTER: Final = (RedisClusterException, AttributeError, IndexError)
"""What redis-py raises where it cannot find its way: the first by intent. The others come where one call, which found
the cluster down, has closed the connection of another, and where no node has any slot."""

_CLUSTER: Final = "+cluster://"
_PORT: Final = 6379


def is_cluster(url: str) -> bool:
    """Whether a URL names nodes of a cluster."""
    return _CLUSTER in url


@dataclass(frozen=True)
class ClusterAddress:
    """What ``redis+cluster://user:password@host:6379,host:6379?option=…`` says.

    Args:
        nodes: some of the cluster's, as (host, port); the others are found through these.
        options: how to connect to each, as redis-py calls it.
    """

    nodes: tuple[tuple[str, int], ...]
    options: dict[str, Any]

    @classmethod
    def parse(cls, url: str) -> ClusterAddress:
        """Read a URL.

        Raises:
            ValueError: it is none of a cluster.
        """
        scheme, separator, rest = url.partition(_CLUSTER)
        netloc, _, query = rest.partition("?")
        credentials, at, hosts = netloc.rstrip("/").rpartition("@")
        nodes = tuple(_host_and_port(host) for host in hosts.split(","))
        if not separator or "/" in netloc.rstrip("/") or not all(host for host, _ in nodes):
            raise ValueError("not the address of a cluster")
        # As for one server, host and port apart.
        common = f"{scheme}://{credentials}{at}" + (f"?{query}" if query else "")
        options = dict(parse_url(common))  # type: ignore[no-untyped-call]
        if options.pop("connection_class", None) is SSLConnection:
            options["ssl"] = True
        return cls(nodes, options)


def connect(url: str, *, timeout: float) -> RedisClient:
    """A client that gives up soon: whoever asks Redis can do without.

    Args:
        url: of a server or of a cluster.
        timeout: longest wait for a connection or an answer, in seconds.
    """
    if is_cluster(url):
        return connect_cluster(url, timeout=timeout)
    return Redis.from_url(url, retry=Retry(NoBackoff(), 1), **_impatient(timeout))


def connect_cluster(url: str, *, timeout: float) -> RedisCluster:
    """The same for a cluster. It finds the nodes when it is first asked."""
    address = ClusterAddress.parse(url)
    return _Cluster(
        startup_nodes=[ClusterNode(*node) for node in address.nodes],
        # What is lost with a part of the cluster is lost; the rest goes on.
        require_full_coverage=False,
        # A slot that has moved is asked for at its new place. To find all nodes anew closes connections in use.
        reinitialize_steps=0,
        retry=Retry(NoBackoff(), 1),
        # News of a commercial server's maintenance: a question more for each connection, which no other answers.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        **address.options,
        **_impatient(timeout),
    )


def _impatient(timeout: float) -> dict[str, Any]:
    # With it goes one more try, because a kept connection may have died since it was last used.
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "client_name": "rowlock"}


def connect_blocking(url: str, *, timeout: float, retries: int = 1) -> redis.Redis:
    """The same for threads. A cluster is asked for its nodes at once.

    Raises:
        RedisError: the cluster cannot be reached.
    """
    retry = SyncRetry(NoBackoff(), retries)
    if not is_cluster(url):
        return redis.Redis.from_url(url, retry=retry, **_impatient(timeout))
    address = ClusterAddress.parse(url)
    try:
        cluster = _SyncCluster(
            startup_nodes=[SyncClusterNode(host, port) for host, port in address.nodes],  # type: ignore[no-untyped-call]
            require_full_coverage=False,
            retry=retry,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
            **address.options,
            **_impatient(timeout),
        )
    except LOST_IN_CLUSTER as error:
        raise RedisConnectionError(str(error)) from error
    # It has the same commands; redis-py has no name for what both have in common.
    return cast("redis.Redis", cluster)


def _host_and_port(host: str) -> tuple[str, int]:
    name, colon, port = host.rpartition(":")
    if not colon or name.endswith(":") or host.endswith("]"):
        name, port = host, str(_PORT)
    return name.strip("[]"), int(port)


async def _translated(work: Awaitable[T]) -> T:
    try:
        return await work
    except LOST_IN_CLUSTER as error:
        raise RedisConnectionError(str(error)) from error


class _Pipeline(ClusterPipeline):
    async def execute(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Send what was gathered, to each node its part."""
        return await _translated(super().execute(*args, **kwargs))


class _Cluster(RedisCluster):
    async def initialize(self, *args: Any, **kwargs: Any) -> RedisCluster:
        """Find the nodes."""
        return await _translated(super().initialize(*args, **kwargs))

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the node that has what a command is about."""
        # Before the nodes are known, redis-py would ask anybody.
        await self.initialize()
        return await _translated(super().execute_command(*args, **kwargs))

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        """Gather commands."""
        return _Pipeline(self, transaction)  # type: ignore[abstract]


class _SyncCluster(SyncRedisCluster):
    def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the node that has what a command is about."""
        try:
            return super().execute_command(*args, **kwargs)  # type: ignore[no-untyped-call]
        except LOST_IN_CLUSTER as error:
            raise RedisConnectionError(str(error)) from error


def node_connector(url: str, *, timeout: float) -> Callable[[str, int], Redis]:
    """Makes clients for subscriptions, each of one node of a cluster, by host and port."""
    address = ClusterAddress.parse(url)

    def connect_to(host: str, port: int) -> Redis:
        return Redis(host=host, port=port, **address.options, **_subscribing(timeout))

    return connect_to


def connect_subscriber(url: str, *, timeout: float) -> Redis:
    """A client for subscriptions, of one server."""
    return Redis.from_url(url, **_subscribing(timeout))


def _subscribing(timeout: float) -> dict[str, Any]:
    return {
        # With a time limit redis-py writes through asyncio.wait_for, which in Python 3.11 may lose a cancellation, and
        # then the task that subscribes could not be stopped. Pings find out a dead connection.
        "socket_timeout": None,
        "socket_connect_timeout": timeout,
        # A retry inside the client would hide that messages were missed.
        "retry": Retry(NoBackoff(), 0),
        "client_name": "rowlock-feed",
    }
