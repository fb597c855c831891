"""`rowlock payments`, `resolve-payment`, `settle-refund`, `cash-due`: what staff see and decide of money."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import Annotated, Final

import typer

from rowlock.v1 import booking_pb2, booking_pb2_grpc, payment_pb2, payment_pb2_grpc
from rowlock_client.cli.naming import performance_name
from rowlock_client.cli.options import EXIT_USAGE, CaFile, Failure, Json, Server, connect, told
from rowlock_client.cli.output import local_time, money, print_json, print_table
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.rpc import Rpc

app = typer.Typer()

_Bookings: Final = booking_pb2_grpc.BookingServiceStub
_Payments: Final = payment_pb2_grpc.PaymentServiceStub
_PAGE: Final = 200

Performance = Annotated[str, typer.Argument(help="Only of this performance.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]


class State(StrEnum):
    """The states of a payment."""

    ANY = "any"
    CREATED = "created"
    REQUIRES_ACTION = "requires-action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Decision(StrEnum):
    """What can be decided about money whose owner is in doubt."""

    OURS = "ours"
    GIVE_BACK = "give-back"
    NOT_OURS = "not-ours"
    ASK_AGAIN = "ask-again"


class Way(StrEnum):
    """How money is paid back without its provider."""

    CASH = "cash"
    BANK_TRANSFER = "bank-transfer"
    OTHER = "other"


@app.command()
@told
def payments(
    performance: Performance = "",
    *,
    state: Annotated[State, typer.Option(help="Only those in this state.")] = State.ANY,
    discrepancies: Annotated[
        bool, typer.Option("--discrepancies", help="Only those that staff have to look at. For staff.")
    ] = False,
    limit: Limit = 50,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List payments, newest first: yours; for staff, everybody's.

    rowlock payments --discrepancies
    """
    with connect(server, ca) as client:
        parent = performance_name(client, performance) if performance else "performances/-"
        request = payment_pb2.ListPaymentsRequest(
            parent=f"{parent}/bookings/-",
            state=payment_pb2.Payment.STATE_UNSPECIFIED
            if state is State.ANY
            else payment_pb2.Payment.State.Value(state.name),
            only_discrepancies=discrepancies,
            page_size=min(limit, _PAGE),
        )
        rpc: Rpc[payment_pb2.ListPaymentsResponse] = Rpc(_Payments, "ListPayments", request)
        found = list(islice((one for page in client.pages(rpc) for one in page.payments), limit))
    if as_json:
        print_json(found)
        return
    print_table(
        ("payment", "amount", "state", "why"),
        [
            (
                one.name,
                money(one.amount),
                payment_pb2.Payment.State.Name(one.state).lower(),
                one.discrepancy or one.error_reason,
            )
            for one in found
        ],
        empty="There are no payments.",
    )


@app.command("resolve-payment")
@told
def resolve_payment(
    payment: Annotated[str, typer.Argument(help="The payment, by its whole name: see rowlock payments.")],
    decision: Annotated[
        Decision,
        typer.Argument(
            help="ours: it is this payment's, and buys what it can; give-back: it is, and goes back; not-ours: this "
            "payment has failed, and nothing goes back; ask-again: the provider's books may have been put right."
        ),
    ],
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept with the payment and your name.")],
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Decide about money that the provider says is another payment's. For staff.

    rowlock resolve-payment performances/1/bookings/…/payments/… ours --reason "PayPal support, case 123"
    """
    request = payment_pb2.ResolvePaymentRequest(
        name=payment, resolution=payment_pb2.Payment.Resolution.Value(decision.name), reason=reason
    )
    with connect(server, ca) as client:
        resolved: payment_pb2.Payment = client.call(Rpc(_Payments, "ResolvePayment", request))
    if as_json:
        print_json(resolved)
    elif decision is Decision.NOT_OURS:
        typer.echo("The payment has failed. Its customer was told.")
    else:
        typer.echo("The provider is asked once more, and then it is done. See: rowlock payments")


@app.command("settle-refund")
@told
def settle_refund(
    refund: Annotated[str, typer.Argument(help="The refund, by its whole name: see rowlock refunds --state failed.")],
    way: Annotated[Way, typer.Argument(help="How it was paid back.")],
    *,
    reference: Annotated[str, typer.Option(help="What proves it; the customer sees it. Not needed for cash.")] = "",
    reason: Annotated[str, typer.Option(help="Why; it is kept with the refund and your name.")],
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Say that a refund which its provider refused was paid back in another way. For staff.

    Also, of a refund that its provider made after all: how what the customer had twice came back, or was given up.

    rowlock settle-refund performances/1/…/refunds/… bank-transfer --reference "SEPA 4711" --reason "card closed"
    """
    if not reference and way is not Way.CASH:
        raise Failure("say what proves it: --reference", EXIT_USAGE)
    request = payment_pb2.SettleRefundRequest(
        name=refund, method=payment_pb2.Refund.Method.Value(way.name), reference=reference, reason=reason
    )
    with connect(server, ca) as client:
        settled: payment_pb2.Refund = client.call(Rpc(_Payments, "SettleRefund", request))
    if as_json:
        print_json(settled)
    else:
        typer.echo(f"{money(settled.amount)}: settled. It is owed no more.\n{settled.name}")


@app.command("cash-due")
@told
def cash_due(
    performance: Performance = "",
    *,
    limit: Limit = 200,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List who is owed cash for tickets bought with cash and cancelled since, the longest owed first. For staff.

    Then: rowlock pay-out.
    """
    with connect(server, ca) as client:
        parent = performance_name(client, performance) if performance else "performances/-"
        request = booking_pb2.ListCashDueRequest(parent=parent, page_size=min(limit, _PAGE))
        rpc: Rpc[booking_pb2.ListCashDueResponse] = Rpc(_Bookings, "ListCashDue", request)
        found = list(islice((one for page in client.pages(rpc) for one in page.cash_due), limit))
    if as_json:
        print_json(found)
        return
    print_table(
        ("booking", "amount", "since", "customer"),
        [(one.booking, money(one.amount), local_time(one.due_time), one.customer) for one in found],
        empty="Nobody is owed cash.",
    )
