"""What a ledger counts of itself, on the hottest path there is: plain additions, which ``server.metrics`` reads."""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Final

from server.buckets import Buckets

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

_CAUSES: Final = {
    "40001": "serialization",
    "40P01": "deadlock",
    "23514": "limit",
    "23505": "request_id",
    "55P03": "locked",
}
"""What PostgreSQL calls a race that was lost, and what operators call it. The list is closed: it becomes a label."""


class LedgerCounts:
    """The counts of one ledger. Belongs to its event loop.

    Attributes:
        wait: seconds from a command's arrival until its batch began.
        batch: seconds that batches took, repetitions included.
        size: commands in a batch.
        repeated: attempts of batches that had to be made again, by cause.
        contended: batches that were given up after too many attempts.
        taken_apart: batches whose commands were then carried out one by one.
        refused: commands that were refused because too many waited.
    """

    def __init__(self) -> None:
        self.wait = Buckets(SECONDS)
        self.batch = Buckets(SECONDS)
        self.size = Buckets(SIZES)
        self.repeated: Counter[str] = Counter()
        self.contended = 0
        self.taken_apart = 0
        self.refused = 0

    def begin(self, arrivals: Iterable[float]) -> float:
        """Count a batch that begins now, by when its commands arrived (``time.perf_counter``); returns now."""
        now = time.perf_counter()
        number, add = 0, self.wait.add
        for arrival in arrivals:
            number += 1
            add(now - arrival)
        self.size.add(number)
        return now

    def end(self, began: float) -> None:
        """Count a batch's end."""
        self.batch.add(time.perf_counter() - began)

    def repeat(self, cause: str) -> None:
        """Count an attempt that has to be made again; ``cause`` is one of ours, or a code of PostgreSQL."""
        self.repeated[_CAUSES.get(cause, cause if cause in OUR_CAUSES else "connection")] += 1


MORE_TO_LOCK: Final = "more_to_lock"
RULES_CHANGED: Final = "rules_changed"
BOARD_OUTDATED: Final = "board_outdated"
OUR_CAUSES: Final = frozenset({MORE_TO_LOCK, RULES_CHANGED, BOARD_OUTDATED})
