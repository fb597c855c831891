"""`rowlock console`: the back office in a browser."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
import uvloop

from server.config import StartError, load_settings, variable_name
from server.listening import why_not
from server.logs import configure_logging

app = typer.Typer()


@app.command()
def console(
    address: Annotated[
        str | None, typer.Option(help="Serve here instead of ROWLOCK_CONSOLE_ADDRESS (host:port).")
    ] = None,
) -> None:
    """Serve the back office: catalogue, halls, bookings, money, doors, people.

    It needs no database: staff sign in with their Rowlock accounts, and everything they do is a call of the servers at
    ROWLOCK_CONSOLE_SERVERS. `rowlock create-admin` makes the first account.
    """
    settings = load_settings({"console_address": address}, calls_only=True)
    if not settings.console_address:
        raise StartError(f"{variable_name('console_address')}=off: nothing to serve. Give an address, host:port.")
    configure_logging(settings.log_level, settings.log_format)
    if problem := why_not(settings.console_address, shared=False):
        raise StartError(
            f"Cannot listen on {settings.console_address}: {problem}. Free it, or choose another with "
            f"{variable_name('console_address')}."
        )
    from console.program import serve

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
