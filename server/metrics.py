"""What Prometheus can ask of one server process, and where it asks.

Every process serves its own numbers on its own port (``ROWLOCK_METRICS_ADDRESS`` plus the process's index), so
nothing has to be gathered between processes.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from weakref import WeakSet

import structlog
from prometheus_client import REGISTRY, Counter, Gauge, Histogram, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from server.addresses import split_address
from server.buckets import Buckets
from server.db.engine import Database
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

_log = structlog.get_logger()

_STREAM_SECONDS: Final = (1, 5, 15, 60, 300, 600, 900, 1200)
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
        self.seconds = Buckets(_STREAM_SECONDS if streaming else _SECONDS)
        self.codes: dict[str, int] = {}

    def add(self, code: str, seconds: float) -> None:
        """Count one call that ended with ``code`` after so many seconds."""
        self.codes[code] = self.codes.get(code, 0) + 1
        self.seconds.add(seconds)


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
            family = streams if counts.streaming else unary
            family.add_metric(name, counts.seconds.cumulative(), counts.seconds.total)
        yield from (ended, unary, streams)


class _Ledgers(Collector):
    """Gives to Prometheus what the ledger of the process counts of itself."""

    def __init__(self) -> None:
        self.ledgers: WeakSet[Ledger] = WeakSet()

    def collect(self) -> Iterator[Metric]:
        for ledger in tuple(self.ledgers):
            counts = ledger.counts
            yield CounterMetricFamily(
                "rowlock_ledger_commands", "Commands that the ledger has carried out or refused", ledger.commands
            )
            yield CounterMetricFamily("rowlock_ledger_batches", "Transactions they took together", ledger.batches)
            yield GaugeMetricFamily(
                "rowlock_ledger_waiting", "Commands that wait for the next transaction", ledger.queue_length
            )
            yield GaugeMetricFamily(
                "rowlock_ledger_waiting_limit", "Commands that may wait; more are refused", ledger.queue_limit
            )
            yield CounterMetricFamily(
                "rowlock_ledger_overloaded", "Commands refused because too many waited", counts.refused
            )
            yield CounterMetricFamily(
                "rowlock_ledger_batches_contended", "Batches given up after too many attempts", counts.contended
            )
            yield CounterMetricFamily(
                "rowlock_ledger_batches_taken_apart", "Batches done again command by command", counts.taken_apart
            )
            repeated = CounterMetricFamily(
                "rowlock_ledger_batches_repeated", "Attempts of batches made again, by cause", labels=("cause",)
            )
            for cause, number in tuple(counts.repeated.items()):
                repeated.add_metric((cause,), number)
            yield repeated
            for name, text, buckets in (
                ("rowlock_ledger_wait_seconds", "From a command's arrival until its batch began", counts.wait),
                ("rowlock_ledger_batch_seconds", "How long batches took, repetitions included", counts.batch),
                ("rowlock_ledger_batch_size", "Commands in a batch", counts.size),
            ):
                yield HistogramMetricFamily(name, text, buckets.cumulative(), buckets.total)


class _Pools(Collector):
    """Gives to Prometheus how busy the process's pool of connections is when it asks."""

    def __init__(self) -> None:
        self.databases: WeakSet[Database] = WeakSet()

    def collect(self) -> Iterator[Metric]:
        for database in tuple(self.databases):
            use = database.use()
            yield GaugeMetricFamily("rowlock_database_connections_used", "Connections in use", use.in_use)
            yield GaugeMetricFamily("rowlock_database_connections_limit", "Connections of the pool", use.most)
            yield GaugeMetricFamily("rowlock_database_calls_waiting", "Calls that wait for a thread", use.waiting)


_calls: Final = _Calls()
_ledgers: Final = _Ledgers()
_pools: Final = _Pools()
for _collector in (_calls, _ledgers, _pools):
    REGISTRY.register(_collector)


@contextmanager
def measured(database: Database, ledger: Ledger | None = None) -> Iterator[None]:
    """Let Prometheus see the pool and the ledger of this process while the block runs. They count by themselves."""
    _pools.databases.add(database)
    if ledger is not None:
        _ledgers.ledgers.add(ledger)
    try:
        yield
    finally:
        _pools.databases.discard(database)
        if ledger is not None:
            _ledgers.ledgers.discard(ledger)


def counts_of(service: str, method: str, *, streaming: bool) -> CallCounts:
    """Where the calls of a method are counted."""
    return _calls.counts.setdefault((service, method), CallCounts(streaming=streaming))


def serve_metrics(host: str, port: int) -> Callable[[], None]:
    """Answer Prometheus on ``http://host:port/metrics`` from a thread of its own.

    Args:
        host: where to listen; an IPv6 address may stand in brackets.
        port: where to listen.

    Returns:
        What ends it.

    Raises:
        OSError: the port is taken, or the host is not one of this machine.
    """
    server, thread = start_http_server(port, host.strip("[]"))
    _log.info("serving_metrics", url=f"http://{host}:{server.server_port}/metrics")

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def serve_metrics_if_possible(address: str, index: int) -> Callable[[], None]:
    """The same for a process that is worth more than its numbers: a port that is taken is a warning.

    Args:
        address: host:port; empty: nowhere.
        index: number of the process, which is added to the port.

    Returns:
        What ends it.
    """
    if not address:
        return lambda: None
    host, port = split_address(address, index)
    try:
        return serve_metrics(host, port)
    except OSError as error:
        _log.warning("metrics.not_served", address=f"{host}:{port}", error=error.strerror, effect="goes on without")
        return lambda: None


async def watch_event_loop() -> None:
    """Measure, for ever, how late the event loop is."""
    while True:
        due = time.perf_counter() + _LAG_INTERVAL
        await asyncio.sleep(_LAG_INTERVAL)
        LOOP_LAG.observe(max(0.0, time.perf_counter() - due))
