"""What Prometheus can ask of one server process, and where it asks.

Every process serves its own numbers on its own port (``ROWLOCK_METRICS_ADDRESS`` plus the process's index), so
nothing has to be gathered between processes.
"""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from server.seats.ledger import Ledger

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

STREAMS: Final = Gauge("rowlock_streams", "Streams that are open", ("service", "method"))
STREAM_MESSAGES: Final = Counter("rowlock_stream_messages", "Messages written to streams", ("service", "method"))
STREAM_BYTES: Final = Counter("rowlock_stream_bytes", "Bytes of those messages", ("service", "method"))
STREAMS_STALLED: Final = Counter(
    "rowlock_streams_stalled", "Streams cut off because their reader took nothing", ("service", "method")
)
LOOP_LAG: Final = Histogram(
    "rowlock_event_loop_lag_seconds",
    "How late the event loop ran a timer: what every call of this process waits in addition",
    buckets=_SECONDS,
)
SCANS: Final = Counter("rowlock_scans", "Tickets scanned at doors with a connection, by what came of it", ("outcome",))
DEPENDENCY_UP: Final = Gauge("rowlock_dependency_up", "1 while the database or Redis answers", ("dependency",))
LEDGER_COMMANDS: Final = Counter("rowlock_ledger_commands", "Commands that the seat ledger has carried out or refused")
LEDGER_BATCHES: Final = Counter("rowlock_ledger_batches", "Transactions that they took together")
LEDGER_WAITING: Final = Gauge("rowlock_ledger_waiting", "Commands that wait for the next transaction")

_STREAM_SECONDS: Final = (1, 5, 15, 60, 300, 600, 900, 1200)
_LEDGER_INTERVAL: Final = 1.0
_LAG_INTERVAL: Final = 0.25


class CallCounts:
    """How the calls of one method ended, and after how long.

    A call costs two additions here; counters with labels and locks of their own would cost ten times as much. Only
    the event loop counts; whoever asks for the metrics may see a call that is counted and not yet timed.

    Args:
        streaming: whether the method is a stream, which lives longer than a call.
    """

    def __init__(self, *, streaming: bool) -> None:
        self.streaming = streaming
        self.bounds = _STREAM_SECONDS if streaming else _SECONDS
        self.buckets = [0] * (len(self.bounds) + 1)
        self.seconds = 0.0
        self.codes: dict[str, int] = {}

    def add(self, code: str, seconds: float) -> None:
        """Count one call that ended with ``code`` after so many seconds."""
        self.codes[code] = self.codes.get(code, 0) + 1
        self.buckets[bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds


class _Calls(Collector):
    """Gives the counts of all methods to Prometheus."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], CallCounts] = {}

    def collect(self) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "rowlock_rpc", "RPCs and streams that ended, by status code", labels=("service", "method", "code")
        )
        labels = ("service", "method")
        unary = HistogramMetricFamily("rowlock_rpc_seconds", "Time to answer a unary RPC", labels=labels)
        streams = HistogramMetricFamily("rowlock_stream_seconds", "How long streams lived", labels=labels)
        for name, counts in tuple(self.counts.items()):
            for code, number in tuple(counts.codes.items()):
                ended.add_metric((*name, code), number)
            edges = [*map(str, map(float, counts.bounds)), "+Inf"]
            buckets = list(zip(edges, accumulate(counts.buckets), strict=True))
            (streams if counts.streaming else unary).add_metric(name, buckets, counts.seconds)
        yield from (ended, unary, streams)


_calls: Final = _Calls()
REGISTRY.register(_calls)


def counts_of(service: str, method: str, *, streaming: bool) -> CallCounts:
    """Where the calls of a method are counted."""
    return _calls.counts.setdefault((service, method), CallCounts(streaming=streaming))


def serve_metrics(host: str, port: int) -> Callable[[], None]:
    """Answer Prometheus on ``http://host:port/metrics`` from a thread of its own.

    Returns:
        What ends it.

    Raises:
        OSError: the port is taken, or the host is not one of this machine.
    """
    server, thread = start_http_server(port, host)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


async def watch_ledger(ledger: Ledger) -> None:
    """Bring the ledger's counters up to date, for ever; it counts by itself, as its batches are the hottest path."""
    commands = batches = 0
    while True:
        await asyncio.sleep(_LEDGER_INTERVAL)
        LEDGER_COMMANDS.inc(ledger.commands - commands)
        LEDGER_BATCHES.inc(ledger.batches - batches)
        commands, batches = ledger.commands, ledger.batches
        LEDGER_WAITING.set(ledger.queue_length)


async def watch_event_loop() -> None:
    """Measure, for ever, how late the event loop is."""
    while True:
        due = time.perf_counter() + _LAG_INTERVAL
        await asyncio.sleep(_LAG_INTERVAL)
        LOOP_LAG.observe(max(0.0, time.perf_counter() - due))
