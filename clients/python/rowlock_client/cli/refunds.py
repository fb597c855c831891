"""`rowlock return`, `refunds`, `refund`, `retry-refund`, `pay-out`, `cancel-performance`, `cancellation`."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated, Final

import typer

from rowlock.v1 import (
    booking_pb2,
    booking_pb2_grpc,
    event_pb2_grpc,
    payment_pb2,
    payment_pb2_grpc,
    performance_pb2,
    ticket_pb2,
)
from rowlock_client.cli.amounts import amount_of
from rowlock_client.cli.bookings import show_booking
from rowlock_client.cli.naming import booking_name, performance_name
from rowlock_client.cli.options import EXIT_USAGE, CaFile, Failure, Json, Server, connect, told
from rowlock_client.cli.output import money, print_json, print_table
from rowlock_client.client import Client
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.rpc import Rpc

app = typer.Typer()

_Bookings: Final = booking_pb2_grpc.BookingServiceStub
_Payments: Final = payment_pb2_grpc.PaymentServiceStub
_Events: Final = event_pb2_grpc.EventServiceStub
_LOOK_AGAIN: Final = 1.0
_MOST: Final = 1000

Reason = Annotated[str, typer.Option(help="Why; it is kept with the refund.")]
Named = Annotated[str, typer.Argument(metavar="PERFORMANCE|EVENT", help="Such as performances/1 or events/1.")]


class State(StrEnum):
    """The states of a refund."""

    ANY = "any"
    REQUESTED = "requested"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@app.command("return")
@told
def return_tickets(
    booking: Annotated[str, typer.Argument(help="The booking, or a part of its id.")],
    seats: Annotated[list[str], typer.Argument(metavar="SEAT...", help="The seats whose tickets you return.")],
    *,
    reason: Reason = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Return single tickets of a paid booking: they become void, and you get what they cost. For all: rowlock cancel.

    rowlock return 3f2a Stalls-A-1 Stalls-A-2
    """
    with connect(server, ca) as client:
        name = booking_name(client, booking)
        listed: ticket_pb2.ListTicketsResponse = client.call(
            Rpc(_Bookings, "ListTickets", ticket_pb2.ListTicketsRequest(parent=name, page_size=_MOST))
        )
        tickets = {ticket.seat: ticket.name for ticket in listed.tickets}
        if unknown := [seat for seat in seats if seat not in tickets]:
            raise Failure(f"the booking has no ticket for {', '.join(unknown)}", EXIT_USAGE)
        request = booking_pb2.RefundTicketsRequest(name=name, tickets=[tickets[seat] for seat in seats], reason=reason)
        left: booking_pb2.Booking = client.call(Rpc(_Bookings, "RefundTickets", request))
    show_booking(left, as_json=as_json)
    if not as_json:
        typer.echo("The money is on its way. See: rowlock refunds")


@app.command()
@told
def refunds(
    performance: Annotated[str, typer.Argument(help="Only those of this performance.")] = "",
    *,
    state: Annotated[State, typer.Option(help="Only those in this state; failed ones wait for staff.")] = State.ANY,
    discrepancies: Annotated[
        bool, typer.Option("--discrepancies", help="Only those that a provider made after all. For staff.")
    ] = False,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List refunds, newest first: yours; for staff, everybody's.

    rowlock refunds --state failed
    """
    with connect(server, ca) as client:
        parent = performance_name(client, performance) if performance else "performances/-"
        request = payment_pb2.ListRefundsRequest(
            parent=f"{parent}/bookings/-/payments/-",
            state=payment_pb2.Refund.STATE_UNSPECIFIED
            if state is State.ANY
            else payment_pb2.Refund.State.Value(state.name),
            only_discrepancies=discrepancies,
            page_size=_MOST,
        )
        found: payment_pb2.ListRefundsResponse = client.call(Rpc(_Payments, "ListRefunds", request))
    if as_json:
        print_json(found)
        return
    print_table(
        ("refund", "amount", "state", "why"),
        [
            (
                refund.name,
                money(refund.amount),
                payment_pb2.Refund.State.Name(refund.state).lower(),
                _why(refund),
            )
            for refund in found.refunds
        ],
        empty="There are no refunds.",
    )
    if found.next_page_token:
        typer.echo("… and more")


@app.command()
@told
def refund(
    payment: Annotated[str, typer.Argument(help="The payment, by its whole name.")],
    amount: Annotated[str, typer.Argument(help='Such as "10.00" or "10.00 CHF"; without: all that is left.')] = "",
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept with the refund and your name.")],
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Give money back over every policy. The booking stays as it is. For staff.

    rowlock refund performances/1/bookings/…/payments/… 10.00 --reason "the heating failed"
    """
    request = payment_pb2.RefundPaymentRequest(name=payment, reason=reason)
    if amount:
        request.amount.CopyFrom(amount_of(amount))
    with connect(server, ca) as client:
        asked: payment_pb2.Refund = client.call(Rpc(_Payments, "RefundPayment", request))
    _show_refund(asked, as_json=as_json)


@app.command("retry-refund")
@told
def retry_refund(
    refund: Annotated[str, typer.Argument(help="The refund, by its whole name: see rowlock refunds --state failed.")],
    *,
    reason: Annotated[str, typer.Option(help="What is different now.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Have a refund tried anew that the provider refused. For staff."""
    request = payment_pb2.RetryRefundRequest(name=refund, reason=reason)
    with connect(server, ca) as client:
        asked: payment_pb2.Refund = client.call(Rpc(_Payments, "RetryRefund", request))
    _show_refund(asked, as_json=as_json)


@app.command("pay-out")
@told
def pay_out(
    booking: Annotated[str, typer.Argument(help="The booking, by its whole name.")],
    *,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Hand out the cash that is owed for tickets bought with cash and cancelled since. For staff."""
    with connect(server, ca) as client:
        paid: booking_pb2.PayOutCashResponse = client.call(
            Rpc(_Bookings, "PayOutCash", booking_pb2.PayOutCashRequest(name=booking))
        )
    if as_json:
        print_json(paid)
    else:
        typer.echo(f"Hand out {money(paid.amount)} in cash.")


@app.command("cancel-performance")
@told
def cancel_performance(
    performance: Annotated[str, typer.Argument(help="Which performance: performances/1, or 1.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; everybody who has tickets is told.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. It cannot be undone.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show how far it is until everybody was refunded.")] = False,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Cancel a performance, and refund everybody. For staff.

    rowlock cancel-performance performances/1 --reason "the singer is ill" --wait
    """
    with connect(server, ca) as client:
        name = performance_name(client, performance)
        if not yes:
            typer.confirm(f"Cancel {name} and refund everybody?", abort=True)
        request = performance_pb2.CancelPerformanceRequest(name=name, reason=reason)
        client.call(Rpc(_Events, "CancelPerformance", request))
        progress = _progress(client, name)
        while wait and not progress.finished:
            _show_progress(progress)
            time.sleep(_LOOK_AGAIN)
            progress = _progress(client, name)
    if as_json:
        print_json(progress)
    else:
        _show_progress(progress)


@app.command()
@told
def cancellation(name: Named, *, server: Server = DEFAULT_TARGET, ca: CaFile = None, as_json: Json = False) -> None:
    """Show how far a cancelled performance, or event, has been wound up. For staff."""
    with connect(server, ca) as client:
        progress = _progress(client, name if name.startswith("events/") else performance_name(client, name))
    if as_json:
        print_json(progress)
    else:
        _show_progress(progress)


def _progress(client: Client, name: str) -> performance_pb2.CancellationProgress:
    request = performance_pb2.GetCancellationProgressRequest(name=name)
    progress: performance_pb2.CancellationProgress = client.call(Rpc(_Events, "GetCancellationProgress", request))
    return progress


def _show_progress(progress: performance_pb2.CancellationProgress) -> None:
    ended = progress.bookings - progress.bookings_left - progress.bookings_checked_in
    typer.echo(f"{progress.name}: {ended} of {progress.bookings} bookings ended")
    for tally in progress.refunds:
        said = f"  refunds: {tally.done} done ({money(tally.done_amount)}), {tally.due} due ({money(tally.due_amount)})"
        if tally.failed:
            said += f", {tally.failed} refused ({money(tally.failed_amount)}): rowlock refunds --state failed"
        typer.echo(said)
    for due in progress.cash_due:
        typer.echo(f"  cash to be fetched: {money(due)}: rowlock cash-due, rowlock pay-out")
    if progress.bookings_checked_in:
        typer.echo(f"  {progress.bookings_checked_in} bookings were let in, and left to you: rowlock refund")


def _why(refund: payment_pb2.Refund) -> str:
    said = [refund.error_reason, refund.discrepancy]
    if refund.HasField("settlement"):
        way = payment_pb2.Refund.Method.Name(refund.settlement.method).lower().replace("_", " ")
        said.append(f"paid back by {way} {refund.settlement.reference}".rstrip())
    notes = "; ".join(filter(None, said))
    return f"{refund.reason} ({notes})" if notes else refund.reason


def _show_refund(refund: payment_pb2.Refund, *, as_json: bool) -> None:
    if as_json:
        print_json(refund)
    else:
        state = payment_pb2.Refund.State.Name(refund.state).lower()
        typer.echo(f"{money(refund.amount)}: {state}. See: rowlock refunds\n{refund.name}")
