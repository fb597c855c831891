"""`rowlock demo`: a race for one theatre, and the proof that nothing went wrong."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from server.config import StartError
from server.supervisor import stop_signals

if TYPE_CHECKING:
    from server.demo.race import Verdict

app = typer.Typer()

_FAULTS_SHOWN = 20


@app.command()
def demo(
    customers: Annotated[int, typer.Option(min=1, help="How many want seats.")] = 300,
    watchers: Annotated[int, typer.Option(min=1, help="How many screens watch.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the dice that decide what each customer is like.")] = 1,
) -> None:
    """Let hundreds of customers race for one theatre while screens watch; then check every promise.

    On a database, a Redis, two servers, a worker and a scheduler of its own, which are gone afterwards. Takes about a
    minute. Customers collide, change their mind, cancel, vanish, pay late, and payment providers fail and fall silent.
    Meanwhile a premiere sells through a waiting room, and a matinee is cancelled. The last line is `RESULT {…}`; the
    exit status is 0 only if no seat was sold twice, every screen shows what the database holds, the providers' books
    equal ours, every mail went out once, and no promise is broken.
    """
    from server.demo.house import data_folder, open_house
    from server.demo.race import run

    with stop_signals(), ExitStack() as stack:
        folder = stack.enter_context(data_folder())
        typer.echo("Starting PostgreSQL, Valkey, two servers, a worker and a scheduler …")
        try:
            with open_house(folder) as house:
                verdict = asyncio.run(run(house, customers=customers, watchers=watchers, seed=seed, say=typer.echo))
        except StartError:
            typer.echo(f"The servers' log is {folder / 'log'}", err=True)
            raise
        _show(verdict)
        if not verdict.good or verdict.surprises:
            stack.pop_all()
            typer.echo(f"The servers' log is {folder / 'log'}", err=True)
    typer.echo(verdict.line())
    sys.exit(0 if verdict.good else 1)


def _show(verdict: Verdict) -> None:
    lines = (
        "",
        f"{verdict.customers} customers, {verdict.watchers} screens, {verdict.seconds:.0f} s",
        f"  bookings          {verdict.confirmed} confirmed, {verdict.cancelled} cancelled, {verdict.expired} expired",
        f"  seats             {verdict.seats_sold} sold, {verdict.collisions} attempts at a seat somebody else had",
        f"  refunds           {verdict.refunds}",
        f"  late money        bought {verdict.late_money_sold} bookings, went back {verdict.late_money_refunded} times",
        f"  books             {'equal to' if verdict.books_equal else 'DIFFERENT FROM'} the providers', to the cent",
        f"  waiting room      {verdict.queued} joined, {verdict.admitted} admitted",
        f"  mails             {verdict.mails} sent, {verdict.mails_astray} astray",
        f"  seat map          {verdict.revisions:,} revisions, {verdict.updates_delivered:,} updates shown on screens",
        f"  sold twice        {verdict.oversold}",
        f"  over the limit    {verdict.over_limit} customers",
        f"  screens astray    {verdict.diverged_watchers} of {verdict.watchers}",
        f"  broken promises   {verdict.broken_promises}",
        f"  surprises         {verdict.surprises} answers that nobody should get",
    )
    typer.echo("\n".join(lines))
    for fault in verdict.faults[:_FAULTS_SHOWN]:
        typer.echo(f"  ! {fault}")
    typer.echo("")
