"""`rowlock health`: whether what a machine needs answers, for health checks of containers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import grpc
import httpx
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.config import Settings, StartError, load_settings
from server.embedded import running_settings
from server.start_checks import wait_for_database, wait_for_redis

app = typer.Typer()

_TIMEOUT = 4.0


class Part(StrEnum):
    """What can be asked."""

    SERVER = "server"
    DATABASE = "database"
    REDIS = "redis"
    CONSOLE = "console"


_USUAL = (Part.SERVER, Part.DATABASE, Part.REDIS)


@app.command()
def health(
    parts: Annotated[list[Part] | None, typer.Argument(help="What to ask; without any: all but the console.")] = None,
) -> None:
    """Ask the server, the database, Redis or the console of the settings; exit status 0 if all answer."""
    settings = load_settings({"start_timeout": "0s"}, calls_only=True)
    settings = running_settings(settings) or settings
    checks: dict[Part, Callable[[Settings], None]] = {
        Part.SERVER: ask_server,
        Part.DATABASE: wait_for_database,
        Part.REDIS: wait_for_redis,
        Part.CONSOLE: ask_console,
    }
    failed = False
    for part in parts or _USUAL:
        try:
            checks[part](settings)
            typer.echo(f"{part}: ok")
        except StartError as error:
            failed = True
            typer.echo(f"{part}: {error}", err=True)
    sys.exit(1 if failed else 0)


def ask_server(settings: Settings) -> None:
    """Return if the server on this machine says that it serves.

    Raises:
        StartError: it does not answer, or says something else.
    """
    address = _on_this_machine(settings.grpc_address)
    with _channel(address, settings) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT)
        except grpc.RpcError as error:
            raise StartError(f"no answer at {address}: {error.details()}") from None
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise StartError(f"{address} says {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}")


def ask_console(settings: Settings) -> None:
    """Return if the console on this machine answers.

    Raises:
        StartError: it does not.
    """
    address = _on_this_machine(settings.console_address)
    scheme = "http" if settings.console_tls_cert_file is None else "https"
    try:
        # Its certificate is for another name, and this is not about who it is.
        answer = httpx.get(f"{scheme}://{address}/healthz", timeout=_TIMEOUT, verify=False)  # noqa: S501
    except httpx.HTTPError as error:
        raise StartError(f"no answer at {address}: {error}") from None
    if not answer.is_success:
        raise StartError(f"{address} answers with status {answer.status_code}")


def _on_this_machine(address: str) -> str:
    """Where to ask who listens at an address: everywhere is here, too."""
    host, _, port = address.rpartition(":")
    return f"127.0.0.1:{port}" if host in {"0.0.0.0", "[::]"} else address  # noqa: S104 (compared)


def _channel(address: str, settings: Settings) -> grpc.Channel:
    """A channel to the server on this machine, whose certificate names another host and is its own proof."""
    if settings.tls_cert_file is None:
        return grpc.insecure_channel(address)
    certificate = Path(settings.tls_cert_file).read_bytes()
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(root_certificates=certificate))
