"""One timer for all watchers: buckets of whole ticks, looked at once a tick.

A timer per stream would cost a heap operation for every message sent. Here a watcher lies in the bucket of its next
visit; what it sends in the meantime moves nothing, and the visit finds out whether anything is due.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Wheel(Generic[T]):
    """Items by the tick in which they are due. An item is visited once for each time it was put in.

    Args:
        tick: seconds; nothing is due earlier than it was put in for, nor more than a tick late.
    """

    def __init__(self, tick: float) -> None:
        self.tick = tick
        self._buckets: dict[int, list[T]] = {}
        self._next: int | None = None

    def put(self, item: T, due: float) -> None:
        """Visit ``item`` at ``due``, in seconds of a clock that never goes back."""
        number = -int(-due // self.tick)  # rounded up
        if self._next is not None and number < self._next:
            number = self._next
        self._buckets.setdefault(number, []).append(item)

    def due(self, now: float) -> Iterator[T]:
        """Take out everything that is due by ``now``."""
        last = int(now // self.tick)
        self._next = last + 1
        for number in sorted(number for number in self._buckets if number <= last):
            yield from self._buckets.pop(number)
