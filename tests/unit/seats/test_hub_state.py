"""The pure part of the feed: frames in any order, twice or never, and what watchers are told."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rowlock.v1.seat_feed_pb2 import WatchSeatsResponse
from server.seats.board import Board
from server.seats.feed_state import FeedState, Heard
from server.seats.frames import decode_changes, encode_changes, from_payload, to_payload
from server.states import SeatState

PLACES = 6
RING = 4


def board(revision: int = 0, states: bytes = bytes([1] * PLACES)) -> Board:
    return Board(revision, bytearray(states))


def body(*changes: tuple[int, int]) -> bytes:
    return encode_changes(changes)


def test_the_next_frame_is_news_and_the_same_again_is_known() -> None:
    state = FeedState(board(), most_frames=RING)
    assert state.hear(1, body((2, SeatState.HELD))) is Heard.NEWS
    assert state.hear(1, body((2, SeatState.HELD))) is Heard.KNOWN
    assert (state.revision, bytes(state.states)) == (1, bytes([1, 1, 2, 1, 1, 1]))


def test_a_frame_before_a_gap_waits_until_the_gap_is_closed() -> None:
    state = FeedState(board(), most_frames=RING)
    assert state.hear(2, body((1, 3))) is Heard.EARLY
    assert (state.revision, state.has_gap) == (0, True)
    assert state.hear(1, body((1, 2))) is Heard.NEWS
    assert (state.revision, state.has_gap, state.states[1]) == (2, False, 3)


def test_another_frame_of_a_revision_that_was_applied_is_a_contradiction() -> None:
    state = FeedState(board(), most_frames=RING)
    state.hear(1, body((2, 2)))
    assert state.hear(1, body((3, 2))) is Heard.CONTRADICTION


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff\xff",
        body((PLACES, 1)),
        body((0, 9)),
        body((0, 0)),
        b"",
        b"\x08\x05" + body((0, 2)),
        encode_changes([(0, 2)], first_revision=1),
    ],
)
def test_a_frame_that_is_none_of_ours_changes_nothing(bad: bytes) -> None:
    state = FeedState(board(), most_frames=RING)
    with pytest.raises(ValueError, match=r".+"):
        state.hear(1, bad)
    assert (state.revision, bytes(state.states)) == (0, bytes([1] * PLACES))
    state.hear(1, body((0, 2)))
    assert state.after(0) == (1, b"\x08\x01" + body((0, 2)))


def test_a_bad_frame_that_waited_is_dropped_when_its_turn_comes() -> None:
    state = FeedState(board(), most_frames=RING)
    state.hear(2, b"\xff\xff")
    assert state.hear(1, body((0, 2))) is Heard.NEWS
    assert state.revision == 1
    assert state.hear(2, body((0, 3))) is Heard.NEWS


def test_frames_that_the_database_does_not_know_are_forgotten() -> None:
    state = FeedState(board(), most_frames=RING)
    state.hear(9, body((0, 2)))
    before = state.early
    state.hear(10, body((0, 3)))
    state.forget_unfounded(5, before)
    assert state.early == {10}


def told(state: FeedState, revision: int, one_by_one: int = 1) -> WatchSeatsResponse:
    """What a watcher at ``revision`` is told next."""
    up_to, message = state.after(revision, one_by_one) or (None, b"")
    read = WatchSeatsResponse.FromString(message)
    assert up_to == read.revision
    return read


def places(message: WatchSeatsResponse) -> dict[int, int]:
    assert len({change.index for change in message.changes.changes}) == len(message.changes.changes)
    return {change.index: int(change.state) for change in message.changes.changes}


def test_a_watcher_that_is_behind_is_told_all_it_missed_at_once_and_each_place_once() -> None:
    state = FeedState(board(), most_frames=RING)
    state.hear(1, body((0, 2), (1, 2)))
    state.hear(2, body((0, 3)))
    state.hear(3, body((4, 2), (1, 1)))

    joined = told(state, 0)
    assert (joined.changes.first_revision, joined.revision) == (1, 3)
    assert places(joined) == {0: 3, 1: 1, 4: 2}
    joined = told(state, 1)
    assert (joined.changes.first_revision, joined.revision) == (2, 3)
    assert places(joined) == {0: 3, 1: 1, 4: 2}


def test_the_next_revision_alone_is_told_with_the_bytes_that_are_stored() -> None:
    state = FeedState(board(), most_frames=RING)
    state.hear(1, body((0, 2)))
    stored = body((1, 2), (2, 2))
    state.hear(2, stored)
    assert state.after(1) == (2, b"\x08\x02" + stored)
    assert state.after(0, one_by_one=2) == (1, b"\x08\x01" + body((0, 2)))


def test_what_several_watchers_missed_is_encoded_once_a_revision() -> None:
    state = FeedState(board(), most_frames=RING)
    state.hear(1, body((0, 2)))
    state.hear(2, body((1, 2)))
    first, again = state.after(0), state.after(0)
    assert first is not None
    assert again is not None
    assert first[1] is again[1]
    state.hear(3, body((2, 2)))
    assert places(told(state, 0)) == {0: 2, 1: 2, 2: 2}


def test_a_watcher_before_the_ring_is_given_a_snapshot() -> None:
    state = FeedState(board(), most_frames=RING)
    for revision in range(1, 2 * RING + 1):
        state.hear(revision, body((revision % PLACES, 1 + revision % 2)))
    assert state.base == RING
    assert state.after(RING - 1) is None
    assert told(state, RING).changes.first_revision == RING + 1


def test_a_snapshot_takes_the_place_of_a_longer_message() -> None:
    hall = 2_400
    state = FeedState(board(0, bytes([1] * hall)), most_frames=1_000)
    for revision in range(1, hall // 6 + 1):
        state.hear(revision, body((revision, 2)))
    joined = state.after(0)
    assert joined is not None
    assert len(joined[1]) < 1.2 * len(state.snapshot(reset=True))
    state.hear(hall // 6 + 1, body((0, 2)))
    assert state.after(0) is None
    assert told(state, 1).revision == state.revision


def test_what_a_reset_skipped_is_not_joined() -> None:
    state = FeedState(board(), most_frames=RING)
    state.hear(1, body((0, 2)))
    state.reset(board(5, bytes([3] * PLACES)))
    state.hear(6, body((1, 1)))
    state.hear(7, body((2, 1)))
    assert state.after(0) is None
    assert state.after(4) is None
    assert places(told(state, 5)) == {1: 1, 2: 1}


def test_a_snapshot_is_encoded_once_a_revision() -> None:
    state = FeedState(board(), most_frames=RING)
    first = state.snapshot(reset=False)
    assert state.snapshot(reset=False) is first
    state.hear(1, body((0, 2)))
    message = WatchSeatsResponse.FromString(state.snapshot(reset=True))
    assert (message.revision, message.snapshot.reset, message.snapshot.states[0]) == (1, True, 2)


def test_history_reaches_back_as_far_as_the_log_has_no_gap() -> None:
    state = FeedState(board(10), most_frames=RING)
    state.prepend([(6, b"lost"), (8, body((0, 2))), (9, body((0, 3))), (10, body((0, 1)))])
    assert state.base == 7
    assert [told(state, revision, RING).revision for revision in (7, 8, 9)] == [8, 9, 10]
    assert state.after(6) is None


def test_history_is_joined_with_what_came_since() -> None:
    state = FeedState(board(10, bytes([1, 3, 1, 1, 2, 1])), most_frames=RING)
    state.hear(11, body((0, 2)))
    state.prepend([(8, body((0, 2), (4, 2))), (9, body((0, 3), (1, 3))), (10, body((0, 1)))])
    assert places(told(state, 7)) == {0: 2, 1: 3, 4: 2}
    assert places(told(state, 8)) == {0: 2, 1: 3}
    assert places(told(state, 9)) == {0: 2}


def test_history_that_cannot_be_read_ends_there() -> None:
    state = FeedState(board(10), most_frames=RING)
    state.prepend([(8, body((0, 2))), (9, b"\xff"), (10, body((0, 1)))])
    assert state.base == 9


def test_an_old_board_does_not_set_the_feed_back() -> None:
    state = FeedState(board(), most_frames=RING)
    state.hear(1, body((0, 2)))
    state.reset(board(1, bytes([4] * PLACES)))
    assert state.states[0] == 2


def test_a_published_frame_is_read_back() -> None:
    assert from_payload(to_payload(2**40, b"body")) == (2**40, b"body")
    with pytest.raises(ValueError, match="revision"):
        from_payload(b"12345678")


@given(st.lists(st.tuples(st.integers(0, 60_000), st.sampled_from(SeatState)), min_size=1))
def test_changes_are_read_back(changes: list[tuple[int, SeatState]]) -> None:
    assert decode_changes(encode_changes(changes)) == changes


class Watcher:
    """What an application would keep: the states, and the revision to resume from."""

    def __init__(self) -> None:
        self.revision = -1
        self.states = bytearray()

    def take(self, raw: bytes) -> None:
        message = WatchSeatsResponse.FromString(raw)
        if message.HasField("snapshot"):
            assert message.revision > self.revision
            self.states = bytearray(message.snapshot.states)
        else:
            first = message.changes.first_revision or message.revision
            assert first == self.revision + 1
            assert message.revision >= first
            for change in message.changes.changes:
                self.states[change.index] = change.state
        self.revision = message.revision

    def read(self, state: FeedState, one_by_one: int) -> None:
        """What ``server.seats.feed_watcher`` does in one turn."""
        if self.revision >= state.revision:
            return
        told = state.after(self.revision, one_by_one) if self.revision >= 0 else None
        before = self.revision
        self.take(state.snapshot(reset=True) if told is None else told[1])
        if told is not None:
            assert self.revision == told[0]
            assert told[0] in (before + 1, state.revision)


class Feed(RuleBasedStateMachine):
    """A database that commits, frames that come as they like, a log that is trimmed, and watchers that read or not."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[bytes] = []
        self.boards: list[bytes] = [bytes([1] * PLACES)]
        self.kept_from = 1
        self.watchers = [Watcher(), Watcher()]

    @initialize(begun=st.integers(0, 3))
    def open(self, begun: int) -> None:
        for n in range(begun):
            self.commit([(n, 2)])
        self.state = FeedState(board(begun, self.boards[begun]), most_frames=RING)

    @property
    def revision(self) -> int:
        return len(self.history)

    def rows(self, after: int) -> Sequence[tuple[int, bytes]]:
        return [(n, self.history[n - 1]) for n in range(max(after + 1, self.kept_from), self.revision + 1)]

    @rule(changes=st.lists(st.tuples(st.integers(0, PLACES - 1), st.integers(1, 4)), min_size=1, max_size=3))
    def commit(self, changes: list[tuple[int, int]]) -> None:
        states = bytearray(self.boards[-1])
        for place, number in changes:
            states[place] = number
        self.history.append(encode_changes(changes))
        self.boards.append(bytes(states))

    @precondition(lambda self: self.history)
    @rule(data=st.data())
    def hear_any(self, data: st.DataObject) -> None:
        revision = data.draw(st.integers(1, self.revision))
        assert self.state.hear(revision, self.history[revision - 1]) is not Heard.CONTRADICTION

    @rule(ahead=st.integers(1, 3))
    def hear_nonsense(self, ahead: int) -> None:
        """A frame that was never committed, after what is: the next comparison drops it."""
        claimed = max(self.revision, self.state.revision) + 1 + ahead
        self.state.hear(claimed, encode_changes([(0, 4)]))
        self.state.forget_unfounded(self.revision, self.state.early)

    @rule(data=st.data())
    def trim(self, data: st.DataObject) -> None:
        self.kept_from = data.draw(st.integers(self.kept_from, self.revision + 1))

    @rule()
    def compare(self) -> None:
        """What ``server.seats.hub`` does about once a second."""
        early = self.state.early
        rows = self.rows(self.state.revision)
        if len(rows) == self.revision - self.state.revision:
            assert self.state.hear_log(rows) is not Heard.CONTRADICTION
        else:
            self.state.reset(board(self.revision, self.boards[self.revision]))
        self.state.forget_unfounded(self.revision, early)
        assert self.state.revision == self.revision

    @rule()
    def read_history(self) -> None:
        self.state.prepend(self.rows(self.state.base - RING))

    @rule(which=st.integers(0, 1), one_by_one=st.integers(1, 2 * RING))
    def read(self, which: int, one_by_one: int) -> None:
        self.watchers[which].read(self.state, one_by_one)

    @rule(which=st.integers(0, 1), data=st.data())
    def resume(self, which: int, data: st.DataObject) -> None:
        """A client comes back with the states of any revision it may have had."""
        watcher = Watcher()
        watcher.revision = data.draw(st.integers(0, self.state.revision))
        watcher.states = bytearray(self.boards[watcher.revision])
        self.watchers[which] = watcher

    @invariant()
    def the_memory_is_the_database_at_its_revision(self) -> None:
        if hasattr(self, "state"):
            assert bytes(self.state.states) == self.boards[self.state.revision]

    @invariant()
    def every_watcher_has_the_database_at_its_revision(self) -> None:
        for watcher in self.watchers:
            if watcher.revision >= 0:
                assert bytes(watcher.states) == self.boards[watcher.revision]

    @invariant()
    def memory_is_bounded(self) -> None:
        if hasattr(self, "state"):
            assert self.state.revision - self.state.base <= 2 * RING
            assert len(self.state.early) <= RING

    def teardown(self) -> None:
        if not hasattr(self, "state"):
            return
        self.compare()
        for watcher in self.watchers:
            watcher.read(self.state, 1)
            assert bytes(watcher.states) == self.boards[-1]


Feed.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestFeed = Feed.TestCase
