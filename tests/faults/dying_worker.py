"""Real workers that are struck by a signal at one chosen line.

Run as a program, it makes one for each line of its input: the signal, the name of the place, and the settings, as a
JSON list. It says when each begins and how each ended.

By SIGKILL nothing is tidied, no buffer is emptied, no transaction is ended: as when the machine loses its power. By
SIGSTOP the worker stands still until somebody continues it.
"""

import inspect
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from server.config import load_settings
from server.domain import (
    cancellation,
    changes,
    deliveries,
    delivery_lanes,
    notification_queue,
    payment_attempts,
    payment_comparison,
    payment_doubts,
    payment_openings,
    refund_attempts,
    waiting_room_admission,
    webhooks,
)
from server.logs import configure_logging
from server.mail.post import Post
from server.mail.sending import Sender
from server.partners.delivering import Deliverer
from server.partners.sending import Sending
from server.payments.collecting import Collector
from server.payments.comparing import Comparer
from server.payments.paypal import PayPal
from server.payments.refunding import Refunder
from server.payments.simulator import Simulator
from server.payments.stripe_payments import StripePayments
from server.payments.webhook_handling import WebhookHandler
from server.seats import batch
from server.waiting_room.index import LineIndex
from workers import admissions, expiry, housekeeping
from workers.broker import worker

NO_FAULT: Final = "nothing happens"

strikes: Final[list[signal.Signals]] = []


def die() -> None:
    """Be struck, the first time."""
    if strikes:
        os.kill(os.getpid(), strikes.pop())


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
    # what was not known, came late or was given up
    "provider has said what became of it": lambda: after(Simulator, "find"),
    "what is open is decided, not committed": lambda: after(payment_openings, "opened"),
    "provider has cancelled": lambda: after(Simulator, "cancel"),
    "cancellation is written down, not committed": lambda: after(payment_attempts, "cancelled"),
    "booking waits again, not committed": lambda: after(payment_attempts, "hold_again", bool),
    "places were taken back": lambda: after(Collector, "_take_back"),
    "comparison was taken up": lambda: after(Comparer, "take", bool),
    "comparison is written down, not committed": lambda: after(payment_comparison, "compared"),
    "comparison was put off, not committed": lambda: after(payment_comparison, "compare_later"),
    # whose money is in doubt
    "doubt is written down, not committed": lambda: after(payment_doubts, "wait_for_staff", bool),
    # giving it back
    "refund is taken up, not committed": lambda: after(refund_attempts, "take_due", bool),
    "refund was taken up": lambda: after(Refunder, "take", bool),
    "provider has answered the refund": lambda: after(Simulator, "refund"),
    "provider has said what became of the refund": lambda: after(Simulator, "find_refund"),
    "refund is written down, not committed": lambda: after(refund_attempts, "done"),
    "PayPal has said what became of the refund": lambda: after(PayPal, "find_refund"),
    "refund is taken back, not committed": lambda: after(refund_attempts, "taken_back"),
    # acting on what a provider tells
    "message is taken up, not committed": lambda: after(webhooks, "take_due", bool),
    "message was taken up": lambda: after(WebhookHandler, "take", bool),
    "message made its payment due, not committed": lambda: after(payment_attempts, "look_now", bool),
    "message made its payment due": lambda: before(WebhookHandler, "_write_down"),
    "message is written down, not committed": lambda: after(webhooks, "done"),
    "message was written down": lambda: after(WebhookHandler, "_write_down"),
    "Stripe has created": lambda: after(StripePayments, "create"),
    "Stripe has said what became of it": lambda: after(StripePayments, "find"),
    "Stripe has answered the capture": lambda: after(StripePayments, "capture"),
    "Stripe has answered the refund": lambda: after(StripePayments, "refund"),
    "PayPal has created": lambda: after(PayPal, "create"),
    "PayPal has said what became of it": lambda: after(PayPal, "find"),
    "PayPal has answered the capture": lambda: after(PayPal, "capture"),
    "PayPal has closed the order": lambda: after(PayPal, "cancel"),
    "PayPal has answered the refund": lambda: after(PayPal, "refund"),
    # winding a cancelled performance up
    "winding up is taken up, not committed": lambda: after(housekeeping, "performances_to_wind_up", bool),
    "winding up was taken up": lambda: before(housekeeping, "wind_up"),
    "bookings to end were read, not committed": lambda: after(cancellation, "_next_chunk", bool),
    "a booking was ended": lambda: after(cancellation, "_end"),
    "winding up is finished, not committed": lambda: after(cancellation, "_finish"),
    # sending mails
    "mail was taken up": lambda: after(Sender, "take", bool),
    "mail server waits for the text": lambda: after(Post, "_open"),
    "mail is marked as handed over, not committed": lambda: after(notification_queue, "hand_over"),
    "mail was marked as handed over": lambda: before(Post, "_send"),
    "mail server has answered": lambda: after(Post, "_send"),
    "mail is written down as sent, not committed": lambda: after(notification_queue, "sent"),
    # telling partners
    "changes were given positions, not committed": lambda: after(changes, "give_positions", bool),
    "changes were put into lanes, not committed": lambda: after(delivery_lanes, "spread", bool),
    "lane was taken up": lambda: after(Deliverer, "take", bool),
    "receiver has answered": lambda: after(Sending, "send"),
    "delivery is written down, not committed": lambda: after(deliveries, "settle"),
    "failure is written down, not committed": lambda: before(deliveries, "wait_before"),
    # expiring holds
    "run-out holds were found": lambda: after(expiry, "run_out_holds", bool),
    # moving lines
    "line is locked, nobody admitted": lambda: before(waiting_room_admission, "_admit"),
    "customers are admitted, nobody told": lambda: before(waiting_room_admission, "_tell"),
    "interval is written down, not the next look": lambda: before(waiting_room_admission, "_write_room"),
    "step of a line is made, not committed": lambda: after(admissions, "move_next", bool),
    "step of a line was committed": lambda: before(admissions, "_tell_redis"),
    "Redis was told of a step": lambda: after(LineIndex, "sync", bool),
    NO_FAULT: lambda: None,
}


def main() -> None:
    """Make workers by forking, so that each need not load the program anew."""
    while True:
        if select.select([sys.stdin], [], [], 0.02)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            assert threading.active_count() == 1, "a fork takes one thread along"
            pid = os.fork()
            if pid == 0:
                work(*json.loads(line))
            say("began", pid)
        with suppress(ChildProcessError):
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid:
                say("ended", pid, os.waitstatus_to_exitcode(status))


def say(*words: object) -> None:
    """Tell the test."""
    print(*words, flush=True)  # noqa: T201 - the test reads it


def work(strike: str, point: str, environment: dict[str, str]) -> None:
    """Be a worker until struck, or until somebody ends it."""
    os.environ.update(environment)
    sys.stdout = sys.stderr  # the test reads the other one
    settings = load_settings(env_file=None)
    configure_logging(settings.log_level, settings.log_format)
    strikes.append(signal.Signals[strike])
    POINTS[point]()
    worker(settings).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
