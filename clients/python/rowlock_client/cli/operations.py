"""`rowlock staff-actions` and `rowlock history`: what was done, and by whom. For staff."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Final

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from rowlock.v1 import operations_pb2 as pb
from rowlock_client import calls
from rowlock_client.cli.naming import booking_name
from rowlock_client.cli.options import CaFile, Json, Server, connect, told
from rowlock_client.cli.output import money, print_json, print_table
from rowlock_client.client import Client
from rowlock_client.connecting import DEFAULT_TARGET

app = typer.Typer()

_PAGE: Final = 100
_LONGEST: Final = 60


@app.command("staff-actions")
@told
def staff_actions(
    *,
    by: Annotated[str, typer.Option(metavar="USER", help="Only what this user did: users/…, or users/me.")] = "",
    method: Annotated[
        str, typer.Option(metavar="RPC", help="Only this RPC: EventService.CreateEvent; or a service: EventService.")
    ] = "",
    about: Annotated[
        str, typer.Option(metavar="NAME", help="Only what was about this, or something in it: performances/1.")
    ] = "",
    since: Annotated[datetime | None, typer.Option(help="Only then or later, on this machine's clock.")] = None,
    before: Annotated[datetime | None, typer.Option(help="Only before then.")] = None,
    most: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List what staff changed, newest first: when, who, what, and about what. For staff.

    rowlock staff-actions --about performances/1

    rowlock staff-actions --method PaymentService.RefundPayment --since 2026-11-01 --json
    """
    wanted = calls.staff_actions(
        actor=by,
        method=method,
        about=about,
        start=None if since is None else since.astimezone(),
        end=None if before is None else before.astimezone(),
        page_size=min(most, _PAGE),
    )
    with connect(server, ca) as client:
        found = list(islice((one for page in client.pages(wanted) for one in page.staff_actions), most))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            _time(one.action_time),
            one.actor_display_name or one.actor,
            one.method,
            one.resources[-1] if one.resources else "",
            _told(one),
        )
        for one in found
    ]
    print_table(("when", "who", "did", "to", "with"), rows, empty="Nothing.")


@app.command()
@told
def history(
    booking: Annotated[str, typer.Argument(help="performances/…/bookings/…")],
    *,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Tell the whole story of a booking: its changes, payments, refunds, cash and scans, and who did it. For staff.

    rowlock history performances/1/bookings/0190f0e2-7c7a-7000-8000-5c1d2d0c8f11
    """
    with connect(server, ca) as client:
        found = list(_entries(client, booking_name(client, booking)))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            _time(one.entry_time),
            pb.BookingHistoryEntry.Kind.Name(one.kind).lower().replace("_", " "),
            one.what,
            one.to_state.lower(),
            money(one.amount) if one.HasField("amount") else "",
            one.actor_display_name or one.actor,
            _short(one.detail),
        )
        for one in found
    ]
    print_table(("when", "", "what", "then", "amount", "who", "why"), rows, empty="Nothing.")


def _entries(client: Client, booking: str) -> Iterator[pb.BookingHistoryEntry]:
    for page in client.pages(calls.booking_history(booking)):
        yield from page.entries


def _time(stamp: Timestamp) -> str:
    """To the second: of two things that happened in one minute the order matters."""
    return stamp.ToDatetime(UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _told(action: pb.StaffAction) -> str:
    """What the request said besides the names of what it was about, in a line."""
    said: dict[str, Any] = MessageToDict(action.request)
    words = []
    for key, value in said.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if text not in action.resources and not isinstance(value, dict):
            words.append(f"{key}: {text}")
    return _short("; ".join(words))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
