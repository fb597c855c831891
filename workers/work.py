"""One kind of work: what it is called, how often it is looked for, and what is done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from server.config import Settings
from workers.runtime import WorkerRuntime


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work.

    Args:
        actor: name of the actor, as messages carry it.
        queue: the queue of its messages. Queues are apart so that a process can be given one of them only.
        interval: how often the schedule in the database is looked at.
        run: works off everything that is due now. It may be called at any time, by any number of processes.
    """

    actor: str
    queue: str
    interval: Callable[[Settings], timedelta]
    run: Callable[[WorkerRuntime], Awaitable[None]]
