"""Tells Prometheus what waits in the database: to be done by workers, for people, in line.

One process reads it, the scheduler, every some seconds and in three short statements; so no scrape ever reaches the
database. What was read too long ago is not told any more: no number is better than an old one that looks well.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import Counter
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.db.engine import Database
from server.domain.backlog import Backlog, backlog
from server.domain.standing_figures import StandingFigures, standing_figures

_OLD_AFTER: Final = 4
"""So many readings may fail before nothing is told."""

READ_FAILURES: Final = Counter("rowlock_backlog_read_failures", "Looks at what waits that failed")

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Reading:
    """What was read at one time."""

    kinds: tuple[Backlog, ...]
    figures: StandingFigures


class BacklogMetrics(Collector):
    """What waits, as it was read last. ``read`` is called by one thread, ``collect`` by those of scrapes.

    Args:
        database: where to look; a pool of one connection will do.
        interval: seconds between two readings.
    """

    def __init__(self, database: Database, interval: float) -> None:
        self._database = database
        self._interval = interval
        self._lock = threading.Lock()
        self._last: tuple[Reading, float] | None = None
        """What was read last, and when by the clock of the world."""
        self._failing = False

    def read(self) -> None:
        """Look once. It does not raise."""
        try:
            reading = self._database.run_transaction(
                lambda session: Reading(tuple(backlog(session)), standing_figures(session))
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may succeed
            READ_FAILURES.inc()
            if not self._failing:
                _log.warning("backlog.not_read", error=repr(error), effect="metrics of what waits are missing")
            self._failing = True
            return
        self._failing = False
        with self._lock:
            self._last = reading, time.time()

    def collect(self) -> Iterator[Metric]:
        """Tell it to Prometheus."""
        with self._lock:
            last = self._last
        if last is None or time.time() - last[1] > self._interval * _OLD_AFTER:
            return
        reading, at = last
        waiting = GaugeMetricFamily("rowlock_backlog_rows", "Rows that workers will do, now or later", labels=("kind",))
        overdue = GaugeMetricFamily(
            "rowlock_backlog_overdue_seconds", "For how long the longest overdue row is; 0: none is", labels=("kind",)
        )
        people = GaugeMetricFamily(
            "rowlock_backlog_for_people_rows", "Rows that no worker will do any more", labels=("kind",)
        )
        for one in reading.kinds:
            label = (one.kind.replace(" ", "_"),)
            waiting.add_metric(label, one.waiting)
            overdue.add_metric(label, 0 if one.overdue is None else one.overdue.total_seconds())
            people.add_metric(label, one.for_people)
        yield from (waiting, overdue, people)
        figures = reading.figures
        yield GaugeMetricFamily("rowlock_payments_unknown", "Payments of unknown outcome", figures.unknown_payments)
        yield GaugeMetricFamily(
            "rowlock_payments_unknown_oldest_seconds", "Age of the oldest of them; 0: none", figures.oldest_unknown
        )
        yield GaugeMetricFamily(
            "rowlock_waiting_room_waiting", "Customers in line, in all waiting rooms together", figures.in_line
        )
        yield GaugeMetricFamily("rowlock_waiting_room_longest", "Customers in the longest line", figures.longest_line)
        yield GaugeMetricFamily("rowlock_waiting_rooms", "Waiting rooms in which somebody waits", figures.lines)
        yield GaugeMetricFamily("rowlock_backlog_read_timestamp_seconds", "When all of this was read", at)
