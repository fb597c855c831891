"""The clock: sends, at each interval, the message that makes a worker look at the schedule in the database.

It holds no state, so it may be restarted at any time, and several do no harm: a queue with enough messages gets no
more.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from dramatiq.brokers.redis import RedisBroker
from prometheus_client import REGISTRY
from redis.exceptions import RedisError

from server.config import Settings
from server.db.engine import Database
from server.metrics import serve_metrics_if_possible
from server.payments.wake import enqueue, redis_broker
from server.work_metrics import SCHEDULE_FAILURES, SCHEDULED
from workers.backlog_metrics import BacklogMetrics
from workers.work import Work
from workers.works import WORKS

_log = structlog.get_logger(__name__)


def main(settings: Settings) -> None:
    """Send messages until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    scheduler = start(settings)
    _log.info("scheduling", works=len(WORKS))
    with _metrics(settings, scheduler):
        stop.wait()
    scheduler.shutdown(wait=False)
    _log.info("stopped")


def start(settings: Settings) -> BackgroundScheduler:
    """Send messages from now on, from a thread; the caller shuts the scheduler down."""
    broker = redis_broker(settings)
    scheduler = BackgroundScheduler(
        # Late is better than never, once is better than twice.
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    )
    for work in WORKS:
        _schedule(scheduler, broker, work, work.interval(settings).total_seconds())
    scheduler.start()
    return scheduler


@contextmanager
def _metrics(settings: Settings, scheduler: BackgroundScheduler) -> Iterator[None]:
    """Look at what waits, and tell Prometheus, while the block runs."""
    if not settings.scheduler_metrics_address:
        yield
        return
    seconds = settings.backlog_interval.total_seconds()
    database = Database(settings.database_url, threads=1, pool_wait=seconds)
    metrics = BacklogMetrics(database, seconds)
    REGISTRY.register(metrics)
    stop_serving = serve_metrics_if_possible(settings.scheduler_metrics_address, settings.process_index)
    scheduler.add_job(metrics.read, "interval", seconds=seconds, id="backlog", next_run_time=datetime.now(UTC))
    try:
        yield
    finally:
        stop_serving()
        REGISTRY.unregister(metrics)
        database.close()


def _schedule(scheduler: BackgroundScheduler, broker: RedisBroker, work: Work, seconds: float) -> None:
    was_sent = True

    def send() -> None:
        nonlocal was_sent
        try:
            enqueue(broker, work.queue, work.actor)
        except (RedisError, OSError) as error:
            SCHEDULE_FAILURES.inc()
            if was_sent:
                _log.warning(
                    "schedule.not_sent", work=work.actor, error=repr(error), effect="workers look by themselves"
                )
            was_sent = False
        else:
            SCHEDULED.inc()
            was_sent = True

    scheduler.add_job(send, "interval", seconds=seconds, id=work.actor)
