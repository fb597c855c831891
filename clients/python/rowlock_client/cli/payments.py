"""`rowlock pay`."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from typing import Annotated, Final

import typer

from rowlock.v1.booking_pb2 import Booking
from rowlock.v1.payment_pb2 import Payment, SimulatePaymentRequest
from rowlock_client.cli.bookings import BookingName
from rowlock_client.cli.naming import booking_name
from rowlock_client.cli.options import EXIT_UNAVAILABLE, CaFile, Failure, Json, Server, connect, told
from rowlock_client.cli.output import money, print_json
from rowlock_client.client import Client
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.errors import FailedPrecondition, Unavailable

app = typer.Typer()

_LOOK_AGAIN: Final = 0.2


class By(StrEnum):
    """Who moves the money."""

    SIMULATOR = "simulator"
    PAYPAL = "paypal"
    STRIPE = "stripe"


class Outcome(StrEnum):
    """What the simulator can be asked for."""

    APPROVE = "approve"
    DECLINE = "decline"
    RANDOM = "random"
    TIMEOUT_BEFORE = "timeout-before"
    TIMEOUT_AFTER = "timeout-after"


@app.command()
@told
def pay(
    booking: BookingName = "",
    *,
    provider: Annotated[
        By, typer.Option(help="Who moves the money; the simulator moves none. Others only where they are set up.")
    ] = By.SIMULATOR,
    outcome: Annotated[Outcome, typer.Option(help="What the payment simulator is to do.")] = Outcome.APPROVE,
    approved: Annotated[
        bool, typer.Option("--approved", help="You have approved the payment at the provider: take the money now.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for the outcome.")] = 30.0,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Pay a held booking. Then: rowlock tickets.

    With the payment simulator, which moves no money, that is all. With --provider paypal the command shows where to
    approve the payment and waits; approve it there, then press Enter, or run rowlock pay --approved later.
    """
    with connect(server, ca) as client:
        name = booking_name(client, booking, Booking.HELD)
        payment = _begin(client, name, provider)
        if payment.state in {Payment.CREATED, Payment.REQUIRES_ACTION}:
            if payment.provider == Payment.SIMULATOR:
                _simulate(client, payment, outcome)
            elif not approved:
                payment = _known_to_provider(client, payment, timeout)
                if as_json:
                    print_json(payment)
                    return
                approved = _sent_to_provider(payment)
            if approved:
                client.capture(payment.name)
        payment = client.wait_for_payment(payment.name, timeout=timeout)
    if as_json:
        print_json(payment)
    _require_bought(payment)
    if not as_json:
        _show_paid(payment, name)


def _require_bought(payment: Payment) -> None:
    if payment.state == Payment.FAILED:
        raise Failure(
            f"the payment failed: {payment.error_reason}. The booking is still held: try again (PAYMENT_FAILED)"
        )
    if payment.state == Payment.SUCCEEDED and payment.error_reason:
        raise Failure(f"the money came too late to buy the booking and goes back to you ({payment.error_reason})")


def _show_paid(payment: Payment, booking: str) -> None:
    paid = "paid" if payment.state == Payment.SUCCEEDED else Payment.State.Name(payment.state).lower()
    if payment.bought_booking:
        paid += ", after the hold had run out: the same seats are yours under a new booking"
    bought = (payment.bought_booking or booking).rpartition("/")[2]
    typer.echo(f"{money(payment.amount)} {paid}. Next: rowlock tickets {bought}")


def _begin(client: Client, booking: str, provider: By) -> Payment:
    """A payment of the booking: a new one, or the one that is under way."""
    try:
        return client.pay(booking, provider=Payment.Provider.Value(provider.name))
    except FailedPrecondition as error:
        under_way = error.metadata.get("payment", "")
        if error.reason != "PAYMENT_IN_FLIGHT" or not under_way:
            raise
        return client.payment(under_way)


def _known_to_provider(client: Client, payment: Payment, timeout: float) -> Payment:
    """The payment once the provider knows it: then the customer can approve it."""
    end = time.monotonic() + timeout
    while payment.state == Payment.CREATED and time.monotonic() < end:
        time.sleep(_LOOK_AGAIN)
        payment = client.payment(payment.name)
    if payment.state == Payment.CREATED:
        raise Failure("the provider does not answer yet. Run rowlock pay again in a while", EXIT_UNAVAILABLE)
    return payment


def _sent_to_provider(payment: Payment) -> bool:
    """Tell the customer where to approve; returns whether they say that they have."""
    if payment.state != Payment.REQUIRES_ACTION:
        return False
    if not payment.approval_uri:
        raise Failure(f"{payment.name} is approved in a browser, by the provider's own form")
    typer.echo(f"Approve the payment of {money(payment.amount)} here:\n\n  {payment.approval_uri}\n")
    if not sys.stdin.isatty():
        typer.echo("Waiting for the approval …", err=True)
        return False
    typer.prompt("Press Enter when you have", default="", show_default=False)
    return True


def _simulate(client: Client, payment: Payment, outcome: Outcome) -> None:
    try:
        client.simulate(payment.name, SimulatePaymentRequest.Outcome.Value(outcome.name))
    except Unavailable as error:
        if error.reason != "PROVIDER_UNREACHABLE":
            raise
        typer.echo("The provider does not answer; it is being asked what became of the payment …", err=True)
