"""A performance's seats as the feed tells them, and the check that the feed keeps its promises. No I/O.

The promises checked with each message: revisions never go down (W1); none is skipped or told twice (W2, W3); a
heartbeat's revision is one that was told before; a snapshot has one known state for each place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rowlock.v1.seat_feed_pb2 import SeatChanges, SeatSnapshot, WatchSeatsResponse
from rowlock.v1.seat_map_pb2 import (
    SEAT_STATE_AVAILABLE,
    SEAT_STATE_BLOCKED,
    SEAT_STATE_HELD,
    SEAT_STATE_SOLD,
)

AVAILABLE: Final = int(SEAT_STATE_AVAILABLE)
HELD: Final = int(SEAT_STATE_HELD)
SOLD: Final = int(SEAT_STATE_SOLD)
BLOCKED: Final = int(SEAT_STATE_BLOCKED)
_STATES: Final = bytes((AVAILABLE, HELD, SOLD, BLOCKED))


class FeedFault(Exception):
    """The feed broke a promise. The view is as it was before the message; begin again with a snapshot."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many places are in which state."""

    available: int
    held: int
    sold: int
    blocked: int

    @property
    def total(self) -> int:
        """All places."""
        return self.available + self.held + self.sold + self.blocked


@dataclass(frozen=True, slots=True)
class SeatChange:
    """A place's new state and the one before it; `before` is 0 where it was not known."""

    index: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class SeatUpdate:
    """What one message changed.

    Attributes:
        revision: the view's from now on.
        changes: the places whose state is another one now.
        snapshot: whether the message told all states.

    A message may tell several revisions, and a snapshot any number: `changes` then sums them up.
    """

    revision: int
    changes: tuple[SeatChange, ...]
    snapshot: bool


class SeatMapView:
    """The state of every place by index, as of one revision."""

    def __init__(self) -> None:
        self._states = bytearray()
        self._tally = [0] * 5
        self._revision = 0
        self._known = False

    @property
    def revision(self) -> int:
        """Up to where everything is in the view."""
        return self._revision

    @property
    def resume_revision(self) -> int:
        """What to ask the feed for: what comes after the view, or 0 for a snapshot."""
        return self._revision if self._known else 0

    @property
    def states(self) -> bytes:
        """One byte a place: the number of its SeatState. Empty before the first snapshot."""
        return bytes(self._states)

    @property
    def counts(self) -> Counts:
        """How many places are in which state."""
        return Counts(*self._tally[AVAILABLE:])

    def distrust(self) -> None:
        """Take nothing but a snapshot next, of whatever revision; what is known stays readable until then."""
        self._known = False

    def apply(self, message: WatchSeatsResponse) -> SeatUpdate | None:
        """Take over one message.

        Returns:
            What changed; None for a heartbeat.

        Raises:
            FeedFault: the message breaks a promise.
        """
        kind = message.WhichOneof("event")
        if kind == "snapshot":
            return self._replace(message.revision, message.snapshot)
        if not self._known:
            raise FeedFault(f"{kind} of revision {message.revision} came before a snapshot")
        if kind == "changes":
            return self._change(message.revision, message.changes)
        if message.revision != self._revision:
            raise FeedFault(f"{kind} speaks of revision {message.revision}, {self._revision} is the last told")
        return None

    def _replace(self, revision: int, snapshot: SeatSnapshot) -> SeatUpdate:
        if snapshot.states.translate(None, _STATES):
            raise FeedFault(f"the snapshot of revision {revision} has unknown states")
        if self._known and revision < self._revision:
            raise FeedFault(f"the snapshot of revision {revision} came after revision {self._revision}")
        before, after = self._states, bytearray(snapshot.states)
        changes: tuple[SeatChange, ...] = ()
        if len(before) == len(after) and before != after:
            pairs = enumerate(zip(before, after, strict=True))
            changes = tuple(SeatChange(index, old, new) for index, (old, new) in pairs if old != new)
        self._states = after
        self._tally = [after.count(state) for state in range(5)]
        self._revision = revision
        self._known = True
        return SeatUpdate(revision, changes, snapshot=True)

    def _change(self, revision: int, told: SeatChanges) -> SeatUpdate:
        first = told.first_revision or revision
        if first != self._revision + 1 or revision < first:
            which = f"revision {revision}" if first == revision else f"revisions {first} to {revision}"
            raise FeedFault(f"{which} came after {self._revision}")
        places = len(self._states)
        for change in told.changes:
            if change.index >= places or change.state not in _STATES:
                raise FeedFault(f"revision {revision} sets place {change.index} of {places} to {change.state}")
        changes = []
        for change in told.changes:
            before, after = self._states[change.index], int(change.state)
            self._states[change.index] = after
            self._tally[before] -= 1
            self._tally[after] += 1
            changes.append(SeatChange(change.index, before, after))
        self._revision = revision
        return SeatUpdate(revision, tuple(changes), snapshot=False)
