import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowlock.v1.seat_feed_pb2 import SeatChange, SeatChanges, SeatSnapshot, WatchSeatsResponse
from rowlock.v1.stream_pb2 import Heartbeat
from rowlock_client.seat_view import AVAILABLE, BLOCKED, HELD, SOLD, Counts, FeedFault, SeatMapView
from rowlock_client.seat_view import SeatChange as Change
from server.seats.frames import encode_changes, frame, snapshot_body


def snapshot(revision: int, *states: int) -> WatchSeatsResponse:
    return WatchSeatsResponse(revision=revision, snapshot=SeatSnapshot(states=bytes(states)))


def changes(revision: int, *pairs: tuple[int, int], first: int = 0) -> WatchSeatsResponse:
    told = [SeatChange(index=index, state=state) for index, state in pairs]  # type: ignore[arg-type]  # also bad ones
    return WatchSeatsResponse(revision=revision, changes=SeatChanges(changes=told, first_revision=first))


def heartbeat(revision: int) -> WatchSeatsResponse:
    return WatchSeatsResponse(revision=revision, heartbeat=Heartbeat())


@pytest.fixture
def view() -> SeatMapView:
    view = SeatMapView()
    view.apply(snapshot(7, AVAILABLE, HELD, SOLD, BLOCKED, AVAILABLE))
    return view


def test_a_snapshot_tells_everything(view: SeatMapView) -> None:
    assert view.revision == view.resume_revision == 7
    assert view.states == bytes((1, 2, 3, 4, 1))
    assert view.counts == Counts(available=2, held=1, sold=1, blocked=1)
    assert view.counts.total == 5


def test_changes_are_applied_and_told_as_before_and_after(view: SeatMapView) -> None:
    update = view.apply(changes(8, (0, HELD), (1, SOLD)))

    assert update is not None
    assert update.changes == (Change(0, AVAILABLE, HELD), Change(1, HELD, SOLD))
    assert not update.snapshot
    assert view.revision == 8
    assert view.states == bytes((2, 3, 3, 4, 1))
    assert view.counts == Counts(available=1, held=1, sold=2, blocked=1)


@pytest.mark.parametrize(("first", "revision"), [(8, 8), (8, 12)])
def test_a_message_may_tell_several_revisions(view: SeatMapView, first: int, revision: int) -> None:
    update = view.apply(changes(revision, (0, SOLD), first=first))

    assert update is not None
    assert update.changes == (Change(0, AVAILABLE, SOLD),)
    assert not update.snapshot
    assert view.revision == view.resume_revision == revision


def test_a_later_snapshot_is_told_as_its_differences(view: SeatMapView) -> None:
    update = view.apply(snapshot(20, AVAILABLE, AVAILABLE, SOLD, BLOCKED, HELD))

    assert update is not None
    assert update.snapshot
    assert update.changes == (Change(1, HELD, AVAILABLE), Change(4, AVAILABLE, HELD))


def test_a_snapshot_of_another_hall_is_told_without_differences(view: SeatMapView) -> None:
    update = view.apply(snapshot(8, AVAILABLE))

    assert update is not None
    assert update.changes == ()
    assert view.counts.total == 1


def test_a_heartbeat_changes_nothing(view: SeatMapView) -> None:
    assert view.apply(heartbeat(7)) is None
    assert view.revision == 7


@pytest.mark.parametrize(
    ("message", "what"),
    [
        (changes(9, (0, HELD)), "revision 9 came after 7"),
        (changes(7, (0, HELD)), "revision 7 came after 7"),
        (changes(3, (0, HELD)), "revision 3 came after 7"),
        (changes(12, (0, HELD), first=9), "revisions 9 to 12 came after 7"),
        (changes(12, (0, HELD), first=7), "revisions 7 to 12 came after 7"),
        (changes(12, (0, HELD), first=1), "revisions 1 to 12 came after 7"),
        (changes(7, (0, HELD), first=8), "revisions 8 to 7 came after 7"),
        (changes(8, (0, HELD), first=-1), "revisions -1 to 8 came after 7"),
        (changes(8, (1, SOLD), (5, HELD)), "place 5 of 5"),
        (changes(8, (1, SOLD), (0, 0)), "place 0 of 5 to 0"),
        (heartbeat(8), "heartbeat speaks of revision 8"),
        (heartbeat(6), "heartbeat speaks of revision 6"),
        (snapshot(6, AVAILABLE), "revision 6 came after revision 7"),
        (snapshot(8, AVAILABLE, 9), "unknown states"),
    ],
)
def test_a_broken_promise_is_a_fault_and_leaves_the_view_as_it_was(
    view: SeatMapView, message: WatchSeatsResponse, what: str
) -> None:
    before = (view.revision, view.states, view.counts)

    with pytest.raises(FeedFault, match=what):
        view.apply(message)

    assert (view.revision, view.states, view.counts) == before


def test_nothing_is_believed_before_a_snapshot() -> None:
    with pytest.raises(FeedFault, match="before a snapshot"):
        SeatMapView().apply(changes(1, (0, HELD)))


def test_a_view_that_is_distrusted_asks_for_a_snapshot_and_takes_any(view: SeatMapView) -> None:
    view.distrust()

    assert view.resume_revision == 0
    with pytest.raises(FeedFault):
        view.apply(changes(8, (0, HELD)))
    assert view.apply(snapshot(2, AVAILABLE, AVAILABLE)) is not None
    assert view.revision == 2


STATES = st.sampled_from((AVAILABLE, HELD, SOLD, BLOCKED))


@given(
    st.lists(STATES, min_size=1, max_size=30).flatmap(
        lambda first: st.tuples(
            st.just(first),
            st.lists(st.dictionaries(st.integers(0, len(first) - 1), STATES, min_size=1), max_size=20),
        )
    )
)
def test_what_the_server_encodes_the_view_follows(script: tuple[list[int], list[dict[int, int]]]) -> None:
    states, batches = script
    view = SeatMapView()
    view.apply(WatchSeatsResponse.FromString(frame(0, snapshot_body(bytes(states), reset=False))))

    for revision, batch in enumerate(batches, 1):
        for index, state in batch.items():
            states[index] = state
        view.apply(WatchSeatsResponse.FromString(frame(revision, encode_changes(batch.items()))))
        assert view.states == bytes(states)
        assert view.counts == Counts(*(states.count(state) for state in (AVAILABLE, HELD, SOLD, BLOCKED)))
        assert view.revision == revision
