"""`rowlock migrate`: bring the database to the newest schema."""

from __future__ import annotations

import typer

from server.commands.database import reachable_database
from server.config import load_settings
from server.db.migrate import upgrade
from server.start_checks import shown_database

app = typer.Typer()


@app.command()
def migrate() -> None:
    """Apply every migration that the database lacks. Safe to repeat, and to run from several places at once."""
    with reachable_database(load_settings()) as settings:
        upgrade(settings.database_url)
        typer.echo(f"{shown_database(settings.database_url)} has the newest schema.")
