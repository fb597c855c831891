"""The checkers of the seat feed's promises find what they are for: each fault is told by its own checker."""

from collections.abc import Callable

import pytest

from rowlock.v1.seat_feed_pb2 import SeatChanges, SeatSnapshot, WatchSeatsResponse
from rowlock.v1.stream_pb2 import Heartbeat, Reconnect
from tests.feed_checkers import Truth, faults, w9_bounded
from tests.feed_recording import Recording, Stream

PLACES = 4
TRUTH = Truth(
    changes={1: [(0, 2), (1, 2)], 2: [(2, 2)], 3: [(0, 1)], 4: [(3, 2)]}, revision=4, states=bytes([1, 2, 2, 2])
)


def snapshot(revision: int, *, reset: bool = False, states: bytes | None = None) -> WatchSeatsResponse:
    return WatchSeatsResponse(
        revision=revision, snapshot=SeatSnapshot(states=states or TRUTH.boards[revision], reset=reset)
    )


def changes(revision: int, *told: tuple[int, int], first: int = 0) -> WatchSeatsResponse:
    told = told or tuple(TRUTH.changed(range(first or revision, revision + 1)).items())
    message = WatchSeatsResponse(revision=revision, changes=SeatChanges(first_revision=first))
    for index, state in told:
        message.changes.changes.add(index=index, state=state)
    return message


def heartbeat(revision: int) -> WatchSeatsResponse:
    return WatchSeatsResponse(revision=revision, heartbeat=Heartbeat())


def goodbye(revision: int) -> WatchSeatsResponse:
    return WatchSeatsResponse(revision=revision, reconnect=Reconnect())


def heard(*streams: tuple[int, list[WatchSeatsResponse]]) -> Recording:
    """What an application was told over streams, each with the revision that it resumed from."""
    recording = Recording(performance_id=1)
    for resumed, messages in streams:
        recording.streams.append(Stream(resumed))
        for message in messages:
            recording.take(message)
    return recording


def promises_broken(recording: Recording) -> set[str]:
    return {fault.split()[0] for fault in faults(recording, TRUTH)}


@pytest.mark.parametrize(
    "recording",
    [
        heard((0, [snapshot(0), changes(1), changes(2), heartbeat(2), changes(3), changes(4), goodbye(4)])),
        heard((0, [snapshot(1), changes(4, first=2)])),
        heard((0, [snapshot(0), changes(1), goodbye(1)]), (1, [changes(3, first=2), changes(4)])),
        heard((0, [snapshot(1)]), (1, [snapshot(4, reset=True), heartbeat(4)])),
        heard((0, [snapshot(4)]), (4, [heartbeat(4)])),
    ],
    ids=["one stream", "told together", "resumed", "resumed with a snapshot", "resumed with nothing missed"],
)
def test_an_honest_feed_has_no_faults(recording: Recording) -> None:
    assert faults(recording, TRUTH) == []


@pytest.mark.parametrize(
    ("promise", "make"),
    [
        ("W1", lambda: heard((0, [snapshot(2)]), (2, [snapshot(1, reset=True), changes(4, first=2)]))),
        ("W2", lambda: heard((0, [snapshot(1), changes(2), changes(2), changes(4, first=3)]))),
        ("W2", lambda: heard((0, [snapshot(1), changes(2, (2, 1), (2, 2)), changes(4, first=3)]))),
        ("W3", lambda: heard((0, [snapshot(1), changes(2), changes(4)]))),
        ("W3", lambda: heard((0, [snapshot(1)]), (1, [changes(4, first=3)]))),
        ("W4", lambda: heard((0, [snapshot(0), changes(1, (0, 2)), changes(4, first=2)]))),
        ("W4", lambda: heard((0, [snapshot(1), changes(4, (3, 2), first=2)]))),
        ("W5", lambda: heard((0, [snapshot(2)]), (2, [snapshot(4)]))),
        ("W5", lambda: heard((0, [snapshot(2), snapshot(4)]))),
        ("W5", lambda: heard((0, [snapshot(4, reset=True)]))),
        ("W5", lambda: heard((0, [heartbeat(0), snapshot(4, reset=True)]))),
        ("W5", lambda: heard((0, [snapshot(2)]), (2, [heartbeat(4), snapshot(4, reset=True)]))),
        ("W6", lambda: heard((0, [snapshot(2), heartbeat(3), changes(4, first=3)]))),
        ("W6", lambda: heard((0, [snapshot(2), goodbye(4)]), (2, [changes(4, first=3)]))),
        ("W7", lambda: heard((0, [snapshot(2), changes(3)]))),
        ("W7", lambda: heard((0, [snapshot(4, states=bytes(PLACES))]))),
        ("W7", lambda: heard((0, [snapshot(0, states=bytes(PLACES)), snapshot(4, reset=True)]))),
        ("W8", lambda: heard((0, [snapshot(4), changes(5, (0, 2))]))),
        ("W8", lambda: heard((0, [snapshot(4), heartbeat(5)]))),
    ],
)
def test_each_fault_is_told_by_the_checker_of_its_promise(promise: str, make: Callable[[], Recording]) -> None:
    assert promise in promises_broken(make())


def test_memory_past_the_bound_is_a_fault_and_up_to_it_none() -> None:
    assert list(w9_bounded(1_000, 21_001, 10, 2_000)) == ["W9 2000 bytes a stream"]
    assert list(w9_bounded(1_000, 21_000, 10, 2_000)) == []
