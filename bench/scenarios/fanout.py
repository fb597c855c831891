"""`fanout`: the seat feed with 1,000 watchers of one performance, each with a connection of its own.

Two processes: one books, the other carries the streams (roles `api` and `edge`) and is what is measured; changes come
to it through Valkey. A delivery is one revision told to one watcher; a watcher that is behind is told several in one
message (`revisions_per_message`).

- *paced*: 100 holds of two seats per second, so 200 changes; the time from commit to watcher. It is counted from the
  commit time of the change log, which is taken just before the commit: the flush to disk is within.
- *live*: holds at full speed, 128 callers.
- *burst*: the streams' process is stopped while 200 revisions are committed, one hold each, and then let go: so it
  delivers as fast as it can. It is set to tell each revision alone, or hardly a message would be left to measure. The
  yardstick is a bare server that writes as many messages of that size to as many streams: `ratio` is the one's messages
  per second by the other's.
- *idle*: as many watchers as are asked for, and what one costs in memory.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text

from bench import generator
from bench.canned import SEND, WATCH
from bench.generator import Arrival, Watchers
from bench.programs import ProcessorTime, Program, memory, running
from bench.rounds import interleave, middle
from bench.scenario import Options, Outcome
from bench.stage import CREATE_BOOKING, WATCH_SEATS, Stage, Staged, hall_document, open_stage, random_holds
from rowlock.v1 import seat_feed_pb2
from server import resources

PLACES = 20_000
WATCHERS = 1_000
BURST = 200
IDLE = 10_000
CHANGES_PER_S = 200
_SETTLED = 60.0


def run(options: Options) -> Outcome:
    with open_stage("fanout") as stage:
        feed = _Feed(stage, options)
        with stage.rowlock(name="api", roles="api") as feed.api:
            with stage.rowlock(name="edge", roles="edge") as feed.edge:
                paced, live = feed.paced(), feed.live()
            with stage.rowlock(name="burst", roles="edge", stream_pending_frames=BURST) as feed.edge:
                options.progress("burst: measuring the size of a message")
                size = round(feed.burst()["bytes_per_message"])
                with running(Program("canned", stage.folder, ["bench/canned.py", "{address}", str(PLACES)])) as canned:
                    measures = {"burst": feed.burst, "canned": lambda: feed.canned(canned, size)}
                    found = interleave(options.rounds, measures, options.progress, _shown)
        with stage.rowlock(name="idle", roles="edge") as feed.edge:
            idle = feed.idle()
        details = {"postgres": stage.describe(), "paced": paced, "live": live, "rounds": found, "idle": idle}
    pairs = list(zip(found["burst"], found["canned"], strict=True))
    return Outcome(
        {
            "ratio": middle([ours["messages_per_s"] / bare["messages_per_s"] for ours, bare in pairs]),
            "deliveries_per_s": middle([ours["per_s"] for ours, _ in pairs], 0),
            "canned_per_s": middle([bare["per_s"] for _, bare in pairs], 0),
            "latency_p50_ms": paced["latency_p50_ms"],
            "latency_p99_ms": paced["latency_p99_ms"],
            "changes_per_s": paced["changes_per_s"],
            "revisions_per_message": paced["revisions_per_message"],
            "watchers": WATCHERS,
            "live_deliveries_per_s": live["per_s"],
            "live_latency_p50_ms": live["latency_p50_ms"],
            "live_latency_p99_ms": live["latency_p99_ms"],
            "live_holds_per_s": live["holds_per_s"],
            "live_revisions_per_message": live["revisions_per_message"],
            "kb_per_idle_watcher": idle["kb_per_watcher"],
            "idle_watchers": idle["watchers"],
        },
        details,
    )


class _Feed:
    """The measurements; `api` takes holds, `edge` carries streams."""

    api: Program
    edge: Program

    def __init__(self, stage: Stage, options: Options) -> None:
        self._stage = stage
        self._options = options
        self._customers = 250
        _, self._tokens = stage.customers(self._customers)

    def paced(self) -> dict[str, Any]:
        """200 changes per second."""
        self._options.progress(f"{CHANGES_PER_S} changes per second")
        staged, holds = self._performance()
        count = round(self._options.seconds * CHANGES_PER_S / 2)
        with self._watching(staged) as watchers:
            chains = generator.write_chains(self._stage.folder / "paced", holds[:count])
            return self._deliver(staged, watchers, chains, rate=CHANGES_PER_S / 2)

    def live(self) -> dict[str, Any]:
        """Holds at full speed."""
        self._options.progress("holds at full speed")
        staged, holds = self._performance()
        with self._watching(staged) as watchers:
            chains = generator.write_chains(self._stage.folder / "live", holds)
            return self._deliver(staged, watchers, chains, rate=0)

    def burst(self) -> dict[str, Any]:
        """What the streams' process missed, delivered as fast as it can."""
        staged, holds = self._performance()
        with self._watching(staged) as watchers:
            edge = psutil.Process(self.edge.pid)
            chains = generator.write_chains(self._stage.folder / "burst", holds[:BURST])
            os.kill(edge.pid, signal.SIGSTOP)
            try:
                found = generator.calls(self.api.address, CREATE_BOOKING, chains, tokens=self._tokens, callers=1)
                found.require_success()
                watchers.tell("record")
            finally:
                os.kill(edge.pid, signal.SIGCONT)
            begin, processor = time.time(), ProcessorTime({"edge": edge.pid})
            last = self._revision(staged)
            heard = self._settle(watchers, last)
            used = processor.used()["edge"]
        return self._delivered(heard, last, begin) | {"cpu_us": round(1e6 * used / (last * WATCHERS), 1)}

    def canned(self, server: Program, size: int) -> dict[str, Any]:
        """As many messages, of that size, of a bare server."""
        folder = self._stage.folder
        with Watchers(server.address, WATCH, b"", watchers=WATCHERS, folder=folder) as watchers:
            watchers.tell("record")
            send = generator.write_chains(folder / "send", [(0, [f"{BURST} {size}".encode()])])
            begin, processor = time.time(), ProcessorTime({"canned": server.pid})
            generator.calls(server.address, SEND, send, callers=1, connections=1).require_success()
            heard = self._settle(watchers, BURST)
            used = processor.used()["canned"]
        return self._delivered(heard, BURST, begin) | {"cpu_us": round(1e6 * used / (BURST * WATCHERS), 1)}

    def idle(self) -> dict[str, Any]:
        """As many watchers as one process is to carry, through two heartbeats."""
        staged, _ = self._performance()
        self._options.progress("idle watchers: one first, so that everything is loaded")
        with self._watching(staged, 1):
            time.sleep(1)
            before = memory(self.edge.pid)
        self._options.progress(f"idle watchers: opening {IDLE:,}")
        with self._watching(staged, IDLE) as watchers:
            opened = memory(self.edge.pid)
            self._options.progress(f"idle watchers: {IDLE:,} open, waiting for two heartbeats")
            processor, begin = ProcessorTime({"edge": self.edge.pid}), time.monotonic()
            time.sleep(32)
            told = watchers.tell("count")
            after = memory(self.edge.pid)
            cores = processor.used()["edge"] / (time.monotonic() - begin)
        return {
            "watchers": told["open"],
            "kb_per_watcher": round((after - before) / 1000 / told["open"], 1),
            "kb_per_watcher_when_opened": round((opened - before) / 1000 / told["open"], 1),
            "heartbeats": told["messages"],
            "busy_cores": round(cores, 2),
            "first_p99_ms": watchers.ready["first"]["p99_ms"],
            "ended": told.get("ended"),
        }

    def _performance(self) -> tuple[Staged, list[generator.Chain]]:
        staged = self._stage.performance(hall_document(PLACES))
        return staged, random_holds(staged, self._customers)

    @contextmanager
    def _watching(self, staged: Staged, count: int = WATCHERS) -> Iterator[Watchers]:
        request = seat_feed_pb2.WatchSeatsRequest(performance=resources.performance(staged.id)).SerializeToString()
        folder = self._stage.folder
        with Watchers(
            self.edge.address, WATCH_SEATS, request, watchers=count, folder=folder, tokens=self._tokens
        ) as watchers:
            if watchers.ready.get("ended"):
                raise RuntimeError(f"streams failed: {watchers.ready}")
            yield watchers

    def _deliver(self, staged: Staged, watchers: Watchers, chains: Path, *, rate: float) -> dict[str, Any]:
        watchers.tell("record")
        begin, processor = time.time(), ProcessorTime({"edge": self.edge.pid})
        holds = generator.calls(self.api.address, CREATE_BOOKING, chains, tokens=self._tokens, rate=rate)
        holds.require_success()
        last = self._revision(staged)
        heard = self._settle(watchers, last)
        used = processor.used()["edge"]
        found = self._delivered(heard, last, begin)
        late = _latencies(heard.streams, self._commit_times(staged))
        return found | {
            "latency_p50_ms": _percentile(late, 0.50),
            "latency_p99_ms": _percentile(late, 0.99),
            "latency_max_ms": late[-1],
            "revisions": last,
            "holds_per_s": round(holds.per_s, 1),
            "changes_per_s": round(2 * holds.per_s, 1),
            "edge_busy_cores": round(used / found["seconds"], 2),
        }

    def _settle(self, watchers: Watchers, last: int) -> "_Heard":
        """Wait until every watcher has come to the last revision; returns what came.

        Raises:
            RuntimeError: one has not, within a minute.
        """
        deadline = time.monotonic() + _SETTLED
        messages = size = lowest = 0
        while lowest < last:
            if time.monotonic() > deadline:
                raise RuntimeError(f"after {_SETTLED:.0f} s a watcher is at revision {lowest} of {last}")
            time.sleep(0.1)
            told = watchers.tell("count")
            if told["open"] != WATCHERS:
                raise RuntimeError(f"streams ended: {told}")
            messages += told["messages"]
            size += told["bytes"]
            lowest = told["lowest_revision"]
        watchers.tell("stop")
        return _Heard(watchers.quit(), size / max(1, messages))

    def _delivered(self, heard: "_Heard", last: int, begin: float) -> dict[str, Any]:
        """Deliveries per second until the last one."""
        streams = heard.streams
        end = max(next(when for revision, when in stream if revision == last) for stream in streams) / 1e6
        messages = sum(len(stream) for stream in streams)
        return {
            "per_s": round(last * WATCHERS / (end - begin), 1),
            "seconds": round(end - begin, 3),
            "messages": messages,
            "messages_per_s": round(messages / (end - begin), 1),
            "bytes_per_message": round(heard.bytes_per_message, 1),
            "revisions_per_message": round(last * WATCHERS / messages, 2),
        }

    def _revision(self, staged: Staged) -> int:
        query = text("SELECT revision FROM inventories WHERE performance_id = :id")
        return self._stage.database.run_transaction(lambda session: int(session.scalar(query, {"id": staged.id})))

    def _commit_times(self, staged: Staged) -> dict[int, int]:
        query = text("SELECT revision, extract(epoch FROM commit_time) FROM seat_changes WHERE performance_id = :id")
        rows = self._stage.database.run_transaction(lambda session: session.execute(query, {"id": staged.id}).all())
        return {int(revision): round(float(when) * 1e6) for revision, when in rows}


@dataclass(frozen=True)
class _Heard:
    streams: list[list[Arrival]]
    bytes_per_message: float


def _latencies(streams: list[list[Arrival]], commit_times: dict[int, int]) -> list[float]:
    """Milliseconds from each revision's commit to each watcher that was told of it, sorted.

    A message tells all revisions up to its own that the same watcher was not told before.
    """
    late = []
    for stream in streams:
        told = 0
        for revision, when in stream:
            late += [(when - commit_times[one]) / 1000 for one in range(told + 1, revision + 1)]
            told = max(told, revision)
    late.sort()
    return late


def _percentile(sorted_values: list[float], share: float) -> float:
    return round(sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))], 3)


def _shown(measured: dict[str, Any]) -> str:
    return f"{measured['per_s']:,.0f}/s"
