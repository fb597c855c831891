"""When a call is tried again, and after which pause. Pure: no clock, no sleeping.

Only what the contract allows is repeated: UNAVAILABLE; ABORTED for the reason CONTENDED (others lost a race, which
the application has to look at); RESOURCE_EXHAUSTED where the server says when to come back. And only calls whose
repetition is harmless: reads, and changes that carry a `request_id`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from rowlock_client.errors import Aborted, ResourceExhausted, RowlockError, Unavailable


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter, within the call's deadline.

    Attributes:
        first_pause: seconds before the second attempt, at most.
        longest_pause: seconds between later attempts, at most; the server may ask for more.
        growth: what the pause is multiplied by each time.
        patience: seconds after which no further attempt is begun; None: the deadline decides.
    """

    first_pause: float = 0.1
    longest_pause: float = 2.0
    growth: float = 2.0
    patience: float | None = None

    def backoff(self, attempt: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds to wait after failed attempt number `attempt`, from 1.

        Between half and all of the pause, so that callers who failed together do not come back together.
        """
        # The exponent is bounded because a float is: a watcher may try for days.
        whole = min(self.longest_pause, self.first_pause * self.growth ** min(attempt - 1, 30))
        return whole * (0.5 + 0.5 * chance())

    def pause(
        self,
        error: RowlockError,
        attempt: int,
        *,
        elapsed: float,
        remaining: float,
        chance: Callable[[], float] = random.random,
    ) -> float | None:
        """Seconds to wait before the next attempt; None: there should be none.

        Args:
            error: how the attempt ended.
            attempt: its number, from 1.
            elapsed: seconds since the first attempt began.
            remaining: seconds until the deadline.
            chance: gives a number from 0 to 1.
        """
        if not may_retry(error):
            return None
        pause = self.backoff(attempt, chance)
        if error.retry_after is not None:
            pause = max(pause, error.retry_after * (1 + 0.25 * chance()))
        if pause >= remaining or (self.patience is not None and elapsed + pause > self.patience):
            return None
        return pause


def may_retry(error: RowlockError) -> bool:
    """Whether the same request may succeed without anybody changing anything."""
    if isinstance(error, Aborted):
        return error.reason == "CONTENDED"
    if isinstance(error, ResourceExhausted):
        return error.retry_after is not None
    return isinstance(error, Unavailable)
