"""`hold-hot`: two random seats per call, all of one performance, through everything.

One server process; PostgreSQL as `rowlock up` runs it, each commit flushed to disk. Every call has a request_id of
its own and one of 200 customers' tokens, whose limit is high enough not to be met: so most tokens are found among
those verified, as those of customers who make several calls are. Each round has a fresh performance, whose seats
are all held when it ends: 10,000 holds, none of them refused.
"""

from pathlib import Path
from typing import Any

from bench import generator, yardstick
from bench.programs import Program
from bench.rounds import interleave, middle
from bench.scenario import Options, Outcome
from bench.stage import CREATE_BOOKING, Stage, hall_document, open_stage, random_holds

PLACES = 20_000
CUSTOMERS = 200
_WARM_UP = 500


def run(options: Options) -> Outcome:
    with open_stage("hold-hot") as stage, yardstick.echo(stage.folder) as echo, stage.rowlock() as server:
        _, tokens = stage.customers(CUSTOMERS)

        def empty() -> generator.Calls:
            return yardstick.empty_calls(echo, stage.folder, seconds=options.seconds)

        def hold() -> generator.Calls:
            return hold_round(stage, server, tokens, performances=1)

        empty(), hold()
        found = interleave(options.rounds, {"empty": empty, "hold": hold}, options.progress, generator.Calls.shown)
        details = {"postgres": stage.describe()}
    return Outcome(hold_figures(found), details | {"rounds": rounds(found)})


def hold_round(stage: Stage, server: Program, tokens: Path, *, performances: int) -> generator.Calls:
    """Hold every seat of fresh performances, `PLACES` in all of them or each; the clock runs only while calls do.

    Raises:
        RuntimeError: a call failed, or the database does not hold what was answered.
    """
    document = hall_document(PLACES)
    staged = [stage.performance(document) for _ in range(performances)]
    each = [random_holds(one, CUSTOMERS) for one in staged]
    # The first calls of a performance load its hall; then as many as fill a round.
    share = (PLACES // 2 - _WARM_UP) // performances
    warm = [hold for holds in each for hold in holds[-(_WARM_UP // performances) :]]
    timed = [hold for group in zip(*(holds[:share] for holds in each), strict=True) for hold in group]
    warm_up = generator.write_chains(stage.folder / "warm", warm)
    generator.calls(server.address, CREATE_BOOKING, warm_up, tokens=tokens).require_success()
    chains = generator.write_chains(stage.folder / "holds", timed)
    pids = {"server": server.pid, "postgres": stage.postgres.pid, "valkey": stage.valkey.pid}
    found = generator.calls(server.address, CREATE_BOOKING, chains, tokens=tokens, pids=pids)
    found.require_success()
    held = sum(stage.counts(one.id)["held"] for one in staged)
    if held != 2 * (len(timed) + len(warm)):
        raise RuntimeError(f"{len(timed) + len(warm)} holds of two seats were answered, {held} seats are held")
    return found


def hold_figures(found: dict[str, list[generator.Calls]]) -> dict[str, float]:
    """The medians, and the median of each round's proportion to its neighbour."""
    pairs = zip(found["hold"], found["empty"], strict=True)
    return {
        "ratio": middle([hold.per_s / empty.per_s for hold, empty in pairs]),
        "holds_per_s": middle([one.per_s for one in found["hold"]], 0),
        "empty_per_s": middle([one.per_s for one in found["empty"]], 0),
        "p50_ms": middle([one.p50_ms for one in found["hold"]]),
        "p99_ms": middle([one.p99_ms for one in found["hold"]]),
        "server_cpu_us": middle([one.cpu_us["server"] for one in found["hold"]], 0),
        "empty_cpu_us": middle([one.cpu_us["server"] for one in found["empty"]], 0),
    }


def rounds(found: dict[str, list[generator.Calls]]) -> dict[str, Any]:
    """Every measurement, to be kept."""
    return {name: [one.kept() for one in several] for name, several in found.items()}
