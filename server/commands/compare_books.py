"""`rowlock compare-books`: whether our books and the payment providers' say the same."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from server.commands.database import reachable_database
from server.config import Settings, load_settings
from server.errors import RowlockError
from server.start_checks import require_schema

if TYPE_CHECKING:
    from server.payments.book_comparison import Comparison

app = typer.Typer()

_SHOWN = 50


@app.command()
def compare_books(
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="Compare what moved from this time on, in UTC, such as 2026-01-31. Everything, if not given.",
        ),
    ] = None,
) -> None:
    """Compare the books with those of the payment providers, payment by payment and refund by refund.

    The simulator's and Stripe's books are read line by line; PayPal is asked about each payment that it has heard of.
    Changes nothing and is safe beside a running server: what is under way at the moment is left out. Each difference is
    one line. Exit status 1 if there is one.
    """
    from_then = None if since is None else since.replace(tzinfo=UTC)
    with reachable_database(load_settings()) as settings:
        require_schema(settings)
        try:
            found = asyncio.run(_compare(settings, from_then))
        except RowlockError as error:
            typer.echo(f"{error.message} ({error.reason}): nothing can be said", err=True)
            sys.exit(1)
    for difference in found.differences[:_SHOWN]:
        typer.echo(difference, err=True)
    said = f"{found.compared} compared, {found.under_way} under way, {found.difference_count} different"
    typer.echo(said, err=not found.equal)
    if not found.equal:
        sys.exit(1)


async def _compare(settings: Settings, since: datetime | None) -> Comparison:
    from server.parts import connect_database
    from server.payments.book_comparison import compare
    from server.payments.providers import close_providers, connect_providers

    database = connect_database(settings)
    providers = connect_providers(settings, database)
    try:
        return await compare(database, providers, since=since)
    finally:
        await close_providers(providers)
        await asyncio.to_thread(database.close)
