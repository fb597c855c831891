"""`rowlock mail`: a look at the templates, at what could not be sent, and sending it again."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.orm import Session

from server.commands.database import reachable_database
from server.config import load_settings
from server.db.engine import Database
from server.logs import configure_logging
from server.start_checks import require_schema

app = typer.Typer()
group = typer.Typer(no_args_is_help=True)
app.add_typer(group, name="mail", help="Mails: a look at the templates, what could not be sent, sending it again.")


@group.command()
def preview(
    folder: Annotated[Path, typer.Option(help="Where to write; made if absent.")] = Path("mail-preview"),
) -> None:
    """Write every mail with made-up facts, as a page and as text, and a page that shows all of them.

    Uses the templates of ROWLOCK_MAIL_TEMPLATES_DIR, so whoever changes one sees it. Exit status 1 if one fails.
    """
    from server.mail.previewing import write_samples
    from server.parts import make_renderer

    settings = load_settings()
    failed = write_samples(make_renderer(settings), folder)
    for name, error in failed.items():
        typer.echo(f"{name}: {error}", err=True)
    typer.echo(f"Open {folder / 'index.html'}")
    sys.exit(1 if failed else 0)


@group.command()
def status() -> None:
    """How many mails wait, for how long, how many were sent, and which ones failed and why."""
    from server.domain.notification_reads import failures, queue_status

    with reachable_database(load_settings()) as settings:
        require_schema(settings)
        database = Database(settings.database_url, threads=1)
        try:
            now = database.run_transaction(queue_status)
            failed = database.run_transaction(lambda session: failures(session, 50))
        finally:
            database.close()
        typer.echo(f"waiting    {now.queued}" + (f", the oldest since {now.oldest:%F %T}Z" if now.oldest else ""))
        typer.echo(f"sent       {now.sent}\nfailed     {now.failed}, {now.uncertain} of them perhaps sent all the same")
        for row in failed:
            typer.echo(f"  notifications/{row.id}  {row.kind.name.lower():<22} {row.error_reason}")


@group.command()
def retry(
    names: Annotated[list[str] | None, typer.Argument(help="notifications/… to send again.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that failed.")] = False,
    uncertain: Annotated[
        bool, typer.Option("--uncertain", help="Those of which nobody knows whether the mail server took them.")
    ] = False,
) -> None:
    """Put mails that failed into the queue again, under the same Message-ID.

    One that is uncertain may then arrive twice; receivers that look at the Message-ID show it once.
    """
    from server.domain.notification_queue import retry as again

    ids = [_id(name) for name in names or ()]
    if (bool(ids) + every + uncertain) != 1:
        raise typer.BadParameter("name mails, or say --all or --uncertain")
    with reachable_database(load_settings()) as settings:
        require_schema(settings)
        database = Database(settings.database_url, threads=1)

        def work(session: Session) -> int:
            return again(session, names=ids, uncertain_only=uncertain)

        try:
            count = database.run_transaction(work)
        finally:
            database.close()
        typer.echo(f"{count} mails are in the queue again.")
        sys.exit(0 if count or not ids else 1)


@group.command(hidden=True)
def catch(address: str, folder: Path) -> None:
    """Be a mail server that keeps mails as files and delivers none; `rowlock up` runs it."""
    from server.embedded.mail_catcher import MailCatcher

    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    host, _, port = address.rpartition(":")
    listening = socket.create_server((host, int(port)), reuse_port=False)
    asyncio.run(MailCatcher(folder).run(listening))


def _id(name: str) -> UUID:
    try:
        return UUID(name.removeprefix("notifications/"))
    except ValueError:
        raise typer.BadParameter(f"{name!r} is no notifications/…") from None
