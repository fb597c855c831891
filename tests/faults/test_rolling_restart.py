"""Two server processes share a port and are replaced one after the other while they are called."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import pytest

from rowlock.v1 import auth_pb2, auth_pb2_grpc
from server.config import Settings

CALLERS = 20

# What a client needs to call safely: retry what was not answered, with the same request.
RETRY = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)


@asynccontextmanager
async def process(settings: Settings, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A server process that answers."""
    environment = {
        **os.environ,
        "ROWLOCK_DATABASE_URL": settings.database_url,
        "ROWLOCK_REDIS_URL": settings.redis_url,
        "ROWLOCK_GRPC_ADDRESS": f"127.0.0.1:{port}",
        "ROWLOCK_ADMIN_ADDRESS": "off",
        "ROWLOCK_METRICS_ADDRESS": "off",
        "ROWLOCK_RATE_LIMITS": "false",
        "ROWLOCK_LOG_FORMAT": "json",
        "ROWLOCK_LOG_LEVEL": "info",
    }
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server.cli", "serve", env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert started.stdout is not None
    reading: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(120):
            event = None
            while event != "serving":
                said = await started.stdout.readline()
                assert said, "it ended before it served"
                event = json.loads(said).get("event")
        reading = asyncio.create_task(started.stdout.read())
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()
        if reading is not None:
            await reading


async def end(server: asyncio.subprocess.Process) -> None:
    server.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(server.wait(), 60) == 0


class Load:
    """Callers that never pause; each call has its own connection every so often, as many clients would."""

    def __init__(self, port: int) -> None:
        self._target = f"127.0.0.1:{port}"
        self._tasks = [asyncio.create_task(self._call_on()) for _ in range(CALLERS)]
        self.answered = 0
        self.failures: list[str] = []

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def progress(self, calls: int = 200) -> None:
        """Wait until so many more were answered: a fault without load would show nothing."""
        goal = self.answered + calls
        async with asyncio.timeout(60):
            while self.answered < goal:  # noqa: ASYNC110 - counted, not told
                await asyncio.sleep(0.02)

    async def _call_on(self) -> None:
        options = [("grpc.service_config", RETRY), ("grpc.use_local_subchannel_pool", 1)]
        while True:
            async with grpc.aio.insecure_channel(self._target, options=options) as channel:
                stub = auth_pb2_grpc.AuthServiceStub(channel)
                for _ in range(50):
                    try:
                        await stub.GetJwks(auth_pb2.GetJwksRequest(), timeout=60)
                        self.answered += 1
                    except grpc.aio.AioRpcError as error:
                        self.failures.append(f"{error.code()}: {error.details()}")


@pytest.mark.fault
async def test_a_rolling_restart_fails_no_call_of_a_client_that_retries(settings: Settings) -> None:
    # Bound for as long as the test lasts, so that nobody else gets the port; who does not listen gets no connection.
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        async with process(settings, port) as first, process(settings, port) as second:
            load = Load(port)
            await load.progress()
            await end(first)
            await load.progress()
            async with process(settings, port):
                await load.progress()
                await end(second)
                await load.progress()
                await load.stop()
    assert load.failures == []
    assert load.answered >= 800
