"""`rowlock sell`, `open-till`, `till`, `close-till`, `set-aside`, `allocations`, `release`: for staff at a counter."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import typer

from rowlock.v1 import booking_pb2, booking_pb2_grpc, box_office_pb2, box_office_pb2_grpc
from rowlock_client.cli.amounts import amount_of
from rowlock_client.cli.bookings import show_booking
from rowlock_client.cli.naming import PERFORMANCE, performance_name, ticket_type_name
from rowlock_client.cli.options import EXIT_USAGE, CaFile, Failure, Json, Server, connect, told
from rowlock_client.cli.output import local_time, money, print_json, print_table
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.rpc import Rpc

app = typer.Typer()

_BoxOffice: Final = box_office_pb2_grpc.BoxOfficeServiceStub
_Bookings: Final = booking_pb2_grpc.BookingServiceStub

Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help='Such as "150.00" or "150.00 CHF"; EUR unless said.')]
Places = Annotated[list[str], typer.Argument(metavar="[PERFORMANCE] SEAT...", help="The performance, then seat ids.")]


@app.command()
@told
def sell(
    what: Places,
    *,
    comp: Annotated[bool, typer.Option("--comp", help="Give them for nothing, instead of selling for cash.")] = False,
    allocation: Annotated[str, typer.Option(help="Take places that were set aside in this allocation, too.")] = "",
    customer: Annotated[str, typer.Option(help="Whose tickets they are, as users/…; without: yours.")] = "",
    ticket_type: Annotated[str, typer.Option("--type", help="The ticket type, by its name.")] = "",
    note: Annotated[str, typer.Option(help="A note on the booking.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Sell seats at the box office, for cash or as comps. If you have a shift open, it is counted in it.

    rowlock sell performances/1 Stalls-A-1 Stalls-A-2
    """
    performance, seats = _places(what)
    with connect(server, ca) as client:
        name = performance_name(client, performance)
        kind = ticket_type_name(client, name, ticket_type)
        hold = booking_pb2.CreateBookingRequest(
            parent=name,
            seats=[booking_pb2.SeatClaim(seat=seat, ticket_type=kind) for seat in seats],
            allocation=allocation,
            customer=customer,
            note=note,
        )
        held: booking_pb2.Booking = client.call(Rpc(_Bookings, "CreateBooking", hold))
        method = booking_pb2.Booking.COMP if comp else booking_pb2.Booking.CASH
        sold: booking_pb2.Booking = client.call(
            Rpc(_Bookings, "ConfirmBooking", booking_pb2.ConfirmBookingRequest(name=held.name, method=method))
        )
    show_booking(sold, as_json=as_json)
    if not as_json and not comp:
        typer.echo(f"Take {money(sold.total)} in cash.")


@app.command("open-till")
@told
def open_till(
    till: Annotated[str, typer.Argument(help='Which till: "Foyer 1".')],
    cash: Amount = "0",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Open your shift at a till, with what is in its drawer.

    rowlock open-till "Foyer 1" 150.00
    """
    shift = box_office_pb2.Shift(till=till, opening_cash=amount_of(cash))
    with connect(server, ca) as client:
        opened: box_office_pb2.Shift = client.call(
            Rpc(_BoxOffice, "OpenShift", box_office_pb2.OpenShiftRequest(shift=shift))
        )
    _show_shift(opened, as_json=as_json)


@app.command()
@told
def till(server: Server = DEFAULT_TARGET, ca: CaFile = None, as_json: Json = False) -> None:
    """Show your open shift: what was sold, and what should be in the drawer."""
    with connect(server, ca) as client:
        shift: box_office_pb2.Shift = client.call(
            Rpc(_BoxOffice, "GetShift", box_office_pb2.GetShiftRequest(name="shifts/current"))
        )
    _show_shift(shift, as_json=as_json)


@app.command("close-till")
@told
def close_till(
    counted: Amount,
    note: Annotated[str, typer.Option(help="Why it differs, for example.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Close your shift with what you have counted in the drawer.

    rowlock close-till 412.50
    """
    with connect(server, ca) as client:
        current: box_office_pb2.Shift = client.call(
            Rpc(_BoxOffice, "GetShift", box_office_pb2.GetShiftRequest(name="shifts/current"))
        )
        currency = current.opening_cash.currency_code
        request = box_office_pb2.CloseShiftRequest(
            name=current.name, counted_cash=amount_of(counted, currency), note=note
        )
        closed: box_office_pb2.Shift = client.call(Rpc(_BoxOffice, "CloseShift", request))
    _show_shift(closed, as_json=as_json)


@app.command("set-aside")
@told
def set_aside(
    what: Places,
    *,
    owner: Annotated[str, typer.Option(help='For whom: "Sponsor X".')],
    until: Annotated[
        datetime | None, typer.Option(help="When they go on sale by themselves, on this machine's clock.")
    ] = None,
    note: Annotated[str, typer.Option(help="What colleagues should know.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Set free seats aside for somebody. They go on sale at the performance's start, or earlier with --until.

    rowlock set-aside performances/1 Stalls-A-1 Stalls-A-2 --owner "The band" --until 2030-05-01T18:00:00
    """
    performance, seats = _places(what)
    allocation = box_office_pb2.Allocation(owner=owner, note=note, seats=seats)
    if until is not None:
        allocation.release_time.FromDatetime(until.astimezone())
    with connect(server, ca) as client:
        name = performance_name(client, performance)
        request = box_office_pb2.CreateAllocationRequest(parent=name, allocation=allocation)
        made: box_office_pb2.Allocation = client.call(Rpc(_BoxOffice, "CreateAllocation", request))
    _show_allocations([made], as_json=as_json)


@app.command()
@told
def allocations(
    performance: Annotated[str, typer.Argument(help="The performance; without: all.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List what is set aside, for whom, and until when."""
    with connect(server, ca) as client:
        parent = performance_name(client, performance) if performance else "performances/-"
        request = box_office_pb2.ListAllocationsRequest(parent=parent, state=box_office_pb2.Allocation.LIVE)
        rpc: Rpc[box_office_pb2.ListAllocationsResponse] = Rpc(_BoxOffice, "ListAllocations", request)
        found = [one for page in client.pages(rpc) for one in page.allocations]
    _show_allocations(found, as_json=as_json)


@app.command()
@told
def release(
    allocation: Annotated[str, typer.Argument(help="Its name, as `rowlock allocations` shows it.")],
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Put what was set aside on sale."""
    with connect(server, ca) as client:
        request = box_office_pb2.ReleaseAllocationRequest(name=allocation)
        released: box_office_pb2.Allocation = client.call(Rpc(_BoxOffice, "ReleaseAllocation", request))
    _show_allocations([released], as_json=as_json)


def _places(what: list[str]) -> tuple[str, list[str]]:
    words = list(what)
    performance = words.pop(0) if PERFORMANCE.fullmatch(words[0]) else ""
    if not words:
        raise Failure("say which seats, by their ids (rowlock seats)", EXIT_USAGE)
    return performance, words


def _show_shift(shift: box_office_pb2.Shift, *, as_json: bool) -> None:
    if as_json:
        print_json(shift)
        return
    state = box_office_pb2.Shift.State.Name(shift.state).lower()
    typer.echo(f"{shift.till}, {state}, since {local_time(shift.open_time)}  ({shift.name})")
    rows = [
        (
            part.performance or "all",
            f"{part.cash_bookings} ({part.cash_tickets})",
            money(part.cash_in),
            f"{part.comp_bookings} ({part.comp_tickets})",
            f"{part.cash_refunds}",
            money(part.cash_out),
        )
        for part in (*shift.performances, shift.totals)
    ]
    print_table(("performance", "sold (tickets)", "cash in", "comps (tickets)", "returned", "cash out"), rows, empty="")
    typer.echo(f"In the drawer at first {money(shift.opening_cash)}, expected now {money(shift.expected_cash)}")
    if shift.state == box_office_pb2.Shift.CLOSED:
        typer.echo(f"Counted {money(shift.counted_cash)}, difference {money(shift.difference)}")


def _show_allocations(found: list[box_office_pb2.Allocation], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.name,
            one.owner,
            box_office_pb2.Allocation.State.Name(one.state).lower(),
            f"{one.blocked} of {len(one.seats)}",
            local_time(one.release_time),
            " ".join(one.seats[:4]) + (" …" if len(one.seats) > 4 else ""),
        )
        for one in found
    ]
    print_table(("allocation", "for", "state", "left", "until", "seats"), rows, empty="Nothing is set aside.")
