"""`onsale`: the doors open: 5,000 customers for 1,000 seats, all at the same moment.

Each wants one seat that they picked at random, and if that is taken, the best that is left; who gets one pays for it.
All have a connection open (100 of them share one) and a token that the server has not seen before. A server that turns
a call away because too many wait is asked again after a moment, as the client library does.
"""

import random
from typing import Any
from uuid import uuid4

from bench import generator
from bench.rounds import interleave, middle
from bench.scenario import Options, Outcome
from bench.scenarios.confirm import PAY, payment
from bench.scenarios.hold_hot import rounds
from bench.stage import CREATE_BOOKING, hall_document, open_stage
from rowlock.v1 import booking_pb2
from server import resources

CUSTOMERS = 5_000
SEATS = 1_000
_PER_CONNECTION = 100
_RETRIES = 20


def run(options: Options) -> Outcome:
    counts: list[dict[str, int]] = []
    with (
        open_stage("onsale") as stage,
        stage.rowlock() as server,
        stage.rowlock("worker") as worker,
        stage.rowlock("scheduler"),
    ):

        def sale() -> generator.Calls:
            _, tokens = stage.customers(CUSTOMERS)
            staged = stage.performance(hall_document(SEATS), customer_limit=4)
            parent = resources.performance(staged.id)
            ids = [place.id for place in staged.hall.places]
            chains = generator.write_chains(
                stage.folder / "customers",
                (
                    (number, [_seat(parent, random.choice(ids)), _best(parent), *payment()])
                    for number in range(CUSTOMERS)
                ),
            )
            found = generator.calls(
                server.address,
                f"{CREATE_BOOKING}! {CREATE_BOOKING} {PAY.format(booking=1, payment=2)}",
                chains,
                tokens=tokens,
                callers=CUSTOMERS,
                connections=CUSTOMERS // _PER_CONNECTION,
                retries=_RETRIES,
                pause=1,
                timeout=60,
                pids={"server": server.pid, "postgres": stage.postgres.pid, "worker": worker.pid},
            )
            counts.append(stage.counts(staged.id))
            return found

        found = interleave(max(1, options.rounds // 2), {"sale": sale}, options.progress, _shown)["sale"]
        details: dict[str, Any] = {"postgres": stage.describe(), "rounds": rounds({"sale": found}), "counts": counts}
    return Outcome(
        {
            "customers": CUSTOMERS,
            "seats": SEATS,
            # The worst of all sales, not the middle.
            "sold": min(one["sold"] for one in counts),
            "oversold": max(one["oversold"] + max(0, one["sold"] + one["held"] - SEATS) for one in counts),
            "seconds": middle([one.seconds for one in found], 2),
            "p99_ms": middle([one.answer_p99_ms for one in found], 1),
            "purchase_p50_ms": middle([one.p50_ms for one in found], 1),
            "purchase_p99_ms": middle([one.p99_ms for one in found], 1),
            "turned_away": max(one.retries for one in found),
            "unanswered": max(_unanswered(one) for one in found),
        },
        details,
    )


def _seat(parent: str, seat: str) -> bytes:
    claim = booking_pb2.SeatClaim(seat=seat)
    return booking_pb2.CreateBookingRequest(parent=parent, seats=[claim], request_id=str(uuid4())).SerializeToString()


def _best(parent: str) -> bytes:
    best = booking_pb2.BestAvailable(quantity=1)
    return booking_pb2.CreateBookingRequest(
        parent=parent, best_available=best, request_id=str(uuid4())
    ).SerializeToString()


def _unanswered(sale: generator.Calls) -> int:
    """Calls that were neither answered nor refused for a reason, nor asked again."""
    definite = {"OK", "FailedPrecondition", "ResourceExhausted", "Unavailable", "Aborted"}
    return sum(count for code, count in sale.answers.items() if code not in definite) + max(
        0, sum(sale.answers.get(code, 0) for code in ("ResourceExhausted", "Unavailable", "Aborted")) - sale.retries
    )


def _shown(sale: generator.Calls) -> str:
    return f"{sale.chains} bought in {sale.seconds:.1f} s"
