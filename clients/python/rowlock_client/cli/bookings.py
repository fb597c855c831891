"""`rowlock book`, `bookings`, `add`, `remove`, `extend`, `cancel`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from rowlock.v1.booking_pb2 import Booking
from rowlock_client import calls
from rowlock_client.cli.naming import PERFORMANCE, booking_name, performance_name, ticket_type_name
from rowlock_client.cli.options import EXIT_USAGE, CaFile, Failure, Json, Server, connect, told
from rowlock_client.cli.output import clock_time, local_time, money, print_json, print_table, time_left
from rowlock_client.cli.queue import admission_of
from rowlock_client.client import Client
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.rpc import Rpc

app = typer.Typer()

_DIGITS = 6
"""Of a number of places: how many may be had at once, the server says; no hall has a million."""

BookingName = Annotated[
    str, typer.Argument(metavar="[BOOKING]", help="Its name, or a part of its id; without: your newest held one.")
]


@app.command()
@told
def book(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PERFORMANCE] [SEAT]...", help="The performance (without: the next), then seat ids."),
    ] = None,
    *,
    best: Annotated[
        int, typer.Option("--best", "-n", min=0, max=10**_DIGITS, help="So many of the best seats, side by side.")
    ] = 0,
    zone: Annotated[str, typer.Option(help="With --best: only in this price zone.")] = "",
    section: Annotated[str, typer.Option(help="With --best: only in this section.")] = "",
    ticket_type: Annotated[str, typer.Option("--type", help="The ticket type, by its name.")] = "",
    standing: Annotated[
        list[str] | None,
        typer.Option("--ga", metavar="TYPE=N", help="N standing places of a ticket type; may be repeated."),
    ] = None,
    admission: Annotated[
        str, typer.Option(metavar="TOKEN", help="Of the waiting room; without: what rowlock queue has got.")
    ] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Hold places, all of them or none, for a quarter of an hour. Then: rowlock pay.

    rowlock book --best 2

    rowlock book performances/1 Stalls-A-12 Stalls-A-13

    rowlock book performances/3 --ga Standing=2
    """
    words = list(what or ())
    performance = words.pop(0) if words and PERFORMANCE.fullmatch(words[0]) else ""
    if not (words or best or standing):
        raise Failure("say which seats: --best 2, the ids of seats (rowlock seats), or --ga TYPE=N", EXIT_USAGE)
    with connect(server, ca) as client:
        name = performance_name(client, performance)
        booking = client.hold(
            name,
            *words,
            best=best,
            zone=zone,
            section=section,
            ticket_type=ticket_type_name(client, name, ticket_type),
            general_admission=_standing(client, name, standing or []),
            admission_token=admission or admission_of(client, server, name),
        )
    show_booking(booking, as_json=as_json)


def _standing(client: Client, performance: str, given: list[str]) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for text in given:
        kind, separator, number = text.rpartition("=")
        if not (separator and kind and number.isdecimal() and len(number) <= _DIGITS):
            raise Failure(f"--ga {text}: say how many of which ticket type, such as --ga Standing=2", EXIT_USAGE)
        wanted[ticket_type_name(client, performance, kind)] = int(number)
    return wanted


@app.command()
@told
def bookings(
    *,
    text: Annotated[
        str, typer.Option("--find", metavar="TEXT", help="Only that of this id, ticket code or payment reference.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List your bookings, newest first; for staff, everybody's."""
    with connect(server, ca) as client:
        rpc = calls.bookings(text=text, page_size=min(limit, 200))
        found = list(islice((one for page in client.pages(rpc) for one in page.bookings), limit))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.name,
            Booking.State.Name(one.state).lower(),
            local_time(one.create_time),
            f"{len(one.seats)}",
            money(one.total),
        )
        for one in found
    ]
    nothing = "There is no such booking." if text else "You have no bookings."
    print_table(("booking", "state", "made", "of", "total"), rows, empty=nothing)


@app.command()
@told
def add(
    seats: Annotated[list[str], typer.Argument(metavar="SEAT...", help="Ids of seats.")],
    *,
    booking: Annotated[str, typer.Option("--booking", "-b", help="Without: your newest held one.")] = "",
    ticket_type: Annotated[str, typer.Option("--type", help="The ticket type, by its name.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Add seats to a held booking. Its clock goes on."""
    with connect(server, ca) as client:
        name = booking_name(client, booking, Booking.HELD)
        kind = ticket_type_name(client, name.partition("/bookings/")[0], ticket_type)
        changed = client.add(name, *seats, ticket_type=kind)
    show_booking(changed, as_json=as_json)


@app.command()
@told
def remove(
    seats: Annotated[list[str], typer.Argument(metavar="SEAT...", help="Ids of seats.")],
    *,
    booking: Annotated[str, typer.Option("--booking", "-b", help="Without: your newest held one.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Give seats of a held booking back."""
    with connect(server, ca) as client:
        changed = client.remove(booking_name(client, booking, Booking.HELD), *seats)
    show_booking(changed, as_json=as_json)


@app.command()
@told
def extend(
    booking: BookingName = "", server: Server = DEFAULT_TARGET, ca: CaFile = None, as_json: Json = False
) -> None:
    """Hold a booking for longer, for 30 minutes in all at most."""
    _change(calls.extend, booking, server, ca, as_json=as_json)


@app.command()
@told
def cancel(
    booking: BookingName = "", server: Server = DEFAULT_TARGET, ca: CaFile = None, as_json: Json = False
) -> None:
    """Give a booking up. One that is paid is refunded, until its refund deadline; name that one."""
    _change(calls.cancel, booking, server, ca, as_json=as_json)


def _change(prepare: Any, booking: str, server: str, ca: Path | None, *, as_json: bool) -> None:
    with connect(server, ca) as client:
        rpc: Rpc[Booking] = prepare(booking_name(client, booking, Booking.HELD))
        changed = client.call(rpc)
    show_booking(changed, as_json=as_json)


def show_booking(booking: Booking, *, as_json: bool = False) -> None:
    """Print a booking, and what to do next."""
    if as_json:
        print_json(booking)
        return
    state = Booking.State.Name(booking.state).lower()
    typer.echo(f"{booking.name} is {state}")
    for seat in booking.seats:
        typer.echo(f"  {seat.seat:<24} {money(seat.price):>14}")
    typer.echo(f"  {'total':<24} {money(booking.total):>14}")
    if booking.state == Booking.HELD:
        until = clock_time(booking.hold_expire_time)
        typer.echo(f"Held until {until}, for {time_left(booking.hold_expire_time)}. Next: rowlock pay")
    elif booking.state == Booking.CONFIRMED:
        typer.echo("Next: rowlock tickets")
    elif booking.replaced_by:
        typer.echo(f"Its payment came in late and bought the same seats: {booking.replaced_by}")
