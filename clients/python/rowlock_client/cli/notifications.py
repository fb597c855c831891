"""`rowlock inbox`; for staff: `notify`, `mails`, `resend`."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from rowlock.v1 import notification_pb2 as pb
from rowlock.v1 import notification_pb2_grpc
from rowlock_client.cli.options import EXIT_USAGE, CaFile, Failure, Json, Server, connect, told
from rowlock_client.cli.output import local_time, print_json, print_table
from rowlock_client.client import Client
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.rpc import Rpc

app = typer.Typer()

_Notifications: Final = notification_pb2_grpc.NotificationServiceStub


@app.command()
@told
def inbox(
    message: Annotated[str, typer.Argument(metavar="[MESSAGE]", help="Show this one: the end of its name.")] = "",
    *,
    unread: Annotated[bool, typer.Option("--unread", help="Only those that you did not read.")] = False,
    read_all: Annotated[bool, typer.Option("--read-all", help="Mark all of them as read.")] = False,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List what you were told, newest first; or show one message and mark it as read.

    rowlock inbox

    rowlock inbox 3f9c
    """
    with connect(server, ca) as client:
        if read_all:
            client.call(Rpc(_Notifications, "MarkRead", pb.MarkReadRequest()))
        found = _own(client, unread_only=unread)
        if message:
            found = [_chosen(found, message)]
            client.call(Rpc(_Notifications, "MarkRead", pb.MarkReadRequest(names=[found[0].name])))
    if as_json:
        print_json(found)
    elif message:
        one = found[0]
        typer.echo(f"{one.subject}\n{local_time(one.create_time)}\n\n{one.body.strip()}")
    else:
        rows = [
            ("" if one.HasField("read_time") else "new", local_time(one.create_time), one.subject, one.name[-6:])
            for one in found
        ]
        print_table(("", "when", "subject", "message"), rows, empty="Nothing yet.")


@app.command()
@told
def notify(
    recipients: Annotated[list[str], typer.Argument(help="users/…, or one performances/…: all who have booked it.")],
    *,
    subject: Annotated[str, typer.Option(prompt="Subject", help="One line.")],
    body: Annotated[str, typer.Option(help="The words; without: read from standard input.")] = "",
    inbox_only: Annotated[bool, typer.Option("--inbox-only", help="Do not mail it.")] = False,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
) -> None:
    """Tell people something: in their inbox and by mail. For staff.

    rowlock notify performances/1 --subject "Doors open earlier" --body "At 18:00, because of the rain."
    """
    request = pb.SendNotificationRequest(subject=subject, body=body or _read(), inbox_only=inbox_only)
    if recipients[0].startswith("performances/"):
        if len(recipients) > 1:
            raise Failure("name one performance, or users", EXIT_USAGE)
        request.performance = recipients[0]
    else:
        request.recipients.extend(recipients)
    with connect(server, ca) as client:
        answer: pb.SendNotificationResponse = client.call(Rpc(_Notifications, "SendNotification", request))
    typer.echo(f"{answer.recipient_count} people are being told.")


@app.command()
@told
def mails(
    everything: Annotated[bool, typer.Option("--all", help="Those that were sent or wait, too.")] = False,
    most: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List mails that could not be sent, newest first, and why. For staff.

    UNCERTAIN ones may have arrived all the same: the mail server was lost in the moment of the handover.
    """
    state = pb.Notification.STATE_UNSPECIFIED if everything else pb.Notification.FAILED
    request = pb.ListNotificationsRequest(state=state, page_size=most)
    with connect(server, ca) as client:
        page: pb.ListNotificationsResponse = client.call(Rpc(_Notifications, "ListNotifications", request))
    if as_json:
        print_json(page.notifications)
        return
    rows = [
        (
            local_time(one.create_time),
            pb.Notification.State.Name(one.state).lower(),
            one.subject,
            one.error_reason,
            one.name,
        )
        for one in page.notifications
    ]
    print_table(("when", "state", "subject", "why", "mail"), rows, empty="Every mail was sent, or waits to be.")


@app.command()
@told
def resend(
    names: Annotated[list[str], typer.Argument(help="notifications/…, as `rowlock mails` shows them.")],
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
) -> None:
    """Send mails that failed again, under the Message-ID that they had. For staff."""
    with connect(server, ca) as client:
        answer: pb.RetryNotificationsResponse = client.call(
            Rpc(_Notifications, "RetryNotifications", pb.RetryNotificationsRequest(names=names))
        )
    typer.echo(f"{answer.retried_count} mails are in the queue again.")


def _own(client: Client, *, unread_only: bool) -> list[pb.Notification]:
    request = pb.ListNotificationsRequest(recipient="users/me", unread_only=unread_only)
    rpc: Rpc[pb.ListNotificationsResponse] = Rpc(_Notifications, "ListNotifications", request)
    return [one for page in client.pages(rpc) for one in page.notifications]


def _chosen(found: list[pb.Notification], end: str) -> pb.Notification:
    """The message whose name ends so."""
    matching = [one for one in found if one.name.endswith(end)]
    if len(matching) != 1:
        how_many = "no message ends" if not matching else f"{len(matching)} messages end"
        raise Failure(f"{how_many} with {end}: see `rowlock inbox`", EXIT_USAGE)
    return matching[0]


def _read() -> str:
    if sys.stdin.isatty():
        typer.echo("What do you want to say? End it with Ctrl-D:", err=True)
    words = sys.stdin.read().strip()
    if not words:
        raise Failure("nothing was said, so nothing was sent", EXIT_USAGE)
    return words
