"""The ports for operators: channelz, health and reflection over gRPC, metrics over HTTP.

They are servers of their own, so that they answer while the main one is full, and so that they can stay off public
networks. Process number N listens N ports higher.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import structlog
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from server.addresses import split_address
from server.config import Settings, StartError, variable_name
from server.health import Health
from server.listening import bind
from server.metrics import serve_metrics

_log = structlog.get_logger()

_CHANNELZ = "grpc.channelz.v1.Channelz"
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


@asynccontextmanager
async def operators_ports(settings: Settings, health: Health) -> AsyncIterator[None]:
    """Serve both while the block runs.

    Raises:
        StartError: a port is taken.
    """
    stop_metrics = _serve_metrics(settings)
    try:
        server = await _serve_admin(settings, health)
        try:
            yield
        finally:
            if server is not None:
                await server.stop(None)
    finally:
        if stop_metrics is not None:
            stop_metrics()


async def _serve_admin(settings: Settings, health: Health) -> grpc.aio.Server | None:
    if not settings.admin_address:
        return None
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    channelz.add_channelz_servicer(server)  # type: ignore[arg-type]  # takes both kinds
    reflection.enable_server_reflection([HEALTH, _CHANNELZ, reflection.SERVICE_NAME], server)
    host, port = split_address(settings.admin_address, settings.process_index)
    port = bind(server, f"{host}:{port}", variable_name("admin_address"), shared=False)
    await server.start()
    _log.info("serving_operators", address=f"{host}:{port}")
    return server


def _serve_metrics(settings: Settings) -> Callable[[], None] | None:
    if not settings.metrics_address:
        return None
    host, port = split_address(settings.metrics_address, settings.process_index)
    try:
        return serve_metrics(host, port)
    except OSError as error:
        raise StartError(
            f"Cannot serve metrics on {host}:{port}: {error.strerror}. "
            f"Free it, or choose another with {variable_name('metrics_address')}."
        ) from None
