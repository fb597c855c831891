"""`rowlock audit`: whether every promise about seats and money holds, in the database as it is."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from server.commands.database import reachable_database
from server.config import load_settings
from server.db.engine import Database
from server.start_checks import require_schema, shown_database

app = typer.Typer()

_SHOWN = 50


@app.command()
def audit(
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Check also what holds only while no payment is under way.")
    ] = False,
) -> None:
    """Look for what must never be: places claimed twice, wrong counts, money without a booking, gaps in the log.

    Reads one snapshot and changes nothing; safe beside a running server. Exit status 1 if something is found.
    """
    from server.audit import ALWAYS, QUIET
    from server.audit import audit as look

    with reachable_database(load_settings()) as settings:
        require_schema(settings)
        database = Database(settings.database_url, threads=1)
        try:
            found = look(database, quiet=quiet)
        finally:
            database.close()
        for fault in found[:_SHOWN]:
            typer.echo(fault, err=True)
        if found:
            typer.echo(f"{len(found)} faults in {shown_database(settings.database_url)}", err=True)
            sys.exit(1)
        checks = len(ALWAYS) + len(QUIET) * quiet
        typer.echo(f"{shown_database(settings.database_url)} keeps all of its {checks} promises.")
