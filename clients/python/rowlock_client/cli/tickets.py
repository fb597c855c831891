"""`rowlock tickets`: shown with their codes, saved as pages to print and entries for a calendar, or mailed again."""

from __future__ import annotations

import io
import sys
from itertools import islice
from pathlib import Path
from typing import Annotated

import segno
import typer

from rowlock.v1.booking_pb2 import Booking
from rowlock.v1.ticket_pb2 import Ticket
from rowlock_client import calls
from rowlock_client.cli.naming import booking_name
from rowlock_client.cli.options import EXIT_USAGE, CaFile, Failure, Json, Server, connect, told
from rowlock_client.cli.output import local_time, print_json
from rowlock_client.client import Client
from rowlock_client.connecting import DEFAULT_TARGET

app = typer.Typer()


@app.command()
@told
def tickets(
    booking: Annotated[
        str, typer.Argument(metavar="[BOOKING]", help="Its name, or a part of its id; without: all your tickets.")
    ] = "",
    *,
    qr: Annotated[bool, typer.Option("--qr/--no-qr", help="Draw each ticket's code for the door to scan.")] = True,
    pdf: Annotated[bool, typer.Option("--pdf", help="Save each ticket as a page to print.")] = False,
    ics: Annotated[bool, typer.Option("--ics", help="Save an entry for your calendar for each booking.")] = False,
    mail: Annotated[
        bool, typer.Option("--mail", help="Mail a booking's tickets again, to the address that its customer has now.")
    ] = False,
    folder: Annotated[
        Path, typer.Option("--to", metavar="FOLDER", file_okay=False, help="Where to save them.")
    ] = Path(),
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Show your tickets, each with its QR code. Whoever shows the code gets in: keep it to yourself.

    rowlock tickets

    rowlock tickets --pdf --ics --to ~/Documents

    rowlock tickets 7c1f --mail
    """
    if mail and not booking:
        raise Failure("say which booking's tickets to mail again", EXIT_USAGE)
    with connect(server, ca) as client:
        parent = booking_name(client, booking, Booking.CONFIRMED) if booking else "performances/-/bookings/-"
        if mail:
            client.resend_tickets(parent)
            typer.echo("The tickets are being mailed again.")
            return
        rpc = calls.tickets(parent, page_size=min(limit, 200))
        found = list(islice((one for page in client.pages(rpc) for one in page.tickets), limit))
        if pdf or ics:
            _save(client, found, folder, pdf=pdf, ics=ics)
            return
        if as_json:
            print_json(found)
            return
        titles = {name: _title(client, name) for name in {_performance(ticket) for ticket in found}}
    if not found:
        typer.echo("You have no tickets yet. Tickets come with a paid booking: rowlock book, rowlock pay")
    for ticket in found:
        state = "" if ticket.state == Ticket.VALID else f" — {_state(ticket)}"
        typer.echo(f"{ticket.seat}{state}\n{titles[_performance(ticket)]}\n{ticket.name}")
        if qr and ticket.state == Ticket.VALID:
            typer.echo(_qr(ticket.code))


def _save(client: Client, found: list[Ticket], folder: Path, *, pdf: bool, ics: bool) -> None:
    """Write the documents of tickets that are not void, and say where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    good = [ticket for ticket in found if ticket.state != Ticket.VOID]
    for ticket in good if pdf else ():
        seat = "".join(letter if letter.isalnum() else "-" for letter in ticket.seat)
        _write(folder / f"ticket-{seat}-{ticket.name[-8:]}.pdf", client.ticket_document(ticket.name).data)
    for name in {ticket.booking: ticket.name for ticket in good}.values() if ics else ():
        booking = name.split("/")[3]
        _write(folder / f"booking-{booking[-8:]}.ics", client.ticket_document(name, calendar=True).data)
    if not good:
        typer.echo("You have no tickets yet. Tickets come with a paid booking: rowlock book, rowlock pay")


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o600)  # whoever has the code gets in
    typer.echo(str(path))


def _state(ticket: Ticket) -> str:
    return Ticket.State.Name(ticket.state).lower().replace("_", " ")


def _performance(ticket: Ticket) -> str:
    return ticket.name.partition("/bookings/")[0]


def _title(client: Client, performance: str) -> str:
    one = client.performance(performance)
    return f"{one.event_title}, {local_time(one.start_time, one.time_zone)}, {one.venue_display_name}"


def _qr(code: str) -> str:
    drawn = io.StringIO()
    segno.make(code, micro=False).terminal(out=drawn, compact=True)
    if not sys.stdout.isatty():
        return drawn.getvalue()
    # White on black, whatever the colours of the terminal: scanners want dark modules on a light ground.
    return "\n".join(f"\x1b[97;40m{line}\x1b[0m" for line in drawn.getvalue().splitlines())
