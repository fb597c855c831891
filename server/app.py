"""The life of a server process: start, serve, drain, end.

It ends in good order on SIGTERM and SIGINT. Health says NOT_SERVING, streams are told to reconnect elsewhere, no
new connection is taken, calls under way may end within ``ROWLOCK_DRAIN_TIME``. A second signal ends it at once.
"""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Iterator
from typing import Final

import grpc.aio
import structlog
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from server.admin import HEALTH, operators_ports
from server.config import ServerRole, Settings
from server.interceptors.method import Method
from server.listening import channel_options, listen
from server.registration import register
from server.runtime import Runtime, runtime
from server.start_checks import warnings
from server.tracing import start_tracing

_log = structlog.get_logger()


_TURN_AWAY: Final = 0.3
"""Seconds in which new calls are turned away before connections are closed; see ``interceptors/draining.py``."""


class BackgroundFailure(Exception):
    """A part of the process failed, so the process ended; whoever started it starts it again."""


async def serve(settings: Settings, started: "asyncio.Future[int] | None" = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: with the URLs of a database that has the newest schema, and of a Redis.
        started: gets the port when calls are answered.

    Raises:
        StartError: something that the process needs cannot be had; the text says what and how to mend it.
        BackgroundFailure: a part of the process failed.
    """
    for problem in warnings(settings):
        _log.warning("start.check", problem=problem)
    end_tracing = start_tracing(settings, "rowlock-server")
    try:
        await _serve(settings, started)
    finally:
        # It sends what was not sent yet, and may wait for a collector that does not answer.
        await asyncio.to_thread(end_tracing)


async def _serve(settings: Settings, started: "asyncio.Future[int] | None") -> None:
    stop, stop_now = asyncio.Event(), asyncio.Event()
    with _on_signals(stop, stop_now):
        async with runtime(settings) as running, operators_ports(settings, running.health):
            server, port = await start(running)
            if started is not None:
                started.set_result(port)
            await _first(stop, running.background.failed)
            await drain(server, running, stop_now)
            if running.background.failed.is_set():
                raise BackgroundFailure("a part of the server failed; the log says which")


async def start(running: Runtime) -> tuple[grpc.aio.Server, int]:
    """Answer calls from now on; returns the server and its port."""
    settings = running.settings
    server = grpc.aio.server(options=channel_options(settings))
    registration = register(server, running.servicers, running.chain, serves=lambda method: _serves(settings, method))
    health_pb2_grpc.add_HealthServicer_to_server(running.health, server)
    if settings.reflection_enabled:
        services = {method.service for method in registration.served}
        reflection.enable_server_reflection([*sorted(services), HEALTH, reflection.SERVICE_NAME], server)
    port = listen(server, settings)
    await server.start()
    # What was made so far lives as long as the process; the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    # Calls leave few cycles behind; looking for them every 700 objects would take a twentieth of the process's time.
    gc.set_threshold(200_000, 20, 20)
    _log.info(
        "serving",
        address=f"{settings.grpc_address.rpartition(':')[0]}:{port}",
        process=settings.process_index,
        methods=len(registration.served),
        tls=settings.tls_cert_file is not None,
    )
    return server, port


async def drain(server: grpc.aio.Server, running: Runtime, stop_now: asyncio.Event) -> None:
    """Let calls under way end, for as long as the settings allow or until ``stop_now``."""
    grace = running.settings.drain_time.total_seconds()
    _log.info("draining", seconds=grace, streams=len(running.chain.streams))
    running.health.drain()
    running.draining.set()
    running.turn_away.begin(min(_TURN_AWAY, grace))
    ended = asyncio.create_task(_stop(server, grace))
    hurry = asyncio.create_task(stop_now.wait())
    await asyncio.wait({ended, hurry}, return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if not ended.done():
        await server.stop(None)
    await ended
    _log.info("stopped")


async def _stop(server: grpc.aio.Server, grace: float) -> None:
    turn_away = min(_TURN_AWAY, grace)
    await asyncio.sleep(turn_away)
    await server.stop(grace - turn_away)


def _serves(settings: Settings, method: Method) -> bool:
    """Whether a process with these roles answers a method: `edge` the seat streams, `api` everything else."""
    role = ServerRole.EDGE if method.name == "WatchSeats" else ServerRole.API
    return role in settings.roles


async def _first(*events: asyncio.Event) -> None:
    """Return when one of the events is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


@contextlib.contextmanager
def _on_signals(stop: asyncio.Event, stop_now: asyncio.Event) -> Iterator[None]:
    """Set ``stop`` at the first SIGTERM or SIGINT, ``stop_now`` at the second."""

    def act() -> None:
        (stop_now if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
