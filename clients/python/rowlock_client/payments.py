"""Waiting for a payment to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import grpc

from rowlock.v1.payment_pb2 import Payment
from rowlock_client.errors import DeadlineExceeded

FINAL: Final = frozenset({Payment.SUCCEEDED, Payment.FAILED, Payment.CANCELLED})
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


class Waiting:
    """How often to ask.

    Args:
        timeout: seconds to wait in all.
        clock: monotonic seconds.
    """

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deadline = clock() + timeout
        self._pause = _FIRST_PAUSE

    def pause(self, payment: Payment) -> float | None:
        """Seconds until the next look; None: `payment` has ended.

        Raises:
            DeadlineExceeded: the time is over and it has not.
        """
        if payment.state in FINAL:
            return None
        if self._clock() + self._pause > self._deadline:
            state = Payment.State.Name(payment.state)
            raise DeadlineExceeded(grpc.StatusCode.DEADLINE_EXCEEDED, f"{payment.name} is still {state}")
        pause, self._pause = self._pause, min(self._pause * 1.5, _LONGEST_PAUSE)
        return pause
