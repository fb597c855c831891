"""A real worker that is struck by a signal at one chosen line: run as a program with the signal and the line's name.

By SIGKILL nothing is tidied, no buffer is emptied, no transaction is ended: as when the machine loses its power. By
SIGSTOP the worker stands still until somebody continues it.
"""

import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from server.config import load_settings
from server.domain import payment_attempts, refunds
from server.logs import configure_logging
from server.payments.collecting import Collector
from server.payments.refunding import Refunder
from server.payments.simulator import Simulator
from server.seats import batch
from workers import expiry
from workers.broker import worker

NO_FAULT: Final = "nothing happens"

_strikes: Final[list[signal.Signals]] = []


def die() -> None:
    """Be struck, the first time."""
    if _strikes:
        os.kill(os.getpid(), _strikes.pop())


def before(owner: Any, name: str, when: Callable[..., bool] = lambda *_: True) -> None:
    """Die when ``owner.name`` is about to be called."""
    original = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        if when(*args):
            die()
        return original(*args, **kwargs)

    setattr(owner, name, call)


def after(owner: Any, name: str, when: Callable[[Any], bool] = lambda _: True) -> None:
    """Die when ``owner.name`` has done its work, and before its caller knows."""
    original = getattr(owner, name)

    async def await_it(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        if when(result):
            die()
        return result

    def call(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if when(result):
            die()
        return result

    setattr(owner, name, await_it if inspect.iscoroutinefunction(original) else call)


POINTS: Final[dict[str, Callable[[], None]]] = {
    # taking a payment up
    "payment is taken up, not committed": lambda: after(payment_attempts, "take_due", bool),
    "payment was taken up": lambda: after(Collector, "take", bool),
    # making it known to the provider
    "provider has created": lambda: after(Simulator, "create"),
    "creation is written down, not committed": lambda: after(payment_attempts, "created"),
    "creation was written down": lambda: after(Collector, "_created"),
    # taking the money
    "provider has answered the capture": lambda: after(Simulator, "capture"),
    "ledger is about to commit": lambda: before(batch, "_commit"),
    "ledger has committed": lambda: after(batch, "_commit"),
    "confirmation was delivered": lambda: after(Collector, "_sell"),
    "decline is written down, not committed": lambda: after(payment_attempts, "declined"),
    "silence is written down, not committed": lambda: after(payment_attempts, "unknown"),
    "vain money is written down, not committed": lambda: after(payment_attempts, "came_in_vain"),
    # giving it back
    "refund is taken up, not committed": lambda: after(refunds, "take_due", bool),
    "refund was taken up": lambda: after(Refunder, "take", bool),
    "provider has answered the refund": lambda: after(Simulator, "refund"),
    "refund is written down, not committed": lambda: after(refunds, "done"),
    # expiring holds
    "run-out holds were found": lambda: after(expiry, "run_out_holds", bool),
    NO_FAULT: lambda: None,
}


def main() -> None:
    """Work until the line is reached, or somebody ends it."""
    settings = load_settings(env_file=None)
    configure_logging(settings.log_level, settings.log_format)
    _strikes.append(signal.Signals[sys.argv[1]])
    POINTS[sys.argv[2]]()
    running = worker(settings)
    running.start()
    print("working", flush=True)  # noqa: T201 - the test waits for it
    threading.Event().wait()


if __name__ == "__main__":
    main()
