"""`hold-naive`: the control: one ORM transaction per call (`bench/naive.py`) beside the real server."""

from bench import generator
from bench.programs import Program, running
from bench.rounds import interleave, middle
from bench.scenario import Options, Outcome
from bench.scenarios.hold_hot import CUSTOMERS, PLACES, hold_round, rounds
from bench.stage import CREATE_BOOKING, Stage, hall_document, open_stage, random_holds
from rowlock.v1 import booking_pb2
from server import resources


def run(options: Options) -> Outcome:
    with open_stage("hold-naive") as stage, stage.rowlock() as server:
        arguments = ["bench/naive.py", "{address}", stage.database_url]
        with running(Program("naive", stage.folder, arguments)) as control:
            customers, tokens = stage.customers(CUSTOMERS)
            names = [resources.user(one) for one in customers]

            def naive() -> generator.Calls:
                return naive_round(stage, control, names, options.seconds)

            def hold() -> generator.Calls:
                return hold_round(stage, server, tokens, performances=1)

            naive(), hold()
            found = interleave(options.rounds, {"naive": naive, "hold": hold}, options.progress, generator.Calls.shown)
            details = {"postgres": stage.describe(), "rounds": rounds(found)}
    pairs = zip(found["hold"], found["naive"], strict=True)
    return Outcome(
        {
            "speedup": middle([hold.per_s / naive.per_s for hold, naive in pairs], 2),
            "naive_holds_per_s": middle([one.per_s for one in found["naive"]], 0),
            "naive_p99_ms": middle([one.p99_ms for one in found["naive"]]),
            "hold_hot_per_s": middle([one.per_s for one in found["hold"]], 0),
        },
        details,
    )


def naive_round(stage: Stage, control: Program, customers: list[str], seconds: float) -> generator.Calls:
    """Hold seats of a fresh performance for so long, or until none is left."""
    staged = stage.performance(hall_document(PLACES))
    holds = []
    for number, (_, [request]) in enumerate(random_holds(staged, CUSTOMERS)):
        # The control believes what it is told.
        customer = booking_pb2.CreateBookingRequest(customer=customers[number % len(customers)]).SerializeToString()
        holds.append((0, [request + customer]))
    warm = generator.write_chains(stage.folder / "warm", holds[:100])
    generator.calls(control.address, CREATE_BOOKING, warm).require_success()
    timed = generator.write_chains(stage.folder / "naive-holds", holds[100:])
    found = generator.calls(control.address, CREATE_BOOKING, timed, seconds=seconds)
    found.require_success()
    stage.counts(staged.id)
    return found
