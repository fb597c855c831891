"""`rowlock serve`: the gRPC server."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer
import uvloop

from server.commands.children import run_copies
from server.config import Settings, load_settings
from server.logs import configure_logging
from server.start_checks import ready_settings

app = typer.Typer()


@app.command()
def serve(
    address: Annotated[str | None, typer.Option(help="Serve here instead of ROWLOCK_GRPC_ADDRESS (host:port).")] = None,
    processes: Annotated[int | None, typer.Option(help="Server processes; instead of ROWLOCK_PROCESSES.")] = None,
) -> None:
    """Serve gRPC until SIGTERM or Ctrl-C, then drain: calls under way end, streams are told to reconnect.

    With more than one process they share the port, and one that dies is started again.
    """
    given = load_settings({"grpc_address": address, "processes": processes})
    configure_logging(given.log_level, given.log_format)
    settings = ready_settings(given)
    if settings.processes > 1:
        sys.exit(run_copies("server", "serve", settings.processes, settings))
    _serve(settings)


def _serve(settings: Settings) -> None:
    from server.app import serve as serve_until_stopped

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_until_stopped(settings))
