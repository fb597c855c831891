"""`refund`: a sold-out performance is cancelled, and everybody gets the money back.

20,000 seats, sold in bookings of two that were paid through the simulator. The clock runs from CancelPerformance until
no booking is left to be ended and no refund to be done, as GetCancellationProgress says it: 10,000 bookings ended
through the seat ledger, 10,000 refunds asked for at the provider and written down, with their entries in the books. One
server process, one worker process and the scheduler; the pace of refunds is not limited. At the end the simulator's
books must equal ours. Memory is the resident set of server and worker, before (after a small cancellation, so that all
is loaded) and at its highest; it must not grow with the size of the performance.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import grpc
from sqlalchemy import text

from bench.programs import Program, memory
from bench.rounds import middle
from bench.scenario import Options, Outcome
from bench.stage import NO_LIMIT, Stage, Staged, hall_document, open_stage
from rowlock.v1 import event_pb2_grpc, performance_pb2
from server import resources
from server.db.engine import Database
from server.payments.book_comparison import books_equal
from server.payments.simulator import Simulator
from server.seats.booking import Booking
from server.seats.commands import Claim, Confirm, Hold
from server.seats.ledger import Ledger
from server.states import ConfirmedBy, Provider, Role

PLACES: Final = 20_000
_SMALL: Final = 400
_AT_ONCE: Final = 128
_LOOK_INTERVAL: Final = 0.1
_TIME_LIMIT: Final = 900
_ROUNDS: Final = 3
"""At most: a round takes minutes, and most of it is selling."""

# As if each of these bookings had been paid: the payment is under way, and the provider has taken the money.
_PAY: Final = text("""
WITH paid AS (
    UPDATE bookings b SET payment_id = gen_random_uuid() WHERE b.performance_id = :id AND b.state = 1
    RETURNING b.performance_id, b.id, b.customer_id, b.payment_id, b.currency,
              (SELECT sum(price) FROM unnest(b.prices) price) AS amount
), ours AS (
    INSERT INTO payments (performance_id, id, booking_id, customer_id, provider, state, amount, currency,
                          provider_reference, capture_time)
    SELECT performance_id, payment_id, id, customer_id, 1, 3, amount, currency, 'SIM-' || payment_id, now() FROM paid
), theirs AS (
    INSERT INTO simulator_orders (payment_id, reference, amount, currency, state, capture_time)
    SELECT payment_id, 'SIM-' || payment_id, amount, currency, 2, now() FROM paid
)
SELECT id, payment_id FROM paid
""")


def run(options: Options) -> Outcome:
    with (
        open_stage("refund") as stage,
        stage.rowlock(refund_rate=0) as server,
        stage.rowlock("worker", refund_rate=0) as worker,
        stage.rowlock("scheduler"),
    ):
        _, tokens = stage.customers(1, role=Role.STAFF)
        token = tokens.read_text().split()[0]
        cancel_round(stage, (server, worker), token, _SMALL)
        found = []
        for number in range(min(options.rounds, _ROUNDS)):
            options.progress(f"round {number + 1}")
            found.append(cancel_round(stage, (server, worker), token, PLACES))
        equal = asyncio.run(_equal(stage.database_url))
        details = {"postgres": stage.describe(), "rounds": found}
    return Outcome(
        {
            "refunds_per_s": middle([one["refunds_per_s"] for one in found], 0),
            "books_equal": equal,
            "seats": PLACES,
            "bookings_ended_s": middle([one["bookings_ended_s"] for one in found], 1),
            "refunds_done_s": middle([one["refunds_done_s"] for one in found], 1),
            "worker_mb_before": middle([one["worker_mb"][0] for one in found], 0),
            "worker_mb_peak": max(one["worker_mb"][1] for one in found),
            "server_mb_before": middle([one["server_mb"][0] for one in found], 0),
            "server_mb_peak": max(one["server_mb"][1] for one in found),
        },
        details,
    )


def cancel_round(stage: Stage, programs: tuple[Program, Program], token: str, places: int) -> dict[str, Any]:
    """Sell a fresh performance out, cancel it, and watch until everybody was refunded.

    Raises:
        RuntimeError: it took too long, or not everybody was.
    """
    staged = stage.performance(hall_document(places), customer_limit=NO_LIMIT)
    sold = asyncio.run(_sell_out(stage.database_url, staged))
    name = resources.performance(staged.id)
    before = [memory(program.pid) for program in programs]
    peak = list(before)
    metadata = (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(programs[0].address) as channel:
        events = event_pb2_grpc.EventServiceStub(channel)
        begun = time.monotonic()
        events.CancelPerformance(performance_pb2.CancelPerformanceRequest(name=name), metadata=metadata)
        ended = 0.0
        while True:
            ask = performance_pb2.GetCancellationProgressRequest(name=name)
            progress = events.GetCancellationProgress(ask, metadata=metadata)
            now = time.monotonic() - begun
            peak = [max(most, memory(program.pid)) for most, program in zip(peak, programs, strict=True)]
            if not progress.bookings_left and not ended:
                ended = now
            if progress.finished:
                break
            if now > _TIME_LIMIT:
                raise RuntimeError(f"after {now:.0f} s {progress.bookings_left} bookings are left: {progress}")
            time.sleep(_LOOK_INTERVAL)
    done = sum(tally.done for tally in progress.refunds)
    counts = stage.counts(staged.id)
    if done != sold or counts["available"] != places:
        raise RuntimeError(f"{sold} bookings were paid, {done} refunds are done, {counts['available']} places are free")
    megabytes = [(round(b / 1e6), round(p / 1e6)) for b, p in zip(before, peak, strict=True)]
    return {
        "refunds": done,
        "refunds_per_s": done / now,
        "bookings_ended_s": ended,
        "refunds_done_s": now,
        "server_mb": megabytes[0],
        "worker_mb": megabytes[1],
    }


async def _sell_out(database_url: str, staged: Staged) -> int:
    """Sell every seat, two a booking; return how many bookings that makes."""
    database = Database(database_url, threads=4)
    ledger = Ledger(database, lambda _: None)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def hold(first: int) -> Booking:
        customer = uuid4()
        async with gate:
            booking = await ledger.execute(
                Hold(
                    performance_id=staged.id,
                    customer_id=customer,
                    actor_id=customer,
                    claims=(Claim(first), Claim(first + 1)),
                )
            )
        assert booking is not None, "it was not refused"  # noqa: S101
        return booking

    async def confirm(paid: Any) -> None:
        async with gate:
            await ledger.execute(
                Confirm(
                    performance_id=staged.id,
                    booking_id=paid.id,
                    actor_id=None,
                    staff=True,
                    confirmed_by=ConfirmedBy.PROVIDER,
                    payment_id=paid.payment_id,
                )
            )

    await asyncio.gather(*(hold(first) for first in range(0, len(staged.hall), 2)))
    rows: Sequence[Any] = await database.transaction(lambda s: s.execute(_PAY, {"id": staged.id}).all())
    await asyncio.gather(*(confirm(row) for row in rows))
    await ledger.close()
    database.close()
    return len(rows)


async def _equal(database_url: str) -> bool:
    database = Database(database_url, threads=2)
    simulator = Simulator(database, success_rate=1.0, delay=timedelta(0))
    equal = await books_equal(database, {Provider.SIMULATOR: simulator})
    database.close()
    return equal
