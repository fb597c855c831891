"""Serves a fake provider over HTTP: in this process's main thread, or in a thread of its own beside a test."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from server.fake_provider import control_calls, paypal_calls
from server.fake_provider.provider import FakeProvider

Wrap = Callable[[ASGIApp], ASGIApp]


def application(provider: FakeProvider) -> Starlette:
    """The ASGI application of a provider."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await provider.outbox.close()

    return Starlette(routes=[*paypal_calls.routes(provider), *control_calls.routes(provider)], lifespan=lifespan)


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A socket that listens; port 0: any that is free.

    Raises:
        OSError: the port is taken.
    """
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.set_inheritable(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a listening socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_of(app: ASGIApp) -> uvicorn.Server:
    """What serves an application."""
    # It logs nothing of its own: what it does shows in its books, and failures in those of the shop.
    return uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1))


@contextmanager
def in_thread(make: Callable[[str], FakeProvider], wrap: Wrap | None = None) -> Iterator[FakeProvider]:
    """A fake provider for the length of the block, on a free port.

    Args:
        make: makes it, given where it will be reached.
        wrap: put around its application.
    """
    listener = listen()
    provider = make(url_of(listener))
    app: Any = application(provider)
    server = server_of(wrap(app) if wrap else app)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), name="fake provider")
    thread.start()
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join()
