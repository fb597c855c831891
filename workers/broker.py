"""Connects workers to their messages, and messages to what they ask for.

Actors are coroutines on one event loop, so that the worker's seat ledger combines what they ask of it. They never fail:
what goes wrong is logged, and the next look at the schedule finds what was not done.
"""

from collections.abc import Awaitable, Callable, Collection
from contextlib import ExitStack
from typing import Final

import structlog
from dramatiq import Worker, actor
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.broker import Broker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO

from server import tracing
from server.config import Settings
from server.errors import RowlockError
from server.metrics import measured
from server.payments.wake import redis_broker
from server.work_metrics import LAST_RUN, RUN_SECONDS, RUNS
from workers.lookout import Lookout
from workers.runtime import WorkerRuntime
from workers.work import Work
from workers.works import WORKS

_LOOK_INTERVAL_MS: Final = 50
"""How often an idle worker asks Redis for messages: what a customer who pays may have to wait."""

_log = structlog.get_logger(__name__)


class Runtimes(AsyncIO):
    """Starts the event loop and, on it, the runtime; ends both with the worker."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._runtime: WorkerRuntime | None = None
        self._lookout = Lookout(settings, self.run)
        self._numbers = ExitStack()

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Be ready before the first message."""
        super().before_worker_boot(broker, worker)  # type: ignore[no-untyped-call]
        loop_thread = get_event_loop_thread()
        assert loop_thread is not None, "it was started just now"  # noqa: S101
        self._runtime = loop_thread.run_coroutine(WorkerRuntime.start(self._settings))
        self._numbers.enter_context(measured(self._runtime.database, self._runtime.ledger))
        served = [work for work in WORKS if not worker.consumer_whitelist or work.queue in worker.consumer_whitelist]
        loop_thread.run_coroutine(self._lookout.start(served))

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """Let what is under way end."""
        loop_thread = get_event_loop_thread()
        assert loop_thread is not None, "it runs until the next line but one"  # noqa: S101
        loop_thread.run_coroutine(self._lookout.stop())
        if self._runtime is not None:
            loop_thread.run_coroutine(self._runtime.close())
        self._numbers.close()
        super().after_worker_shutdown(broker, worker)  # type: ignore[no-untyped-call]

    async def run(self, work: Work) -> None:
        """Do one kind of work now, on the event loop."""
        assert self._runtime is not None, "messages come after the boot"  # noqa: S101
        outcome = "failed"
        try:
            with (
                RUN_SECONDS.labels(work.actor).time(),
                tracing.span(f"work {work.actor}", root=True),
                self._lookout.doing(work),
            ):
                await work.run(self._runtime)
        except RowlockError as error:
            outcome = "put_off"
            _log.warning("work.put_off", work=work.actor, reason=error.reason)
        except Exception:  # noqa: BLE001 - whatever it is, the process must go on with other work
            _log.exception("work.failed", work=work.actor)
        else:
            outcome = "done"
            LAST_RUN.labels(work.actor).set_to_current_time()
        RUNS.labels(work.actor, outcome).inc()


def worker(settings: Settings, queues: Collection[str] = ()) -> Worker:
    """A worker that is not yet started; ``queues`` empty: for all of them. At most one per process."""
    return Worker(
        connect(settings),
        queues=set(queues) or None,
        worker_threads=settings.worker_threads,
        worker_timeout=_LOOK_INTERVAL_MS,
    )


def connect(settings: Settings) -> RedisBroker:
    """The broker of a worker process, with an actor for each kind of work."""
    runtimes = Runtimes(settings)
    broker = redis_broker(settings, [runtimes])
    for work in WORKS:
        actor(actor_name=work.actor, queue_name=work.queue, broker=broker)(_actor_of(work, runtimes))
    return broker


def _actor_of(work: Work, runtimes: Runtimes) -> Callable[[], Awaitable[None]]:
    async def act() -> None:
        await runtimes.run(work)

    return act
