"""`rowlock webhooks`: the messages of payment providers, and those that wait for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, TypeVar
from uuid import UUID

import typer
from sqlalchemy.orm import Session

from server.commands.database import reachable_database
from server.config import load_settings
from server.db.engine import Database
from server.db.models.webhooks import ProviderWebhook
from server.domain import webhooks
from server.errors import NotFound
from server.start_checks import require_schema
from server.states import WebhookState

app = typer.Typer()
group = typer.Typer(
    no_args_is_help=True,
    help="The messages of payment providers, and those that wait for people.",
    epilog="What each outcome means, and what to do about it: docs/webhooks.md.",
)
app.add_typer(group, name="webhooks")

T = TypeVar("T")


class Shown(StrEnum):
    """Which messages to list."""

    ATTENTION = "attention"
    RECEIVED = "received"
    DONE = "done"
    ALL = "all"


Ids = Annotated[list[UUID], typer.Argument(help="Ids, as `rowlock webhooks list` shows them.")]


@group.command("list")
def list_webhooks(
    state: Annotated[
        Shown, typer.Option(help="attention: people have to act. received: due, or tried again later. done. all.")
    ] = Shown.ATTENTION,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
) -> None:
    """List messages, the newest first: by default those that wait for people. Exit status 1 if any of those do."""
    wanted = None if state is Shown.ALL else WebhookState[state.name]
    found = _run(lambda session: webhooks.page(session, wanted, None, limit).rows)
    for message in found:
        typer.echo(_line(message))
    if state is Shown.ATTENTION:
        typer.echo(f"{len(found)} wait for somebody." if found else "None waits for anybody.")
        sys.exit(bool(found))


@group.command()
def show(
    webhook_id: Annotated[UUID, typer.Argument(metavar="ID", help="As `rowlock webhooks list` shows it.")],
) -> None:
    """Show one message whole: what it is about, what came of it, and its body as it came."""

    def read(session: Session) -> tuple[ProviderWebhook, bytes]:
        message = webhooks.get(session, webhook_id)
        return message, bytes(message.body)

    try:
        message, body = _run(read)
    except NotFound as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from None
    typer.echo(_line(message))
    facts = {
        "event": message.event_id,
        "happened": message.event_time.isoformat(),
        "payment": message.payment_name or message.payment_reference,
        "refund": message.refund_reference,
        "dispute": message.dispute_reference,
        "delivered": f"{message.delivery_count} times",
        "tried": f"{message.attempt_count} times",
        "next attempt": message.next_attempt_time and message.next_attempt_time.isoformat(),
    }
    for name, value in facts.items():
        if value:
            typer.echo(f"  {name}: {value}")
    # Escaped by JSON: a terminal is not to be told anything by somebody else.
    typer.echo(json.dumps(body.decode(errors="replace")))


@group.command()
def retry(
    ids: Annotated[list[UUID] | None, typer.Argument(help="Ids, whatever their state.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait for people.")] = False,
) -> None:
    """Have messages acted on once more, by a worker, within seconds. That never does anything twice."""
    if bool(ids) == everything:
        raise typer.BadParameter("give ids, or --all")
    try:
        count = _run(lambda session: webhooks.retry(session, None if everything else ids))
    except NotFound as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{count} will be acted on.")


@group.command()
def close(ids: Ids, note: Annotated[str, typer.Option(help="What was done, for the record.")]) -> None:
    """Say that people have dealt with messages that waited for them."""
    count = _run(lambda session: webhooks.close(session, ids, note))
    typer.echo(f"{count} closed.")


def _line(message: ProviderWebhook) -> str:
    time = message.create_time.strftime("%Y-%m-%d %H:%M:%S")
    words = [str(message.id), time, message.provider.name, message.kind, message.state.name, message.outcome or ""]
    if message.state is WebhookState.ATTENTION and message.summary not in (message.outcome or ""):
        words.append(f"({message.summary})")
    return "  ".join(word for word in words if word)


def _run(work: Callable[[Session], T]) -> T:
    with _opened() as database:
        return database.run_transaction(work)


@contextmanager
def _opened() -> Iterator[Database]:
    with reachable_database(load_settings()) as settings:
        require_schema(settings)
        database = Database(settings.database_url, threads=1)
        try:
            yield database
        finally:
            database.close()
