"""What is counted on hot paths, and how Prometheus is told."""

import socket
import threading
import time

import pytest
from prometheus_client import Histogram
from prometheus_client.metrics_core import HistogramMetricFamily

from server.buckets import Buckets
from server.domain.backlog import Backlog
from server.domain.standing_figures import StandingFigures
from server.metrics import serve_metrics_if_possible
from server.seats.ledger_metrics import LedgerCounts
from workers import backlog_metrics
from workers.backlog_metrics import BacklogMetrics


def test_buckets_count_as_prometheus_own_histograms_do() -> None:
    bounds, values = (0.1, 1, 10), (0.0, 0.1, 0.1000001, 1, 5, 10, 11, 1e9)
    ours, theirs = Buckets(bounds), Histogram("x", "x", buckets=bounds, registry=None)
    for value in values:
        ours.add(value)
        theirs.observe(value)
    family = HistogramMetricFamily("x", "x", ours.cumulative(), ours.total)
    told = {(one.name, one.labels.get("le")): one.value for one in family.samples}
    (expected,) = theirs.collect()
    assert told == {
        (one.name, one.labels.get("le")): one.value for one in expected.samples if "created" not in one.name
    }


def test_a_batch_is_counted_with_what_its_commands_waited() -> None:
    counts = LedgerCounts()
    now = time.perf_counter()
    began = counts.begin([now - 0.02, now - 4, now])
    counts.end(began)
    assert sum(counts.wait.counts) == 3
    assert counts.wait.total >= 4.02
    assert (sum(counts.size.counts), counts.size.total) == (1, 3)
    assert sum(counts.batch.counts) == 1


def test_the_causes_of_repetitions_are_few_whatever_postgresql_says() -> None:
    counts = LedgerCounts()
    for cause in ("more_to_lock", "40001", "40P01", "57P01", "08006", "OperationalError", "XX999"):
        counts.repeat(cause)
    assert counts.repeated == {"more_to_lock": 1, "serialization": 1, "deadlock": 1, "connection": 4}


def test_a_port_that_is_taken_is_no_reason_not_to_work() -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        serve_metrics_if_possible(f"127.0.0.1:{stranger.getsockname()[1]}", 0)()
    serve_metrics_if_possible("", 0)()


class StandIn:
    """A database that answers, or does not."""

    up = True

    def run_transaction(self, _fn: object) -> backlog_metrics.Reading:
        if not self.up:
            raise ConnectionError
        figures = StandingFigures(unknown_payments=2, oldest_unknown=60.0, in_line=5, longest_line=3, lines=2)
        return backlog_metrics.Reading((Backlog("holds that ran out", 4, None, 0, ""),), figures)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [1000.0]
    monkeypatch.setattr(time, "time", lambda: at[0])
    return at


def told(metrics: BacklogMetrics) -> dict[str, float]:
    return {one.name: one.value for family in metrics.collect() for one in family.samples}


def test_what_was_read_too_long_ago_is_not_told_any_more(now: list[float]) -> None:
    database = StandIn()
    metrics = BacklogMetrics(database, 15)  # type: ignore[arg-type]  # all that it asks of one
    assert told(metrics) == {}
    metrics.read()
    assert told(metrics)["rowlock_backlog_rows"] == 4
    assert told(metrics)["rowlock_backlog_overdue_seconds"] == 0
    assert told(metrics)["rowlock_waiting_room_longest"] == 3
    database.up = False
    now[0] += 59
    metrics.read()
    assert told(metrics)["rowlock_backlog_rows"] == 4
    now[0] += 2
    metrics.read()
    assert told(metrics) == {}
    database.up = True
    metrics.read()
    assert told(metrics)["rowlock_payments_unknown"] == 2


def test_scrapes_and_readings_may_meet(now: list[float]) -> None:
    metrics = BacklogMetrics(StandIn(), 15)  # type: ignore[arg-type]
    stop = threading.Event()

    def read_on() -> None:
        while not stop.is_set():
            metrics.read()

    thread = threading.Thread(target=read_on)
    thread.start()
    seen = [told(metrics) for _ in range(200)]
    stop.set()
    thread.join()
    assert {len(one) for one in seen} <= {0, 9}
