"""`confirm`: a whole purchase: hold two seats, begin to pay, the simulator approves, the booking is confirmed.

128 customers at once, each one purchase after another: CreateBooking, CreatePayment, SimulatePayment, and GetBooking
until the booking is CONFIRMED. One server process, one worker process and the scheduler, as `rowlock up` starts them;
the provider's part is the worker's. Beside it runs `hold-hot`, on the same server.
"""

from pathlib import Path
from uuid import uuid4

from bench import generator
from bench.programs import Program
from bench.rounds import interleave, middle
from bench.scenario import Options, Outcome
from bench.scenarios.hold_hot import CUSTOMERS, PLACES, hold_round, rounds
from bench.stage import CREATE_BOOKING, Stage, hall_document, open_stage, random_holds
from rowlock.v1 import payment_pb2

PAY = (
    "/rowlock.v1.PaymentService/CreatePayment<{booking} "
    "/rowlock.v1.PaymentService/SimulatePayment<{payment} "
    "/rowlock.v1.BookingService/GetBooking<{booking}?4=2"
)
"""The steps after a hold: field 4 of a booking is its state, and 2 is CONFIRMED."""

_WARM_UP = 200


def run(options: Options) -> Outcome:
    with (
        open_stage("confirm") as stage,
        stage.rowlock() as server,
        stage.rowlock("worker") as worker,
        stage.rowlock("scheduler"),
    ):
        _, tokens = stage.customers(CUSTOMERS)

        def hold() -> generator.Calls:
            return hold_round(stage, server, tokens, performances=1)

        def confirm() -> generator.Calls:
            return confirm_round(stage, server, worker, tokens, options.seconds)

        hold(), confirm()
        found = interleave(options.rounds, {"hold": hold, "confirm": confirm}, options.progress, generator.Calls.shown)
        details = {"postgres": stage.describe(), "rounds": rounds(found)}
    pairs = zip(found["confirm"], found["hold"], strict=True)
    return Outcome(
        {
            "bookings_per_s": middle([one.per_s for one in found["confirm"]], 1),
            "ratio": middle([confirm.per_s / hold.per_s for confirm, hold in pairs]),
            "holds_per_s": middle([one.per_s for one in found["hold"]], 0),
            "p50_ms": middle([one.p50_ms for one in found["confirm"]]),
            "p99_ms": middle([one.p99_ms for one in found["confirm"]]),
        },
        details,
    )


def confirm_round(stage: Stage, server: Program, worker: Program, tokens: Path, seconds: float) -> generator.Calls:
    """Buy seats of a fresh performance for so long.

    Raises:
        RuntimeError: a call failed, or not every purchase is in the database.
    """
    staged = stage.performance(hall_document(PLACES))
    purchases = [(token, [*requests, *payment()]) for token, requests in random_holds(staged, CUSTOMERS)]
    steps = f"{CREATE_BOOKING} {PAY.format(booking=0, payment=1)}"
    warm = generator.write_chains(stage.folder / "warm", purchases[:_WARM_UP])
    first = generator.calls(server.address, steps, warm, tokens=tokens)
    first.require_success()
    chains = generator.write_chains(stage.folder / "purchases", purchases[_WARM_UP:])
    pids = {"server": server.pid, "postgres": stage.postgres.pid, "valkey": stage.valkey.pid, "worker": worker.pid}
    found = generator.calls(server.address, steps, chains, tokens=tokens, pids=pids, seconds=seconds)
    found.require_success()
    sold = stage.counts(staged.id)["sold"]
    if sold != 2 * (first.chains + found.chains):
        raise RuntimeError(f"{first.chains + found.chains} purchases of two seats were confirmed, {sold} are sold")
    return found


def payment() -> list[bytes]:
    """The requests of `PAY`, without the names that come before."""
    create = payment_pb2.CreatePaymentRequest(
        payment=payment_pb2.Payment(provider=payment_pb2.Payment.Provider.SIMULATOR), request_id=str(uuid4())
    )
    approve = payment_pb2.SimulatePaymentRequest(
        outcome=payment_pb2.SimulatePaymentRequest.Outcome.APPROVE, request_id=str(uuid4())
    )
    return [create.SerializeToString(), approve.SerializeToString(), b""]
