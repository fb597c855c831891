"""The clock: sends, at each interval, the message that makes a worker look at the schedule in the database.

It holds no state, so it may be restarted at any time, and several do no harm: a queue with enough messages gets no
more.
"""

import signal
import threading
from datetime import timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from dramatiq.brokers.redis import RedisBroker
from redis.exceptions import RedisError

from server.config import Settings
from server.logs import configure_logging
from server.payments.wake import enqueue, redis_broker
from workers.work import Work
from workers.works import WORKS

_log = structlog.get_logger(__name__)


def main(settings: Settings) -> None:
    """Send messages until SIGTERM or SIGINT."""
    configure_logging(settings.log_level, settings.log_format)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    scheduler = start(settings)
    _log.info("scheduling", works=len(WORKS))
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
        _schedule(scheduler, broker, work, work.interval(settings))
    scheduler.start()
    return scheduler


def _schedule(scheduler: BackgroundScheduler, broker: RedisBroker, work: Work, interval: timedelta) -> None:
    was_sent = True

    def send() -> None:
        nonlocal was_sent
        try:
            enqueue(broker, work.queue, work.actor)
        except (RedisError, OSError) as error:
            if was_sent:
                _log.warning(
                    "schedule.not_sent", work=work.actor, error=repr(error), effect="workers look by themselves"
                )
            was_sent = False
        else:
            was_sent = True

    scheduler.add_job(send, "interval", seconds=interval.total_seconds(), id=work.actor)
