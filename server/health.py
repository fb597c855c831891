"""Whether this process can serve, by the standard gRPC health protocol.

=====================  ==========================================================================================
name asked for         SERVING while
=====================  ==========================================================================================
(empty)                calls are answered: the process is not draining and the database answers
``rowlock.v1.…``       the same, for one service of the contract
``rowlock.database``   PostgreSQL answers
``rowlock.redis``      Redis answers. Without it bookings and feeds go on (feeds read the database instead), so the
                       others stay SERVING: the installation is degraded, not down
=====================  ==========================================================================================
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis.exceptions import RedisError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from server.metrics import DEPENDENCY_UP
from server.redis_clients import RedisClient

_log = structlog.get_logger()

DATABASE: Final = "rowlock.database"
REDIS: Final = "rowlock.redis"

_INTERVAL: Final = 1.0
_CHECK_TIMEOUT: Final = 2.0
_FAILURES: Final = 2
"""So many checks in a row must fail: one slow answer must not take a process out of service."""

_Response = health_pb2.HealthCheckResponse
_Context = grpc.aio.ServicerContext[Any, Any]


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # generated without types
    """Answers health checks.

    Args:
        services: full names of the services that this process serves.
    """

    def __init__(self, services: Collection[str]) -> None:
        self._services = tuple(services)
        self._up = {DATABASE: True, REDIS: True}
        self._draining = False
        self._changed = asyncio.Event()
        self._statuses = self._current()

    def set(self, dependency: str, *, up: bool) -> None:
        """Say whether ``DATABASE`` or ``REDIS`` answers."""
        self._up[dependency] = up
        self._update()

    def drain(self) -> None:
        """Say NOT_SERVING from now on, and end the watches: they would keep the server from stopping."""
        self._draining = True
        self._update()
        self._changed.set()

    async def Check(  # noqa: N802 - named by the protocol
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> health_pb2.HealthCheckResponse:
        """Answer once."""
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "this server has no service of that name")
        return _Response(status=status)

    async def List(  # noqa: N802 - named by the protocol
        self, request: health_pb2.HealthListRequest, context: _Context
    ) -> health_pb2.HealthListResponse:
        """Answer for every name at once."""
        return health_pb2.HealthListResponse(
            statuses={name: _Response(status=status) for name, status in self._statuses.items()}
        )

    async def Watch(  # noqa: N802 - named by the protocol
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Answer now and at every change, until the process drains."""
        told = None
        while True:
            changed = self._changed
            status = self._statuses.get(request.service, _Response.SERVICE_UNKNOWN)
            if status != told:
                yield _Response(status=status)
                told = status
            if self._draining:
                return
            await changed.wait()

    def _current(self) -> Mapping[str, "health_pb2.HealthCheckResponse.ServingStatus"]:
        serving = self._up[DATABASE] and not self._draining
        up = dict.fromkeys(("", *self._services), serving) | self._up
        return {name: _Response.SERVING if good else _Response.NOT_SERVING for name, good in up.items()}

    def _update(self) -> None:
        statuses = self._current()
        if statuses != self._statuses:
            self._statuses = statuses
            self._changed.set()
            self._changed = asyncio.Event()


class Checker:
    """Asks the database and Redis once a second and tells ``Health``.

    The database is asked over a connection and a thread of its own: under heavy load the pool is busy, which is no
    reason to be taken out of service.

    Args:
        health: is told.
        database_url: an SQLAlchemy URL.
        redis: a client.
    """

    def __init__(self, health: Health, database_url: str, redis: RedisClient) -> None:
        self._health = health
        self._redis = redis
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._asking: asyncio.Future[bool] | None = None
        self._engine = create_engine(
            database_url,
            pool_size=1,
            max_overflow=0,
            isolation_level="AUTOCOMMIT",
            connect_args={
                "application_name": "rowlock-health",
                "connect_timeout": 2,
                "options": f"-c statement_timeout={int(_CHECK_TIMEOUT * 1000)}",
                "tcp_user_timeout": int(_CHECK_TIMEOUT * 1000),
            },
        )

    async def watch_database(self) -> None:
        """Check PostgreSQL for ever."""
        await self._watch(DATABASE, self._database_answers)

    async def watch_redis(self) -> None:
        """Check Redis for ever."""
        await self._watch(REDIS, self._redis_answers)

    def close(self) -> None:
        """Close the connection, once nothing watches any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._engine.dispose()

    async def _watch(self, name: str, answers: Callable[[], Any]) -> None:
        failures = 0
        was_up = True
        DEPENDENCY_UP.labels(name).set(1)
        while True:
            began = time.monotonic()
            failures = 0 if await answers() else failures + 1
            up = failures < _FAILURES
            if up != was_up:
                was_up = up
                (_log.info if up else _log.error)(
                    "dependency_back" if up else "dependency_away", dependency=name, effect=_EFFECTS[name, up]
                )
                DEPENDENCY_UP.labels(name).set(up)
                self._health.set(name, up=up)
            await asyncio.sleep(max(0.1, _INTERVAL - (time.monotonic() - began)))

    async def _database_answers(self) -> bool:
        if self._asking is None:
            self._asking = asyncio.get_running_loop().run_in_executor(self._thread, self._ask_database)
        await asyncio.wait([self._asking], timeout=_CHECK_TIMEOUT)
        if not self._asking.done():
            # The thread hangs on a dead link. Another question would only queue behind it, so this one stays.
            return False
        answer, self._asking = self._asking.result(), None
        return answer

    def _ask_database(self) -> bool:
        try:
            with self._engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            self._engine.dispose()
            return False
        return True

    async def _redis_answers(self) -> bool:
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_CHECK_TIMEOUT):
                await self._redis.ping()
            return True
        return False


_EFFECTS: Final = {
    (DATABASE, False): "calls are UNAVAILABLE, and health says NOT_SERVING",
    (DATABASE, True): "calls are answered again",
    (REDIS, False): "bookings and feeds go on, feeds with up to a second of delay; payments and expiry wait",
    (REDIS, True): "everything goes on as usual",
}
