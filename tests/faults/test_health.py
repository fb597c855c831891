"""What health says while PostgreSQL and Redis come and go under a running server."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc.aio
import psutil
import pytest
from grpc_health.v1 import health_pb2

from rowlock.v1 import auth_pb2, auth_pb2_grpc
from server.app import start
from server.background import Background
from server.config import Settings
from server.embedded import PostgresServer, ValkeyServer
from server.health import DATABASE, REDIS, Checker, Health
from server.parts import connect_redis
from server.runtime import runtime
from tests.eventually import eventually

pytestmark = pytest.mark.usefixtures("prompt_health")

SERVING = health_pb2.HealthCheckResponse.SERVING


@asynccontextmanager
async def checked(settings: Settings) -> AsyncIterator[Health]:
    health = Health(["rowlock.v1.BookingService"])
    redis = connect_redis(settings)
    checker = Checker(health, settings.database_url, redis)
    background = Background()
    background.start(checker.watch_database(), "database")
    background.start(checker.watch_redis(), "redis")
    yield health
    await background.stop()
    checker.close()
    await redis.aclose()


async def is_serving(health: Health, name: str) -> bool:
    answer = await health.Check(health_pb2.HealthCheckRequest(service=name), cast("Any", None))
    return bool(answer.status == SERVING)


async def becomes(health: Health, expected: dict[str, bool]) -> None:
    async with asyncio.timeout(60):
        while {name: await is_serving(health, name) for name in expected} != expected:  # noqa: ASYNC110 - told by nobody
            await asyncio.sleep(0.05)


@pytest.fixture
def own_settings(private_postgres: PostgresServer, private_valkey: ValkeyServer, tmp_path: Path) -> Settings:
    return Settings(
        database_url=private_postgres.url("rowlock"),
        redis_url=private_valkey.url(),
        data_dir=tmp_path,
        grpc_address="127.0.0.1:0",
        admin_address="",
        metrics_address="",
    )


@pytest.mark.fault
async def test_without_redis_the_server_is_degraded_and_serves(
    own_settings: Settings, private_valkey: ValkeyServer
) -> None:
    async with checked(own_settings) as health:
        await becomes(health, {REDIS: True})
        private_valkey.kill()
        await becomes(health, {REDIS: False, DATABASE: True, "": True, "rowlock.v1.BookingService": True})
        private_valkey.start()
        await becomes(health, {REDIS: True, "": True})


@pytest.mark.fault
async def test_without_its_database_it_serves_nothing_until_it_is_back(
    own_settings: Settings, private_postgres: PostgresServer
) -> None:
    async with checked(own_settings) as health:
        await asked_once(private_postgres)
        private_postgres.kill()
        await becomes(health, {REDIS: True, DATABASE: False, "": False, "rowlock.v1.BookingService": False})
        private_postgres.start()
        await becomes(health, {DATABASE: True, "": True, "rowlock.v1.BookingService": True})


@pytest.mark.fault
async def test_a_database_that_hangs_is_away_and_the_event_loop_runs_on(
    own_settings: Settings, private_postgres: PostgresServer
) -> None:
    async with checked(own_settings) as health:
        await asked_once(private_postgres)
        children = _family(private_postgres.pid)
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
        try:
            # The question over the connection that there is has no answer, and no end: on the event loop, nobody would
            # come to say so.
            await becomes(health, {DATABASE: False, "": False})
        finally:
            for pid in children:
                os.kill(pid, signal.SIGCONT)
        await becomes(health, {DATABASE: True, "": True})


async def asked_once(server: PostgresServer) -> None:
    """Wait until health has asked the database, and so has a connection."""
    asked = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'rowlock-health' AND query = 'SELECT 1'"
    with server.connect() as connection, connection.cursor() as cursor:

        def has_asked() -> bool:
            cursor.execute(asked)
            return cursor.fetchone() is not None

        await eventually(has_asked)


def _family(pid: int) -> list[int]:
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


@pytest.mark.fault
async def test_a_call_without_database_is_unavailable_and_says_so(
    own_settings: Settings, private_postgres: PostgresServer
) -> None:
    async with runtime(own_settings) as running:
        server, port = await start(running)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            log_in = auth_pb2_grpc.AuthServiceStub(channel).LogIn
            request = auth_pb2.LogInRequest(email="a@example.com", password="correct horse")
            private_postgres.kill()
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await log_in(request, timeout=60)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            private_postgres.start()
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await log_in(request, timeout=60)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        await server.stop(None)
