"""Counts of places by price zone, kept up to date from the change log.

Reading 20,000 states costs some milliseconds. So the states of the last reading are kept, and the next one only
reads the changes since then, in the same snapshot of the database: the answer is as right as a full count.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Final, TypeAlias

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.db.models.inventory import Inventory, SeatChange
from server.seats.board import Board, read_board
from server.seats.frames import decode_changes
from server.seats.hall import Hall
from server.states import SeatState

Counts: TypeAlias = dict[str, dict[SeatState, int]]

_MOST_CHANGES: Final = 200
"""Further behind than so many revisions, a full count is cheaper."""


@dataclass(frozen=True, slots=True)
class _Counted:
    hall: Hall
    board: Board
    counts: Counter[tuple[int, int]]
    """By (number of the zone, number of the state)."""


class ZoneCounts:
    """The counts of the performances that were asked for last. Safe to use from several threads.

    Args:
        limit: of how many performances to keep the states; one byte a place.
    """

    def __init__(self, limit: int = 512) -> None:
        self._known: OrderedDict[int, _Counted] = OrderedDict()
        self._limit = limit
        self._lock = Lock()

    def get(self, session: Session, inventory: Inventory, hall: Hall) -> Counts:
        """Places of each zone by state, as of ``inventory.revision``, which ``session`` read in its one snapshot."""
        performance_id = inventory.performance_id
        with self._lock:
            known = self._known.get(performance_id)
        counted = None
        if known is not None and known.hall is hall:
            counted = _advanced(session, known, performance_id, inventory.revision)
        if counted is None:
            counted = _count(session, performance_id, hall)
        with self._lock:
            self._known[performance_id] = counted
            self._known.move_to_end(performance_id)
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        return {
            zone.name: {state: counted.counts[number, state] for state in SeatState}
            for number, zone in enumerate(hall.zones)
        }


def _count(session: Session, performance_id: int, hall: Hall) -> _Counted:
    board = read_board(session, performance_id)
    assert board is not None, "the snapshot has its inventory"  # noqa: S101
    return _Counted(hall, board, Counter(zip(hall.zone_of, board.states, strict=True)))


def _advanced(session: Session, known: _Counted, performance_id: int, revision: int) -> _Counted | None:
    """The counts some revisions later; None: the log does not lead there."""
    behind = revision - known.board.revision
    if behind == 0:
        return known
    if not 0 < behind <= _MOST_CHANGES:
        return None
    bodies = session.scalars(
        select(SeatChange.body)
        .where(SeatChange.performance_id == performance_id, SeatChange.revision > known.board.revision)
        .order_by(SeatChange.revision)
    ).all()
    if len(bodies) != behind:
        return None
    states, counts, zone_of = bytearray(known.board.states), known.counts.copy(), known.hall.zone_of
    for body in bodies:
        for place, state in decode_changes(body):
            counts[zone_of[place], states[place]] -= 1
            counts[zone_of[place], state] += 1
            states[place] = state
    return _Counted(known.hall, Board(revision, states), counts)
