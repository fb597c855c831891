"""`pay`: a whole purchase through a provider of money that is spoken to over HTTP, and its books held against ours.

128 customers at once, each one purchase after another: CreateBooking, CreatePayment with PayPal, GetPayment until
PayPal knows it, CapturePayment, and GetBooking until the booking is CONFIRMED. One server process, one worker process,
the scheduler, and the fake provider in a process of its own, which approves each order as soon as it is made and
answers at once. At the end everything that it took must be in our books, and everything in ours in its, to the cent.
"""

from pathlib import Path
from uuid import uuid4

from bench import generator
from bench.programs import Program, running
from bench.rounds import interleave, middle
from bench.scenario import Options, Outcome
from bench.scenarios.hold_hot import CUSTOMERS, PLACES, rounds
from bench.stage import CREATE_BOOKING, Stage, hall_document, open_stage, random_holds
from rowlock.v1 import payment_pb2
from server.config import PayPalMode
from server.fake_provider.comparing import differences
from server.fake_provider.control import Control
from server.fake_provider.provider import Identity

STEPS = (
    f"{CREATE_BOOKING} "
    "/rowlock.v1.PaymentService/CreatePayment<0 "
    "/rowlock.v1.PaymentService/GetPayment<1?3=2 "
    "/rowlock.v1.PaymentService/CapturePayment<1 "
    "/rowlock.v1.BookingService/GetBooking<0?4=2"
)
"""Field 3 of a payment is its state, and 2 is REQUIRES_ACTION; field 4 of a booking its, and 2 is CONFIRMED."""

_WARM_UP = 200
_START_LIMIT = 120


def run(options: Options) -> Outcome:
    with open_stage("pay") as stage, running(provider_program(stage)) as provider:
        identity = Identity()
        settings = {
            "paypal_mode": PayPalMode.SANDBOX.value,
            "paypal_base_url": f"http://{provider.address}",
            "paypal_client_id": identity.client_id,
            "paypal_client_secret": identity.client_secret,
            "paypal_webhook_id": identity.webhook_id,
        }
        with (
            stage.rowlock(**settings) as server,
            stage.rowlock("worker", **settings) as worker,
            stage.rowlock("scheduler", **settings),
        ):
            _, tokens = stage.customers(CUSTOMERS)
            pids = {
                "server": server.pid,
                "worker": worker.pid,
                "provider": provider.pid,
                "postgres": stage.postgres.pid,
                "valkey": stage.valkey.pid,
            }

            def pay() -> generator.Calls:
                return pay_round(stage, server, tokens, pids, options.seconds)

            pay()
            found = interleave(options.rounds, {"pay": pay}, options.progress, generator.Calls.shown)
        with Control(f"http://{provider.address}") as control:
            books = control.books()
        wrong = stage.database.run_transaction(lambda session: differences(session, books))
        details = {"postgres": stage.describe(), "rounds": rounds(found), "captures": len(books.captures)}
    return Outcome(
        {
            "bookings_per_s": middle([one.per_s for one in found["pay"]], 1),
            "books_equal": not wrong and bool(books.captures),
            "p50_ms": middle([one.p50_ms for one in found["pay"]]),
            "p99_ms": middle([one.p99_ms for one in found["pay"]]),
        },
        {**details, "differences": wrong[:20]},
    )


def provider_program(stage: Stage) -> Program:
    """The fake provider, in a process of its own."""
    arguments = ["-m", "server.cli", "fake-provider", "--address", "{address}", "--auto-approve"]
    return Program("provider", stage.folder, arguments)


def pay_round(stage: Stage, server: Program, tokens: Path, pids: dict[str, int], seconds: float) -> generator.Calls:
    """Buy seats of a fresh performance for so long.

    Raises:
        RuntimeError: a call failed, or not every purchase is in the database.
    """
    staged = stage.performance(hall_document(PLACES))
    purchases = [(token, [*requests, *payment()]) for token, requests in random_holds(staged, CUSTOMERS)]
    warm = generator.write_chains(stage.folder / "warm", purchases[:_WARM_UP])
    # The first time, the worker may still be starting.
    first = generator.calls(server.address, STEPS, warm, tokens=tokens, timeout=_START_LIMIT)
    first.require_success()
    chains = generator.write_chains(stage.folder / "purchases", purchases[_WARM_UP:])
    found = generator.calls(server.address, STEPS, chains, tokens=tokens, pids=pids, seconds=seconds)
    found.require_success()
    sold = stage.counts(staged.id)["sold"]
    if sold != 2 * (first.chains + found.chains):
        raise RuntimeError(f"{first.chains + found.chains} purchases of two seats were confirmed, {sold} are sold")
    return found


def payment() -> list[bytes]:
    """The requests that follow a hold, without the names that come before."""
    create = payment_pb2.CreatePaymentRequest(
        payment=payment_pb2.Payment(provider=payment_pb2.Payment.Provider.PAYPAL), request_id=str(uuid4())
    )
    capture = payment_pb2.CapturePaymentRequest(request_id=str(uuid4()))
    return [create.SerializeToString(), b"", capture.SerializeToString(), b""]
