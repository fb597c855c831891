"""`rowlock migrate`: bring the database to the newest schema."""

from __future__ import annotations

import typer

from server.commands.database import reachable_database
from server.config import load_settings
from server.db.migrate import Fit, upgrade
from server.start_checks import shown_database

app = typer.Typer()


@app.command()
def migrate() -> None:
    """Apply every migration that the database lacks. Safe to repeat, and to run from several places at once.

    A database that a newer version has migrated is left as it is.
    """
    with reachable_database(load_settings()) as settings:
        shown = shown_database(settings.database_url)
        if upgrade(settings.database_url) is Fit.NEWER:
            typer.echo(f"{shown} has the schema of a newer version, which suits this one, too: nothing to do.")
        else:
            typer.echo(f"{shown} has the newest schema.")
