"""Seats a party that nowhere fits together: in as few groups as possible, in rows as near as possible.

What counts, most important first: few groups; one section; no single seat left stranded; few rows between
the groups; nobody of the party alone; near to the hall's focus. The search is bounded, as this runs while
buyers wait: it looks at the longest free stretches of neighbouring rows, not at every combination, so a
stranded seat is avoided where that is found, and not promised as it is for a party that sits together.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from server.seats.seat_blocks import Blocks, Run

# Stretches of one window of rows that are combined with each other; the longest are taken.
_CANDIDATES = 8
# Sections that are searched, best first, among those that need the fewest groups.
_SECTIONS = 8


class _Stretch(NamedTuple):
    """Eligible neighbours, as many as there are: `start` to `stop` (not included) of a run."""

    run: Run
    start: int
    stop: int
    cost: int

    @property
    def length(self) -> int:
        return self.stop - self.start


class _Seating(NamedTuple):
    """One way to seat the party; the least is the best."""

    stranded: int
    rows_between: int
    alone: int
    cost: int
    places: tuple[int, ...]


def split(blocks: Blocks, runs: Sequence[Run], quantity: int) -> tuple[int, ...] | None:
    """Seat a party in groups.

    Args:
        blocks: the states of the moment; it has no block of `quantity` eligible neighbours.
        runs: the hall's runs, in the order of their best seat.
        quantity: how many seats.

    Returns:
        The indexes of the seats, ascending, or None if fewer than `quantity` are eligible.
    """
    sections: dict[str, list[_Stretch]] = {}
    for run in runs:
        for stretch in _stretches(blocks, run):
            sections.setdefault(run.section, []).append(stretch)
    fewest = {name: _fewest_groups(stretches, quantity) for name, stretches in sections.items()}
    possible = [groups for groups in fewest.values() if groups]
    if not possible:
        return _anywhere([stretch for found in sections.values() for stretch in found], quantity)
    groups = min(possible)
    best: _Seating | None = None
    searched = [stretches for name, stretches in sections.items() if fewest[name] == groups][:_SECTIONS]
    for stretches in searched:
        found = _within_section(blocks, stretches, quantity, groups)
        best = found if best is None else min(best, found)
        if best.stranded == 0 and best.rows_between <= 1:
            break  # the sections come best first
    return best.places if best else None


def _stretches(blocks: Blocks, run: Run) -> Iterator[_Stretch]:
    start = blocks.eligible.find(1, run.start, run.stop)
    while start >= 0:
        stop = blocks.eligible.find(0, start, run.stop)
        if stop < 0:
            stop = run.stop
        yield _Stretch(run, start, stop, blocks.rank(run, start, stop).cost)
        start = blocks.eligible.find(1, stop, run.stop)


def _fewest_groups(stretches: Sequence[_Stretch], quantity: int) -> int:
    """How many stretches it takes at least; 0 if all together do not suffice."""
    seated = 0
    for groups, stretch in enumerate(sorted(stretches, key=_longest_first), 1):
        seated += stretch.length
        if seated >= quantity:
            return groups
    return 0


def _longest_first(stretch: _Stretch) -> tuple[int, int]:
    return -stretch.length, stretch.cost


def _within_section(blocks: Blocks, stretches: Sequence[_Stretch], quantity: int, groups: int) -> _Seating:
    """The best seating of one section, which has room: tries windows of ever more rows until one will do."""
    rows = sorted({stretch.run.row for stretch in stretches})
    best: _Seating | None = None
    span = 0
    while True:
        for first in rows:
            near = [stretch for stretch in stretches if first <= stretch.run.row <= first + span]
            near.sort(key=_longest_first)
            if len(near) < groups or sum(stretch.length for stretch in near[:groups]) < quantity:
                continue
            for chosen in combinations(near[: max(_CANDIDATES, groups)], groups):
                for seating in _seatings(blocks, chosen, quantity):
                    best = seating if best is None else min(best, seating)
        everything = span >= rows[-1] - rows[0]
        if best is not None and (best.stranded == 0 or everything):
            return best
        span = 2 * span + 1


def _seatings(blocks: Blocks, chosen: tuple[_Stretch, ...], quantity: int) -> Iterator[_Seating]:
    """The ways to use just these stretches: all are filled except one, which takes what remains."""
    spare = sum(stretch.length for stretch in chosen) - quantity
    if spare < 0:
        return
    numbers = [stretch.run.row for stretch in chosen]
    for partly in chosen if spare else chosen[:1]:
        if partly.length <= spare:
            continue
        stranded = cost = alone = 0
        places: list[int] = []
        for stretch in chosen:
            size = stretch.length - (spare if stretch is partly else 0)
            rank, first = blocks.best_block(stretch.run, stretch.start, stretch.stop, size)
            stranded += rank.stranded
            cost += rank.cost
            alone += size == 1
            places += range(first, first + size)
        yield _Seating(stranded, max(numbers) - min(numbers), alone, cost, tuple(sorted(places)))


def _anywhere(stretches: list[_Stretch], quantity: int) -> tuple[int, ...] | None:
    """The last resort, over all sections: the longest stretches, and of equal ones the best."""
    places: list[int] = []
    for stretch in sorted(stretches, key=_longest_first):
        places += range(stretch.start, min(stretch.stop, stretch.start + quantity - len(places)))
        if len(places) == quantity:
            return tuple(sorted(places))
    return None
