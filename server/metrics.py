"""What Prometheus can ask of one server process, and where it asks.

Every process serves its own numbers on its own port (``ROWLOCK_METRICS_ADDRESS`` plus the process's index), so
nothing has to be gathered between processes.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from server.seats.ledger import Ledger

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

CALLS: Final = Counter("rowlock_rpc", "RPCs that ended, by status code", ("service", "method", "code"))
CALL_SECONDS: Final = Histogram(
    "rowlock_rpc_seconds",
    "Time to answer a unary RPC, from the arrival of its request",
    ("service", "method"),
    buckets=_SECONDS,
)
STREAMS: Final = Gauge("rowlock_streams", "Streams that are open", ("service", "method"))
STREAM_SECONDS: Final = Histogram(
    "rowlock_stream_seconds",
    "How long streams lived",
    ("service", "method"),
    buckets=(1, 5, 15, 60, 300, 600, 900, 1200),
)
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
DEPENDENCY_UP: Final = Gauge("rowlock_dependency_up", "1 while the database or Redis answers", ("dependency",))
LEDGER_COMMANDS: Final = Counter("rowlock_ledger_commands", "Commands that the seat ledger has carried out or refused")
LEDGER_BATCHES: Final = Counter("rowlock_ledger_batches", "Transactions that they took together")
LEDGER_WAITING: Final = Gauge("rowlock_ledger_waiting", "Commands that wait for the next transaction")

_LEDGER_INTERVAL: Final = 1.0
_LAG_INTERVAL: Final = 0.25


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
