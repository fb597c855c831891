"""`gateway`: what REST costs beside gRPC, on the same server in the same run.

- *unary*: GetPerformance by 128 callers, straight over gRPC and through the gateway as `GET /v1/performances/…`; both
  with tokens. `ratio` is the one's calls per second by the other's.
- *stream*: one watcher of each kind on one performance while 50 holds per second are made: `added_ms` is how much later
  the same change comes through the gateway, in the middle.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sqlalchemy import text

from bench import generator
from bench.generator import Calls, Watchers
from bench.programs import Program, free_port, running
from bench.rounds import interleave, middle
from bench.scenario import Options, Outcome
from bench.stage import CREATE_BOOKING, WATCH_SEATS, Stage, Staged, hall_document, open_stage, random_holds
from rowlock.v1 import performance_pb2, seat_feed_pb2
from server import gateway_build, resources

GET_PERFORMANCE = "/rowlock.v1.EventService/GetPerformance"
PLACES = 2_000
HOLDS_PER_S = 50
CUSTOMERS = 200
_SETTLED = 60.0


@dataclass(frozen=True)
class Front:
    """A gateway: where it is, and its process."""

    url: str
    pid: int


def run(options: Options) -> Outcome:
    options.progress("building the gateway")
    gateway_build.build()
    with open_stage("gateway") as stage, stage.rowlock() as server, gateway_of(stage, server) as front:
        url = front.url
        _, tokens = stage.customers(CUSTOMERS)
        staged = stage.performance(hall_document(PLACES))
        name = resources.performance(staged.id)
        request = performance_pb2.GetPerformanceRequest(name=name).SerializeToString()
        chains = generator.write_chains(stage.folder / "get", [(number, [request]) for number in range(CUSTOMERS)])

        def direct() -> Calls:
            return generator.calls(server.address, GET_PERFORMANCE, chains, tokens=tokens, seconds=options.seconds)

        def over_rest() -> Calls:
            return generator.rest(f"{url}/v1/{name}", tokens=tokens, seconds=options.seconds)

        direct()
        over_rest()
        found = interleave(options.rounds, {"grpc": direct, "rest": over_rest}, options.progress, Calls.shown)
        for rounds in found.values():
            for one in rounds:
                one.require_success()
        options.progress("a stream of each kind")
        late = _added(stage, (server.address, url), staged, tokens, options.seconds)
    pairs = list(zip(found["rest"], found["grpc"], strict=True))
    return Outcome(
        {
            "ratio": middle([rest.per_s / grpc.per_s for rest, grpc in pairs]),
            "rest_per_s": middle([rest.per_s for rest, _ in pairs], 0),
            "grpc_per_s": middle([grpc.per_s for _, grpc in pairs], 0),
            "rest_p50_ms": middle([rest.p50_ms for rest, _ in pairs]),
            "rest_p99_ms": middle([rest.p99_ms for rest, _ in pairs]),
            "added_ms": round(median(late), 3),
            "added_p99_ms": round(sorted(late)[int(0.99 * len(late))], 3),
        },
        {"rounds": {kind: [one.kept() for one in rounds] for kind, rounds in found.items()}, "changes": len(late)},
    )


@contextmanager
def gateway_of(stage: Stage, server: Program) -> Iterator[Front]:
    """A gateway before a server."""
    settings = {
        "ROWLOCK_GATEWAY_ADDRESS": "{address}",
        "ROWLOCK_GATEWAY_SERVERS": server.address,
        "ROWLOCK_GATEWAY_METRICS_ADDRESS": f"127.0.0.1:{free_port()}",
        "ROWLOCK_LOG_FORMAT": "json",
    }
    with running(Program("gateway", stage.folder, ["-m", "server.cli", "gateway"], settings)) as gateway:
        # It takes the place of the Python that started it, so their process is one.
        yield Front(f"http://{gateway.address}", gateway.pid)


def _added(stage: Stage, addresses: tuple[str, str], staged: Staged, tokens: Path, seconds: float) -> list[float]:
    """By how many milliseconds each change came later through the gateway."""
    name = resources.performance(staged.id)
    holds = random_holds(staged, CUSTOMERS)[: round(HOLDS_PER_S * seconds)]
    chains = generator.write_chains(stage.folder / "holds", holds)
    request = seat_feed_pb2.WatchSeatsRequest(performance=name).SerializeToString()
    server, url = addresses
    stream = f"{url}/v1/{name}:watchSeats"
    folders = [stage.folder / kind for kind in ("direct", "through")]
    for folder in folders:
        folder.mkdir()
    with (
        Watchers(server, WATCH_SEATS, request, watchers=1, folder=folders[0], tokens=tokens) as direct,
        Watchers("", "", b"", watchers=1, folder=folders[1], tokens=tokens, url=stream) as through,
    ):
        for watcher in (direct, through):
            watcher.tell("record")
        generator.calls(server, CREATE_BOOKING, chains, tokens=tokens, rate=HOLDS_PER_S).require_success()
        came = []
        for watcher in (direct, through):
            wait_for(watcher, revision_of(stage, staged))
            came.append(dict(watcher.quit()[0]))
    return [(came[1][revision] - when) / 1000 for revision, when in came[0].items() if revision in came[1]]


def revision_of(stage: Stage, staged: Staged) -> int:
    """The newest revision of a performance."""
    query = text("SELECT revision FROM inventories WHERE performance_id = :id")
    return stage.database.run_transaction(lambda session: int(session.scalar(query, {"id": staged.id})))


def wait_for(watchers: Watchers, last: int) -> None:
    """Wait until every stream has come to a revision.

    Raises:
        RuntimeError: one ended, or took more than a minute.
    """
    deadline = time.monotonic() + _SETTLED
    while (told := watchers.tell("count"))["lowest_revision"] < last:
        if told.get("ended") or time.monotonic() > deadline:
            raise RuntimeError(f"not all came to revision {last}: {told}")
        time.sleep(0.05)
