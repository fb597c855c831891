"""Hands the caller's deadline to the work behind it.

gRPC itself cancels the handler when the deadline passes; what has to be told is the database, which would go on
alone. A unary call without a deadline gets the default, and none gets more than that. Streams live longer than any
statement, so their reads keep the database's own limit.
"""

import time

from server.db.engine import deadline as database_deadline
from server.errors import DeadlineExceeded
from server.interceptors.method import Admit, Context, Guard, Method


def deadline(default: float) -> Guard:
    """The guard.

    Args:
        default: seconds for calls that carry no deadline, and the most that any unary call gets.
    """

    def guard(method: Method) -> Admit | None:
        return refuse_expired if method.server_streaming else hand_down

    def hand_down(context: Context) -> None:
        left = _time_left(context)
        database_deadline.set(time.monotonic() + (default if left is None or left > default else left))

    def refuse_expired(context: Context) -> None:
        _time_left(context)

    return guard


def _time_left(context: Context) -> float | None:
    """Seconds left; None: no deadline.

    Raises:
        DeadlineExceeded: nothing is left, so that no work may begin.
    """
    left: float | None = context.time_remaining()
    if left is not None and left <= 0:
        raise DeadlineExceeded("DEADLINE", "the deadline passed before the work began")
    return left
