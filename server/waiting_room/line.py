"""One line as a process keeps it in memory: the places of those who wait, in order. Pure.

Eight bytes for each who waits, whose position is found by bisection. Who is admitted leaves in front, who joins comes
last, so changes are cheap; somebody who leaves in the middle moves what is behind in one stroke of memory.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from server.states import QueueEntryState


@dataclass(frozen=True, slots=True)
class Move:
    """An entry that came into the line or went out of it: as it is now."""

    entry_id: UUID
    place: int
    state: QueueEntryState


@dataclass(slots=True)
class Line:
    """A line at a revision.

    Attributes:
        line_id: which one: places of another line mean nothing in this one.
        revision: of the room.
        places: of those who wait, ascending.
    """

    line_id: UUID
    revision: int
    places: array[int] = field(default_factory=lambda: array("q"))

    @classmethod
    def of_bytes(cls, line_id: UUID, revision: int, places: bytes) -> Line:
        """A line of ``places`` as PostgreSQL sends them: ascending, eight bytes each, most significant first."""
        found = array("q", places)
        if sys.byteorder == "little":
            found.byteswap()
        return cls(line_id, revision, found)

    def __len__(self) -> int:
        return len(self.places)

    def position(self, place: int) -> int:
        """How many stand before this place, plus one."""
        return bisect_left(self.places, place) + 1

    def position_of(self, place: int) -> int | None:
        """Where whoever has this place stands, from 1; None: nobody who waits has it."""
        index = bisect_left(self.places, place)
        return index + 1 if index < len(self.places) and self.places[index] == place else None

    def apply(self, revision: int, moves: Iterable[Move]) -> None:
        """Bring the line to ``revision``. An entry may be named that came and went since; each is named once."""
        for move in moves:
            index = bisect_left(self.places, move.place)
            if move.state is QueueEntryState.WAITING:
                self.places.insert(index, move.place)
            elif index < len(self.places) and self.places[index] == move.place:
                del self.places[index]
        self.revision = revision
