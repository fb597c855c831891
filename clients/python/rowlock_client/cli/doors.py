"""`rowlock check-in`, `check-ins`, `undo-check-in`, `add-gate-key`: the doors, line by line and for staff."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated

import typer

from rowlock.v1.auth_pb2 import ROLE_GATE, ApiKey, CreateApiKeyRequest, CreateApiKeyResponse
from rowlock.v1.auth_pb2_grpc import AuthServiceStub
from rowlock.v1.ticket_pb2 import CheckIn
from rowlock_client import calls
from rowlock_client.cli.naming import performance_name
from rowlock_client.cli.options import API_KEY_VARIABLE, EXIT_REFUSED, CaFile, Json, Server, connect, told
from rowlock_client.cli.output import clock_time, local_time, print_json, print_table
from rowlock_client.client import Client
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.doors import code_performance
from rowlock_client.errors import FailedPrecondition, InvalidArgument, NotFound, RowlockError
from rowlock_client.rpc import Rpc

app = typer.Typer()

TicketName = Annotated[str, typer.Argument(metavar="TICKET", help="The ticket's name: performances/…/tickets/….")]


@app.command("check-in")
@told
def check_in(
    codes: Annotated[
        list[str],
        typer.Argument(metavar="CODE...", help="Codes as scanned, or names of tickets; - reads one a line."),
    ],
    *,
    performance: Annotated[
        str,
        typer.Option("--performance", "-p", help="Which one the door lets in. Without: the one each ticket is for."),
    ] = "",
    place: Annotated[str, typer.Option(help="How the door is called; told to whoever comes again.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
) -> None:
    """Let the bearers of tickets in, each ticket once. For gates (ROWLOCK_API_KEY) and staff.

    rowlock check-in -p performances/1 --place "North gate" -

    With - a scanner that types can be used: each line is a ticket, and is answered by a line. Ends with status 1 if
    somebody was not let in.
    """
    refused = False
    with connect(server, ca) as client:
        door = performance_name(client, performance) if performance else ""
        for code in _lines(codes):
            refused |= not _let_in(client, code, door, place)
    if refused:
        raise typer.Exit(EXIT_REFUSED)


def _lines(codes: Iterable[str]) -> Iterator[str]:
    for code in codes:
        yield from (line.strip() for line in sys.stdin if line.strip()) if code == "-" else (code,)


def _let_in(client: Client, code: str, door: str, place: str) -> bool:
    is_name = code.startswith("performances/")
    performance = door or (code.partition("/bookings/")[0] if is_name else code_performance(code))
    try:
        if not performance:
            typer.echo("NO   this is no ticket code")
            return False
        if is_name:
            ticket = client.check_in(performance, ticket=code, place=place)
        else:
            ticket = client.check_in(performance, code, place=place)
    except (FailedPrecondition, InvalidArgument, NotFound) as refusal:
        typer.echo(f"NO   {_why(refusal)}")
        return False
    typer.echo(f"OK   {ticket.seat}  {clock_time(ticket.check_in_time)}")
    return True


def _why(refusal: RowlockError) -> str:
    return f"{refusal.message} ({refusal.reason})"


@app.command("undo-check-in")
@told
def undo_check_in(
    ticket: TicketName,
    *,
    reason: Annotated[str, typer.Option(help="Why; it stays on record.")],
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Take a check-in back, so that the ticket lets in again. Staff."""
    with connect(server, ca) as client:
        changed = client.undo_check_in(ticket, reason=reason)
    if as_json:
        print_json(changed)
        return
    typer.echo(f"{changed.seat} may come in again")


@app.command("check-ins")
@told
def check_ins(
    performance: Annotated[str, typer.Argument(metavar="PERFORMANCE", help="Such as performances/1.")],
    *,
    conflicts: Annotated[
        bool, typer.Option("--conflicts", help="Only people who were let in and should not have been.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List the scans of a performance's doors, newest first. Staff."""
    with connect(server, ca) as client:
        name = performance_name(client, performance)
        rpc = calls.check_ins(name, only_conflicts=conflicts, page_size=min(limit, 200))
        found = list(islice((one for page in client.pages(rpc) for one in page.check_ins), limit))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            local_time(one.scan_time),
            CheckIn.Outcome.Name(one.outcome).lower().replace("_", " "),
            "conflict" if one.conflict else "",
            one.place,
            one.ticket.rpartition("/")[2],
        )
        for one in found
    ]
    print_table(("scanned", "outcome", "", "place", "ticket"), rows, empty="Nothing was scanned.")


@app.command("add-gate-key")
@told
def add_gate_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which gate it is for, such as “North”.")],
    *,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Only there: performances/…, events/… or venues/…; may be given several times."),
    ] = None,
    days: Annotated[int, typer.Option(min=0, help="It ends after so many days; 0: never.")] = 365,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Make an API key for a gate, which lets people in and may nothing else. Its secret is shown once, here.

    For administrators, who answer for it.

    rowlock add-gate-key North --scope venues/1
    """
    key = ApiKey(display_name=name, role=ROLE_GATE, scopes=scope or ())
    if days:
        key.expire_time.FromDatetime(datetime.now(UTC) + timedelta(days=days))
    with connect(server, ca) as client:
        request = CreateApiKeyRequest(parent="users/me", api_key=key)
        made: CreateApiKeyResponse = client.call(Rpc(AuthServiceStub, "CreateApiKey", request))
    if as_json:
        print_json(made)
        return
    typer.echo(f"{made.api_key.name}\n\n    {made.secret}\n")
    typer.echo(f"Nobody can read it again. To use it: {API_KEY_VARIABLE}=… rowlock gate --gate {shlex.quote(name)}")
