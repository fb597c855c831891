"""The states of a performance's places in memory: where best available and general admission look first.

A board is a hint. What it offers is locked and checked like any other claim; and "nothing left" is only said
when the board's revision is the database's.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

_DIGITS: Final = bytes.maketrans(b"01234", bytes(range(5)))


@dataclass(slots=True)
class Board:
    """One byte a place: the number of its ``SeatState``, as of ``revision``."""

    revision: int
    states: bytearray


def read_board(session: Session, performance_id: int) -> Board | None:
    """Read all states and the revision in one statement, so that they belong together.

    A state is one digit, so that PostgreSQL can hand over 20,000 of them as one text of 20 kB.
    """
    row = session.execute(
        text(
            "SELECT i.revision, (SELECT string_agg(s.state::text, '' ORDER BY s.place)"
            " FROM seats s WHERE s.performance_id = i.performance_id)"
            " FROM inventories i WHERE i.performance_id = :id"
        ),
        {"id": performance_id},
    ).one_or_none()
    if row is None:
        return None
    return Board(row[0], bytearray((row[1] or "").encode().translate(_DIGITS)))


class Boards:
    """The boards that this process keeps, the least used dropped first. Safe to use from several threads."""

    def __init__(self, limit: int = 256) -> None:
        self._boards: OrderedDict[int, Board] = OrderedDict()
        self._limit = limit
        self._lock = Lock()

    def get(self, performance_id: int) -> Board | None:
        """The board, if it is kept."""
        with self._lock:
            board = self._boards.get(performance_id)
            if board is not None:
                self._boards.move_to_end(performance_id)
            return board

    def put(self, performance_id: int, board: Board) -> None:
        """Keep a board that was just read."""
        with self._lock:
            self._boards[performance_id] = board
            self._boards.move_to_end(performance_id)
            if len(self._boards) > self._limit:
                self._boards.popitem(last=False)

    def drop(self, performance_id: int) -> None:
        """Forget a board that may be wrong."""
        with self._lock:
            self._boards.pop(performance_id, None)

    def advance(self, performance_id: int, revision: int, changes: Sequence[tuple[int, int]]) -> None:
        """Take over the changes of one committed batch; never raises, because they are committed.

        A board that missed a batch before it keeps its old revision; one of another hall, which has no such places, is
        forgotten.
        """
        with self._lock:
            board = self._boards.get(performance_id)
            if board is None or revision <= board.revision:
                return
            if any(place >= len(board.states) for place, _ in changes):
                del self._boards[performance_id]
                return
            for place, state in changes:
                board.states[place] = state
            if revision == board.revision + 1:
                board.revision = revision
