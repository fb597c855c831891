"""What a hub knows of one performance's seats: pure, without I/O or time.

Frames come in any order, twice, or not at all. Only the next revision is ever applied; what comes too early waits
until the gap before it is closed, by the frame itself or from the change log. So the states in memory are those of
the database at ``revision``, always, and the frames kept are every one after ``base``.

When the gap cannot be closed, because the log no longer has it, a board read from the database replaces everything
(``reset``); a watcher that stands before ``base`` then needs a snapshot.

Which revision changed a place last is kept beside its state. So what a watcher has missed, however many revisions it
is behind, is found by going from the place that changed last back to where the watcher stands; no frame is read again.
"""

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from itertools import islice, takewhile
from typing import Final

from server.seats.board import Board
from server.seats.frames import decode_changes, encode_changes, frame, heartbeat, snapshot_body
from server.states import SeatState

_LAST_STATE: Final = max(SeatState)

_BYTES_OF_CHANGE: Final = 6
"""What a place costs in a message of changes, about; in a snapshot it costs one."""

_SMALL: Final = 1_000
"""A message of so many bytes is as good as one of fewer: it fits into a packet."""

_MOST_JOINED: Final = 32
"""So many joined messages are kept; watchers that are behind are mostly behind by the same."""


class Heard(Enum):
    """What a frame turned out to be."""

    KNOWN = auto()
    """Applied before; nothing changes."""
    NEWS = auto()
    """Applied now, and with it perhaps frames that waited for it."""
    EARLY = auto()
    """There is a gap before it; it waits."""
    CONTRADICTION = auto()
    """Another frame of the same revision was applied before: the database has gone back in time."""


class FeedState:
    """The seats of one performance, and their recent frames.

    Args:
        board: states and revision as read from the database.
        most_frames: how many recent frames to keep at least; up to twice as many are kept.

    Attributes:
        revision: up to which all changes are applied.
        base: every frame after this revision, up to ``revision``, is kept, and what it changed is known.
    """

    __slots__ = (
        "_changed",
        "_early",
        "_frames",
        "_joined",
        "_most_changes",
        "_most_frames",
        "_snapshots",
        "base",
        "revision",
        "states",
    )

    def __init__(self, board: Board, *, most_frames: int) -> None:
        self.revision = self.base = board.revision
        self.states = board.states
        self._most_frames = most_frames
        self._frames: list[bytes] = []
        self._early: dict[int, bytes] = {}
        # Every place that a frame after `base` changed, with the revision that did so last; the last of all at the end.
        self._changed: dict[int, int] = {}
        self._snapshots: dict[bool, bytes] = {}
        self._joined: dict[int, bytes | None] = {}
        self._most_changes = max(_SMALL, len(board.states)) // _BYTES_OF_CHANGE

    # --- hearing ------------------------------------------------------------------------------------------------

    @property
    def has_gap(self) -> bool:
        """Whether a frame waits for others before it."""
        return bool(self._early)

    @property
    def early(self) -> frozenset[int]:
        """The revisions that wait."""
        return frozenset(self._early)

    def hear(self, revision: int, body: bytes, changes: Iterable[tuple[int, int]] | None = None) -> Heard:
        """Take in one frame.

        Args:
            revision: its revision.
            body: the message without the revision.
            changes: what ``body`` says, where that is known already.

        Raises:
            ValueError: the body is no change of this hall's places.
        """
        if revision == self.revision + 1:
            self._apply(revision, body, changes)
            self._apply_early()
            return Heard.NEWS
        if revision > self.revision:
            if len(self._early) < self._most_frames:
                self._early[revision] = body
            return Heard.EARLY
        if revision > self.base and self._frames[revision - self.base - 1] != frame(revision, body):
            return Heard.CONTRADICTION
        return Heard.KNOWN

    def hear_log(self, rows: Iterable[tuple[int, bytes]]) -> Heard:
        """Take in rows of the change log, by ascending revision. Says NEWS if any of them was, or CONTRADICTION.

        Raises:
            ValueError: see ``hear``.
        """
        heard = Heard.KNOWN
        for revision, body in rows:
            one = self.hear(revision, body)
            if one is Heard.CONTRADICTION:
                return one
            if one is not Heard.KNOWN:
                heard = one
        return heard

    def forget_unfounded(self, revision: int, heard_before: Iterable[int]) -> None:
        """Drop waiting frames that the database does not know: they were never committed.

        Args:
            revision: of the database, read after ``heard_before`` was taken.
            heard_before: the revisions that waited then.
        """
        for early in heard_before:
            if early > revision:
                self._early.pop(early, None)

    def reset(self, board: Board) -> None:
        """Go on from a board that was just read, unless it is older than what is known by now."""
        if board.revision <= self.revision:
            return
        self.revision = self.base = board.revision
        self.states = board.states
        self._frames = []
        self._changed = {}
        self._forget_messages()
        self._early = {revision: body for revision, body in self._early.items() if revision > board.revision}
        self._apply_early()

    def prepend(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Keep older frames, too, as far as they reach ``base`` without a gap and there is room.

        Args:
            rows: of the change log, by ascending revision.
        """
        older: list[bytes] = []
        changed: list[tuple[int, int]] = []
        base = self.base
        for revision, body in reversed(rows):
            if revision > base:
                continue
            if revision != base or len(older) + len(self._frames) >= self._most_frames:
                break
            try:
                changed += [(index, revision) for index, _ in self._read(body)]
            except ValueError:
                break  # as good as trimmed
            older.append(frame(revision, body))
            base -= 1
        self._frames[:0] = reversed(older)
        # From the newest back: whatever changed a place last comes first, and stays.
        newest_first = dict(reversed(self._changed.items()))
        for index, revision in changed:
            newest_first.setdefault(index, revision)
        self._changed = dict(reversed(newest_first.items()))
        self.base = base

    # --- telling ------------------------------------------------------------------------------------------------

    def after(self, revision: int, one_by_one: int = 1) -> tuple[int, bytes] | None:
        """The next message for a watcher, and the revision up to which it then was told everything.

        None where a snapshot has to do: there is no telling what it missed any more, or that is the longer message.

        Args:
            revision: up to which it has been told everything; less than the newest.
            one_by_one: who is no more revisions behind is told the next one alone, others all at once.
        """
        if revision < self.base:
            return None
        if self.revision - revision <= one_by_one:
            return revision + 1, self._frames[revision - self.base]
        joined = self._join(revision)
        return None if joined is None else (self.revision, joined)

    def snapshot(self, *, reset: bool) -> bytes:
        """The message with all states; encoded once a revision."""
        known = self._snapshots.get(reset)
        if known is None:
            known = self._snapshots[reset] = frame(self.revision, snapshot_body(bytes(self.states), reset=reset))
        return known

    def heartbeat(self) -> bytes:
        """The message that says that there is nothing more than ``revision``."""
        return heartbeat(self.revision)

    # ------------------------------------------------------------------------------------------------------------

    def _join(self, revision: int) -> bytes | None:
        """All that came after ``revision`` in one message, encoded once for all watchers that stand there."""
        if revision in self._joined:
            return self._joined[revision]
        newest_first = reversed(self._changed.items())
        missed = list(islice(takewhile(lambda one: one[1] > revision, newest_first), self._most_changes + 1))
        joined = None
        if len(missed) <= self._most_changes:
            changes = ((index, self.states[index]) for index, _ in missed)
            joined = frame(self.revision, encode_changes(changes, revision + 1))
        if len(self._joined) < _MOST_JOINED:
            self._joined[revision] = joined
        return joined

    def _forget_messages(self) -> None:
        if self._snapshots:
            self._snapshots.clear()
        if self._joined:
            self._joined.clear()

    def _read(self, body: bytes) -> Sequence[tuple[int, int]]:
        changes = decode_changes(body)
        places = len(self.states)
        if any(index >= places or not 0 < state <= _LAST_STATE for index, state in changes):
            raise ValueError("a change of a place or to a state that there is not")
        return changes

    def _apply(self, revision: int, body: bytes, changes: Iterable[tuple[int, int]] | None) -> None:
        if changes is None:
            changes = self._read(body)
        changed = self._changed
        for index, state in changes:
            self.states[index] = state
            changed.pop(index, None)
            changed[index] = revision
        self.revision = revision
        self._frames.append(frame(revision, body))
        if len(self._frames) >= 2 * self._most_frames:
            dropped = len(self._frames) - self._most_frames
            del self._frames[:dropped]
            self.base += dropped
            self._changed = {index: at for index, at in changed.items() if at > self.base}
        self._forget_messages()

    def _apply_early(self) -> None:
        while self._early and (body := self._early.pop(self.revision + 1, None)) is not None:
            try:
                self._apply(self.revision + 1, body, None)
            except ValueError:
                return  # the log has the true one
        if self._early:
            self._early = {revision: body for revision, body in self._early.items() if revision > self.revision}
