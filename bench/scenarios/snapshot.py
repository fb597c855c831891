"""`snapshot`: the first message of the seat feed, for halls of 20,000 and 60,000 places.

200 watchers, each with a connection of its own that is made beforehand, join at the same moment a performance that
nobody has watched before: so the time includes reading the hall's states from the database. The yardstick beside it
is a bare server that sends as many bytes.
"""

from typing import Any

from bench.canned import WATCH
from bench.generator import Watchers
from bench.programs import Program, running
from bench.rounds import interleave, middle
from bench.scenario import Options, Outcome
from bench.stage import WATCH_SEATS, hall_document, open_stage
from rowlock.v1 import seat_feed_pb2
from server import resources

HALLS = (20_000, 60_000)
WATCHERS = 200


def run(options: Options) -> Outcome:
    with open_stage("snapshot") as stage, stage.rowlock() as server:
        _, tokens = stage.customers(50)
        result: dict[str, Any] = {}
        details: dict[str, Any] = {"postgres": stage.describe()}

        def join(places: int) -> dict[str, Any]:
            staged = stage.performance(hall_document(places))
            request = seat_feed_pb2.WatchSeatsRequest(performance=resources.performance(staged.id))
            encoded = request.SerializeToString()
            with Watchers(
                server.address, WATCH_SEATS, encoded, watchers=WATCHERS, folder=stage.folder, tokens=tokens
            ) as watchers:
                return required(watchers.ready)

        def canned(program: Program) -> dict[str, Any]:
            with Watchers(program.address, WATCH, b"", watchers=WATCHERS, folder=stage.folder) as watchers:
                return required(watchers.ready)

        join(1000)
        for places in HALLS:
            size = join(places)["first_bytes"]
            program = Program(f"canned-{places}", stage.folder, ["bench/canned.py", "{address}", str(size)])
            with running(program):
                measures = {f"{places} places": lambda p=places: join(p), "canned": lambda p=program: canned(p)}
                found = interleave(options.rounds, measures, options.progress, shown)
            ours, bare = found[f"{places} places"], found["canned"]
            result[f"bytes_per_place_{places}"] = round(size / places, 3)
            result[f"p50_ms_{places}"] = middle([one["first"]["p50_ms"] for one in ours])
            result[f"p99_ms_{places}"] = middle([one["first"]["p99_ms"] for one in ours])
            result[f"canned_p99_ms_{places}"] = middle([one["first"]["p99_ms"] for one in bare])
            details[f"rounds_{places}"] = found
    worst = {
        "bytes_per_place": max(result[f"bytes_per_place_{places}"] for places in HALLS),
        "p99_ms": max(result[f"p99_ms_{places}"] for places in HALLS),
    }
    return Outcome({**worst, "watchers": WATCHERS, **result}, details)


def required(ready: dict[str, Any]) -> dict[str, Any]:
    """What the watchers said when all had their first message.

    Raises:
        RuntimeError: some have ended.
    """
    if ready.get("ended") or ready["first"]["count"] < ready["open"]:
        raise RuntimeError(f"streams failed: {ready}")
    return ready


def shown(ready: dict[str, Any]) -> str:
    """In a word."""
    return f"p99 {ready['first']['p99_ms']:.0f} ms"
