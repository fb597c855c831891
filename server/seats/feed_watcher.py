"""One watcher of seats: a place in the history of a performance, and what to say next.

A watcher has no queue. It stands at a revision, and is told what comes after it: the next revision, as the bytes that
all watchers of the performance share; all that it missed in one message if that is more than one revision; or all
states, if that is shorter. So a slow reader costs no memory, nobody waits for it, and who is behind is up to date with
the next message.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from server.seats import feed_metrics as metrics
from server.seats.feed_state import FeedState
from server.seats.frames import Farewell, heartbeat, reconnect

FROM_THE_START: Final = -1
"""Stands for a watcher that has been told nothing yet."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Where a watcher begins.

    Attributes:
        state: what the hub knows of the performance.
        revision: up to which it has been told everything, or ``FROM_THE_START``.
        reset: whether the snapshot with which it begins, if it does, leaves changes untold.
    """

    state: FeedState
    revision: int = FROM_THE_START
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """When a watcher is seen to; seconds of ``time.monotonic()``, but for the frames.

    Attributes:
        heartbeat: silence after which it is told that there is nothing new.
        token_check: how often its token is looked at.
        end: when it says goodbye.
        pending_frames: how many frames it may be behind and is still told each alone.
    """

    heartbeat: float
    token_check: float
    end: float
    pending_frames: int


class Watcher:
    """One stream.

    Args:
        join: called when the first message is asked for; may raise what the stream is to end with.
        leave: called at the end of every watcher that has joined.
        still_valid: whether its token still is.
        pace: see there.
    """

    __slots__ = (
        "_farewell",
        "_heartbeat_due",
        "_join",
        "_leave",
        "_pace",
        "_restart",
        "_sent_at",
        "_still_valid",
        "_wake",
    )

    def __init__(
        self,
        join: "Callable[[Watcher], Awaitable[Begin]]",
        leave: "Callable[[Watcher], None]",
        still_valid: Callable[[], bool],
        pace: Pace,
    ) -> None:
        self._join = join
        self._leave = leave
        self._still_valid = still_valid
        self._pace = pace
        self._farewell: Farewell | None = None
        self._restart = False
        self._heartbeat_due = False
        self._sent_at = time.monotonic()
        self._wake: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether it has been told to end."""
        return self._farewell is not None

    def wake(self) -> None:
        """Let it look for something to say."""
        wake = self._wake
        if wake is not None and not wake.done():
            wake.set_result(None)

    def end(self, farewell: Farewell, *, restart: bool = False) -> None:
        """Let it say goodbye, as soon as its reader has taken the message under way.

        Args:
            farewell: why.
            restart: whether what it was told no longer holds, so that it has to begin with a snapshot.
        """
        if self._farewell is None:
            self._farewell = farewell
            self._restart = restart
            metrics.FAREWELLS.labels(farewell.name).inc()
            self.wake()

    def visit(self, now: float) -> float:
        """See what time has brought; returns when to come again."""
        pace = self._pace
        silent_at = self._sent_at + pace.heartbeat
        if not self._still_valid():
            self.end(Farewell.TOKEN)
        elif now >= pace.end:
            self.end(Farewell.AGE)
        elif now >= silent_at:
            self._heartbeat_due = True
            self.wake()
            silent_at = now + pace.heartbeat
        return min(silent_at, now + pace.token_check, pace.end)

    async def messages(self) -> AsyncIterator[bytes]:
        """Join, then everything that it has to say, message by message, until it is to end."""
        begin = await self._join(self)
        state, revision = begin.state, begin.revision
        # Only a snapshot that is asked for tells everything; one that takes the place of changes says so.
        reset = begin.reset or revision != FROM_THE_START
        # Who resumes hears at once, even if it missed nothing.
        self._heartbeat_due = revision != FROM_THE_START
        new_future = asyncio.get_running_loop().create_future
        try:
            while not self.ended:
                if revision < state.revision:
                    told = None if revision == FROM_THE_START else state.after(revision, self._pace.pending_frames)
                    if told is None:
                        _count_snapshot(revision, reset=reset)
                        told = state.revision, state.snapshot(reset=reset)
                    elif told[0] > revision + 1:
                        metrics.JOINED.inc()
                    revision, message = told
                    reset = True
                    yield message
                elif self._heartbeat_due:
                    yield heartbeat(revision)
                else:
                    self._wake = new_future()
                    await self._wake
                    self._wake = None
                    continue
                self._heartbeat_due = False
                self._sent_at = time.monotonic()
            yield reconnect(0 if self._restart else max(revision, 0), self._farewell or Farewell.AGE)
        finally:
            self._leave(self)


def _count_snapshot(revision: int, *, reset: bool) -> None:
    if revision != FROM_THE_START:
        metrics.SLOW_SNAPSHOTS.inc()
    elif reset:
        metrics.TOO_OLD_SNAPSHOTS.inc()
    else:
        metrics.FIRST_SNAPSHOTS.inc()
