"""`rowlock backlog`: what workers have still to do, and what waits for people."""

from __future__ import annotations

import sys
from datetime import timedelta

import typer

from server.commands.database import reachable_database
from server.config import load_settings
from server.db.engine import Database
from server.start_checks import require_schema

app = typer.Typer()

_LINE = "{:<24}{:>9}{:>10}{:>12}   {}"


@app.command()
def backlog() -> None:
    """Show what waits to be done, how long it is overdue, and what no worker will do any more.

    Reads once and changes nothing; safe beside a running server. Exit status 1 if something waits for people.
    """
    from server.domain.backlog import backlog as look

    with reachable_database(load_settings()) as settings:
        require_schema(settings)
        database = Database(settings.database_url, threads=1)
        try:
            kinds = database.run_transaction(look)
        finally:
            database.close()
    typer.echo(_LINE.format("work", "waits", "overdue", "for people", "").rstrip())
    for kind in kinds:
        remedy = kind.remedy if kind.for_people else ""
        numbers = (f"{kind.waiting:,}", _length(kind.overdue), f"{kind.for_people:,}")
        typer.echo(_LINE.format(kind.kind, *numbers, remedy).rstrip())
    if any(kind.for_people for kind in kinds):
        sys.exit(1)


def _length(overdue: timedelta | None) -> str:
    """To the unit that matters: `3 s`, `12 min`, `5 h`."""
    if overdue is None:
        return "-"
    seconds = int(overdue.total_seconds())
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
