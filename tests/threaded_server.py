"""A whole server in a thread and an event loop of its own, for clients that block; it can be restarted."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from server.app import drain, start
from server.config import Settings
from server.runtime import runtime

QUICK: dict[str, Any] = {
    "password_memory": 64 * 1024,
    "password_passes": 1,
    "simulator_success_rate": 1.0,
    "payment_sweep_interval": timedelta(milliseconds=200),
    "payment_resolve_interval": timedelta(milliseconds=100),
    "drain_time": timedelta(seconds=2),
}


class ThreadedServer:
    """Starts and stops at the same port.

    Args:
        settings: of the server; the port it gets first it keeps.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.model_copy(update=QUICK)
        self.address = ""

    def start(self) -> None:
        """Serve, from now on."""
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="server")
        self._thread.start()
        self._ready.wait(60)
        if self._failure is not None:
            raise self._failure
        assert self.address

    def stop(self) -> None:
        """Drain and end."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    def run_soon(self, work: Callable[[], object]) -> None:
        """Run this in the server's event loop, which does nothing else meanwhile."""
        self._loop.call_soon_threadsafe(work)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001 - told to the thread that waits
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with runtime(self._settings) as running:
            server, port = await start(running)
            self.address = f"127.0.0.1:{port}"
            self._settings = self._settings.model_copy(update={"grpc_address": self.address})
            self._ready.set()
            await self._stop.wait()
            await drain(server, running, asyncio.Event())


@contextmanager
def threaded_server(settings: Settings) -> Iterator[ThreadedServer]:
    """A server within the block."""
    server = ThreadedServer(settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()
