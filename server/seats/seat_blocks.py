"""What best available looks at: the runs of a hall, the cost of its seats, and how good a block of them is."""

from collections.abc import Iterable
from itertools import accumulate
from math import hypot
from typing import NamedTuple

from server.seats.hall import Hall, PlaceKind

# Added for each accessible seat: more than any distance of any party adds up to.
_ACCESSIBLE_PENALTY = 10**15
_MASKS_KEPT = 256


class Rank(NamedTuple):
    """How good a block is; the least is the best."""

    stranded: int
    cost: int


class Run(NamedTuple):
    """Seats from `start` to `stop` (not included) without an aisle; `least` is the cost of its best seat."""

    least: int
    start: int
    stop: int
    row: int
    section: str


class Layout:
    """What can be worked out once for a hall."""

    def __init__(self, hall: Hall) -> None:
        x0, y0 = hall.focus
        distance = [round(10 * hypot(place.x - x0, place.y - y0)) for place in hall.places]
        accessible = [place.accessible for place in hall.places]
        self._hall = hall
        self.ordinary = bytes(not flag for flag in accessible)
        self.distance_before = _running_sum(distance)
        self.cost_before = _running_sum(
            cost + _ACCESSIBLE_PENALTY * flag for cost, flag in zip(distance, accessible, strict=True)
        )
        self.runs = sorted(
            Run(min(distance[run.start : run.stop]), run.start, run.stop, number, row.section)
            for number, row in enumerate(hall.rows)
            for run in row.runs
        )
        self._masks: dict[tuple[frozenset[str] | None, str | None, bool | None], int] = {}

    def mask(self, zones: frozenset[str] | None, section: str | None, accessible: bool | None) -> int:
        """A number whose bytes (little-endian) are 1 for each seat that is allowed; None allows all."""
        key = (zones, section, accessible)
        known = self._masks.get(key)
        if known is not None:
            return known
        allowed = bytes(
            place.kind is PlaceKind.SEAT
            and (zones is None or place.zone in zones)
            and (section is None or place.section == section)
            and (accessible is None or place.accessible == accessible)
            for place in self._hall.places
        )
        if len(self._masks) >= _MASKS_KEPT:  # callers choose the keys, so their number is bounded
            self._masks.clear()
        mask = self._masks[key] = int.from_bytes(allowed, "little")
        return mask


class Blocks:
    """One hall with the states of one moment: answers how good a block of seats is.

    `free[index]` is 1 for every available place; `eligible[index]` only where the party may sit.
    """

    __slots__ = ("_cost_before", "_ordinary", "eligible", "free")

    def __init__(self, layout: Layout, free: bytes, eligible: bytes, *, accessible: bool) -> None:
        self.free = free
        self.eligible = eligible
        self._ordinary = layout.ordinary
        self._cost_before = layout.distance_before if accessible else layout.cost_before

    def best_block(self, run: Run, start: int, stop: int, length: int) -> tuple[Rank, int]:
        """The best `length` neighbours within the eligible seats `start` to `stop` of a run: rank, first index."""
        return min((self.rank(run, first, first + length), first) for first in range(start, stop - length + 1))

    def rank(self, run: Run, first: int, end: int) -> Rank:
        """How good it is to take the seats `first` to `end` (not included) of a run."""
        stranded = self._strands(first - 1, first - 2, run) + self._strands(end, end + 1, run)
        return Rank(stranded, self._cost_before[end] - self._cost_before[first])

    def _strands(self, beside: int, beyond: int, run: Run) -> bool:
        """True if the seat beside a block is left with nobody to sit next to."""
        if not run.start <= beside < run.stop or not self.free[beside] or not self._ordinary[beside]:
            return False
        return not (run.start <= beyond < run.stop and self.free[beyond])


def _running_sum(values: Iterable[int]) -> list[int]:
    return list(accumulate(values, initial=0))
