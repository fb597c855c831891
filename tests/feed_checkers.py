"""Checkers of what the seat feed promises, W1 to W9, each over what applications were told (see feed_recording).

Each returns what is wrong, one line a fault; none: the promise was kept.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import text

from rowlock.v1.seat_feed_pb2 import WatchSeatsResponse
from server.db.engine import Database
from server.seats.board import read_board
from server.seats.frames import decode_changes
from tests.feed_recording import Recording


@dataclass(frozen=True)
class Truth:
    """What was committed: every change by its revision, and all states at the last."""

    changes: Mapping[int, Sequence[tuple[int, int]]]
    revision: int
    states: bytes

    @classmethod
    def read(cls, database: Database, performance_id: int, table: str = "seat_changes") -> "Truth":
        """Read it from the database.

        Args:
            database: where.
            performance_id: of what.
            table: where all changes are, if not in the log.
        """
        board = database.run_transaction(lambda session: read_board(session, performance_id))
        assert board is not None
        query = text(f"SELECT revision, body FROM {table} WHERE performance_id = :id")
        rows = database.run_transaction(lambda session: session.execute(query, {"id": performance_id}).all())
        changes = {revision: decode_changes(bytes(body)) for revision, body in rows}
        return cls(changes, board.revision, bytes(board.states))

    @cached_property
    def boards(self) -> Sequence[bytes]:
        """All states at each revision, worked out from the first board, on which everything was available."""
        states = bytearray([1] * len(self.states))
        boards = [bytes(states)]
        for revision in range(1, self.revision + 1):
            for place, state in self.changes[revision]:
                states[place] = state
            boards.append(bytes(states))
        return boards

    def changed(self, revisions: range) -> dict[int, int]:
        """The places that these revisions changed, with the last state of each."""
        return {place: state for revision in revisions for place, state in self.changes[revision]}


def told_by(message: WatchSeatsResponse) -> range:
    """The revisions that a message of changes claims to tell; empty for one that begins after its end."""
    return range(message.changes.first_revision or message.revision, message.revision + 1)


def w1_ordered(recording: Recording) -> Iterator[str]:
    """Revisions never go down, not even from one stream to the next."""
    last = 0
    for message in recording.messages:
        if message.revision < last:
            yield f"W1 {message.revision} after {last}"
        last = message.revision


def w2_unique(recording: Recording) -> Iterator[str]:
    """No change is told twice, and no place twice in a message."""
    told: set[int] = set()
    for message in recording.messages:
        if message.HasField("changes"):
            yield from (f"W2 {revision} was told twice" for revision in told_by(message) if revision in told)
            told.update(told_by(message))
            places = Counter(change.index for change in message.changes.changes)
            yield from (f"W2 {message.revision} names place {place} twice" for place, n in places.items() if n > 1)


def w3_reliable(recording: Recording) -> Iterator[str]:
    """No gap: a change follows the revision before it, unless a snapshot tells everything."""
    for stream in recording.streams:
        last = stream.resume_revision
        for message in stream.messages:
            if message.HasField("changes"):
                told = told_by(message)
                if not told or told[0] != last + 1:
                    yield f"W3 {told} after {last}"
            last = message.revision


def w4_atomic(recording: Recording, truth: Truth) -> Iterator[str]:
    """All that a revision changed comes in one message; one that tells several has the places of all of them."""
    for message in recording.messages:
        if message.HasField("changes") and all(revision in truth.changes for revision in told_by(message)):
            told = {change.index: int(change.state) for change in message.changes.changes}
            if told != truth.changed(told_by(message)):
                yield f"W4 {told_by(message)} was told as {told}"


def w5_resumable(recording: Recording) -> Iterator[str]:
    """A stream goes on where it is told to, or says that it does not by a snapshot with ``reset``."""
    for stream in recording.streams:
        if not stream.messages:
            continue
        first = stream.messages[0]
        if stream.resume_revision == 0:
            if not first.HasField("snapshot") or first.snapshot.reset:
                yield f"W5 a new stream began with {_kind(first)}"
        elif first.HasField("snapshot"):
            if not first.snapshot.reset:
                yield f"W5 {stream.resume_revision} was not resumed, and not marked"
        elif first.HasField("changes") and next(iter(told_by(first)), 0) != stream.resume_revision + 1:
            yield f"W5 resumed from {stream.resume_revision} with {told_by(first)}"
        elif first.HasField("heartbeat") and first.revision != stream.resume_revision:
            yield f"W5 resumed from {stream.resume_revision} with a heartbeat of {first.revision}"
        yield from (
            f"W5 a snapshot at {message.revision} within a stream is not marked"
            for message in stream.messages[1:]
            if message.HasField("snapshot") and not message.snapshot.reset
        )


def w6_bookmarkable(recording: Recording) -> Iterator[str]:
    """A heartbeat or a goodbye with revision r comes when everything up to r has been told."""
    for stream in recording.streams:
        last = stream.resume_revision
        for message in stream.messages:
            if _kind(message) in {"heartbeat", "reconnect"} and message.revision != last:
                yield f"W6 {_kind(message)} says {message.revision}, told was {last}"
            last = message.revision


def w7_convergent(recording: Recording, truth: Truth) -> Iterator[str]:
    """At rest the application's seat map is the database's; and at each revision on the way it was."""
    if recording.revision != truth.revision:
        yield f"W7 stays at revision {recording.revision} of {truth.revision}"
    elif bytes(recording.states) != truth.states:
        yield "W7 the states differ from the database's"
    states = bytearray()
    for message in recording.messages:
        if message.HasField("snapshot"):
            states = bytearray(message.snapshot.states)
        for change in message.changes.changes:
            states[change.index] = change.state
        if message.revision > truth.revision:
            return  # W8
        if _kind(message) in {"snapshot", "changes"} and bytes(states) != truth.boards[message.revision]:
            yield f"W7 wrong at revision {message.revision}"


def w8_committed(recording: Recording, truth: Truth) -> Iterator[str]:
    """Nothing is told that was not committed."""
    for message in recording.messages:
        if message.HasField("changes"):
            yield from (
                f"W8 {revision} was never committed" for revision in told_by(message) if revision not in truth.changes
            )
        if message.revision > truth.revision:
            yield f"W8 {message.revision} is beyond the database's {truth.revision}"


def w9_bounded(bytes_before: int, bytes_after: int, streams: int, most_per_stream: int) -> Iterator[str]:
    """However much a stream does not read, the memory that it takes stays within a bound."""
    grown = (bytes_after - bytes_before) / streams
    if grown > most_per_stream:
        yield f"W9 {grown:.0f} bytes a stream"


def faults(recording: Recording, truth: Truth) -> list[str]:
    """All that is wrong with a recording at rest, but for memory."""
    return [
        *w1_ordered(recording),
        *w2_unique(recording),
        *w3_reliable(recording),
        *w4_atomic(recording, truth),
        *w5_resumable(recording),
        *w6_bookmarkable(recording),
        *w7_convergent(recording, truth),
        *w8_committed(recording, truth),
    ]


def _kind(message: WatchSeatsResponse) -> str | None:
    return message.WhichOneof("event")
