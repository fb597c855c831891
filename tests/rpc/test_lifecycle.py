"""A real server over a real socket: it starts, answers, says how it is, drains and ends."""

import asyncio
import os
import signal
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from rowlock.v1 import auth_pb2, auth_pb2_grpc
from server.app import serve
from server.config import Settings, StartError
from server.listening import bind, channel_options
from server.runtime import runtime
from tests.ports import free_port

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture(autouse=True)
def _signal_handlers() -> Iterator[None]:
    """A test that fails must not leave pytest deaf to Ctrl-C."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[tuple[int, "asyncio.Task[None]"]]:
    """A server in this event loop: its port, and the task that ends when it has stopped."""
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(settings, started))
    awaited: list[asyncio.Future[Any]] = [task, started]
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    try:
        yield started.result(), task
    finally:
        if not task.done():
            os.kill(os.getpid(), signal.SIGTERM)
        await task


async def check(channel: grpc.aio.Channel, service: str = "") -> int:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
    return int(answer.status)


async def test_it_answers_health_checks_and_ends_on_sigterm(settings: Settings) -> None:
    async with (
        served(settings) as (port, task),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        for name in ("", "rowlock.v1.AuthService", "rowlock.database", "rowlock.redis"):
            assert await check(channel, name) == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await check(channel, "rowlock.v1.NoSuchService")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(task, 60)


async def test_draining_tells_health_watchers_and_does_not_wait_for_them(settings: Settings) -> None:
    patient = settings.model_copy(update={"drain_time": timedelta(hours=1)})
    async with (
        served(patient) as (port, task),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        # Asked for before it comes: gRPC's client drops what it has not been asked for when the end comes with it.
        news = asyncio.create_task(watch.read())
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
        assert (await news).status == NOT_SERVING
        assert await watch.read() is grpc.aio.EOF  # type: ignore[attr-defined]
        await asyncio.wait_for(task, 60)


async def test_a_second_signal_ends_it_at_once(settings: Settings) -> None:
    patient = settings.model_copy(update={"drain_time": timedelta(hours=1)})
    async with served(patient) as (port, task), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        # A reflection stream stays open for as long as its client likes.
        stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await stream.read()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.3)
        assert not task.done()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(task, 60)


async def test_it_can_be_stopped_at_any_moment_of_its_start(settings: Settings) -> None:
    for moment in range(15):
        async with asyncio.timeout(60), runtime(settings):
            await asyncio.sleep(0.001 * moment)


async def test_several_processes_may_share_the_port(settings: Settings) -> None:
    first, second = (grpc.aio.server(options=channel_options(settings)) for _ in range(2))
    port = bind(first, "127.0.0.1:0", "ROWLOCK_GRPC_ADDRESS")
    assert bind(second, f"127.0.0.1:{port}", "ROWLOCK_GRPC_ADDRESS") == port


async def test_a_port_of_another_program_is_said_in_words(settings: Settings) -> None:
    stranger = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, reuse_port=False)
    port = stranger.sockets[0].getsockname()[1]
    async with stranger:
        for name in ("grpc_address", "admin_address", "metrics_address"):
            with pytest.raises(StartError, match=f"{port}.*(uses|in use).*ROWLOCK_{name.upper()}"):
                async with served(settings.model_copy(update={name: f"127.0.0.1:{port}"})):
                    pass


async def test_operators_get_metrics_and_channelz_on_ports_of_their_own(settings: Settings) -> None:
    metrics, admin = free_port(), free_port()
    # Process 1 listens one port higher than the settings say.
    own = settings.model_copy(
        update={
            "metrics_address": f"127.0.0.1:{metrics - 1}",
            "admin_address": f"127.0.0.1:{admin - 1}",
            "process_index": 1,
        }
    )
    async with (
        served(own) as (port, _task),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        grpc.aio.insecure_channel(f"127.0.0.1:{admin}") as admin_channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError):
            await auth_pb2_grpc.AuthServiceStub(channel).GetUser(auth_pb2.GetUserRequest(name="users/me"))
        assert await check(admin_channel) == SERVING
        text = await asyncio.to_thread(_read, f"http://127.0.0.1:{metrics}/metrics")
        assert 'rowlock_rpc_total{code="' in text
        assert 'method="GetUser"' in text
        assert 'rowlock_rpc_seconds_bucket{le="+Inf",method="GetUser",service="rowlock.v1.AuthService"}' in text
        assert "rowlock_event_loop_lag_seconds_count" in text
        assert 'rowlock_dependency_up{dependency="rowlock.redis"} 1.0' in text


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own address
        return str(answer.read().decode())


async def _reflected(port: int) -> set[str]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        answer = await stream.read()
        await stream.done_writing()
        return {service.name for service in answer.list_services_response.service}


async def test_reflection_is_on_in_development_and_off_when_told(settings: Settings) -> None:
    async with served(settings) as (port, _):
        assert "grpc.health.v1.Health" in await _reflected(port)
    async with served(settings.model_copy(update={"reflection": False})) as (port, _):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _reflected(port)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
