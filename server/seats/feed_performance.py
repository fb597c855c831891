"""One performance in the hub: what is known of its seats, and who watches them."""

import asyncio
import time
from typing import Final

from server.seats import feed_metrics as metrics
from server.seats.feed_state import FeedState
from server.seats.feed_watcher import Watcher

_WOKEN_TOGETHER: Final = 256
"""So many watchers are woken in one turn of the event loop; others get their turn in between."""

_MOST_UNREAD: Final = 1_000


class Feed:
    """A performance that is watched, or was until a moment ago.

    Args:
        performance_id: which.

    Attributes:
        public: whether customers may see it.
        watchers: all who have joined.
        opening: reads the board; None: that is done, and ``state`` can be used.
        history: reads older frames, or has done so; None: nobody needed them yet.
        doubtful: whether it must be compared with the database even though no gap is known.
        revision_in_database: as of the last comparison.
    """

    def __init__(self, performance_id: int) -> None:
        self.performance_id = performance_id
        self.public = False
        self.watchers: set[Watcher] = set()
        self.opening: asyncio.Task[None] | None = None
        self.history: asyncio.Task[None] | None = None
        self.doubtful = False
        self.revision_in_database = 0
        self.idle_since = time.monotonic()
        self._state: FeedState | None = None
        self._unread: list[tuple[int, bytes]] = []
        self._to_wake: list[Watcher] = []
        self._waking = False
        self._arrived_at: float | None = None

    @property
    def state(self) -> FeedState:
        """What is known of the seats; not before it was opened."""
        assert self._state is not None, "opened first"  # noqa: S101
        return self._state

    @property
    def needs_comparison(self) -> bool:
        """Whether there is reason to think that the database has more."""
        return self.doubtful or self.state.has_gap

    def idle_for(self, now: float) -> float:
        """Seconds without a watcher."""
        return 0.0 if self.watchers or self.opening is not None else now - self.idle_since

    def keep_unread(self, revision: int, body: bytes) -> None:
        """Keep a frame that came before the board was read."""
        if len(self._unread) < _MOST_UNREAD:
            self._unread.append((revision, body))

    def open(self, state: FeedState) -> list[tuple[int, bytes]]:
        """Go on with a state that was read; returns the frames that came before."""
        self._state = state
        self.opening = None
        self.idle_since = time.monotonic()
        unread, self._unread = self._unread, []
        return unread

    def wake(self) -> None:
        """Let every watcher look for news. Any number of frames in one turn of the event loop wake it once."""
        if self._arrived_at is None:
            self._arrived_at = time.perf_counter()
        if not self._waking and self.watchers:
            self._waking = True
            asyncio.get_running_loop().call_soon(self._begin_wave)

    def _begin_wave(self) -> None:
        self._to_wake.extend(self.watchers)
        self._wake_some(self._arrived_at)
        self._arrived_at = None

    def _wake_some(self, arrived_at: float | None) -> None:
        part = self._to_wake[-_WOKEN_TOGETHER:]
        del self._to_wake[-_WOKEN_TOGETHER:]
        for watcher in part:
            watcher.wake()
        loop = asyncio.get_running_loop()
        if self._to_wake:
            loop.call_soon(self._wake_some, arrived_at)
        else:
            # Behind the watchers that were just woken: by then each has begun to write.
            loop.call_soon(self._end_wave, arrived_at)

    def _end_wave(self, arrived_at: float | None) -> None:
        if arrived_at is not None:
            metrics.FAN_OUT.observe(time.perf_counter() - arrived_at)
        self._waking = False
        if self._arrived_at is not None:
            self.wake()
