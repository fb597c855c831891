"""Chooses the best free places for a party: pure functions of a hall, the states of its places and a want.

What "best" means, most important first:

1. Accessible places are left for those who need them, unless nothing else is left (or they are asked for).
2. The party sits together: neighbours in one row, with no aisle between them.
3. No single seat is left stranded: free, while both its neighbours are taken, or an aisle, or the row's end.
4. Near to the hall's focus: the block whose seats' distances to it add up to the least.

A party that nowhere fits together is split (`server.seats.split_party`). The answer is all or nothing, and a
suggestion only: the ledger decides, and a caller whose places were taken meanwhile chooses again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from server.seats.hall import Area, Hall, PlaceKind
from server.seats.seat_blocks import Blocks, Layout, Rank, Run
from server.seats.split_party import split
from server.states import SeatState

# Translates states into 1 for free and 0 for anything else.
_FREE = bytes(state == SeatState.AVAILABLE for state in range(256))
_ONE = b"\x01"


@dataclass(frozen=True, slots=True)
class Want:
    """What a party wants.

    Attributes:
        quantity: how many places, at least 1.
        zones: the price zones that may be used; None for all.
        section: the only section that may be used; None for all.
        kind: seats, or places of general-admission areas.
        accessible: the party needs accessible seats, and only such are chosen.
    """

    quantity: int
    zones: frozenset[str] | None = None
    section: str | None = None
    kind: PlaceKind = PlaceKind.SEAT
    accessible: bool = False

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise ValueError("quantity must be at least 1")


_layouts: WeakKeyDictionary[Hall, Layout] = WeakKeyDictionary()


def choose(hall: Hall, states: bytes | bytearray, want: Want) -> tuple[int, ...] | None:
    """Choose the best free places.

    Args:
        hall: the hall.
        states: one `SeatState` per place, in the order of the hall.
        want: what the party wants.

    Returns:
        `want.quantity` different indexes of available places, ascending, or None if so many are not left.
    """
    if want.kind is PlaceKind.GENERAL_ADMISSION:
        return choose_ga(hall, states, want.quantity, zones=want.zones, section=want.section)
    if len(states) != len(hall):
        raise ValueError(f"{len(states)} states for a hall of {len(hall)} places")
    layout = _layouts.get(hall)
    if layout is None:
        layout = _layouts[hall] = Layout(hall)
    free = states.translate(_FREE)
    free_number = int.from_bytes(free, "little")
    for accessible in (True,) if want.accessible else (False, None):
        eligible_number = free_number & layout.mask(want.zones, want.section, accessible)
        if eligible_number.bit_count() < want.quantity:
            continue
        eligible = eligible_number.to_bytes(len(free), "little")
        blocks = Blocks(layout, bytes(free), eligible, accessible=want.accessible)
        together = _together(blocks, layout.runs, want.quantity)
        return split(blocks, layout.runs, want.quantity) if together is None else together
    return None


def _together(blocks: Blocks, runs: Sequence[Run], quantity: int) -> tuple[int, ...] | None:
    """The best block of neighbours. `runs` come in the order of their best seat, so the search can end early."""
    block = _ONE * quantity
    best: tuple[Rank, int] | None = None
    for run in runs:
        if best is not None and best[0].stranded == 0 and quantity * run.least >= best[0].cost:
            break
        start = blocks.eligible.find(block, run.start, run.stop)
        while start >= 0:
            stop = blocks.eligible.find(0, start, run.stop)
            if stop < 0:
                stop = run.stop
            found = blocks.best_block(run, start, stop, quantity)
            best = found if best is None else min(best, found)
            start = blocks.eligible.find(block, stop, run.stop)
    return None if best is None else tuple(range(best[1], best[1] + quantity))


def choose_ga(
    hall: Hall,
    states: bytes | bytearray,
    quantity: int,
    *,
    zones: frozenset[str] | None = None,
    section: str | None = None,
    area: str | None = None,
    offset: int = 0,
) -> tuple[int, ...] | None:
    """Choose free places of general-admission areas: of one area if one has enough, else of several.

    Args:
        hall: the hall.
        states: one `SeatState` per place, in the order of the hall.
        quantity: how many places, at least 1.
        zones: the price zones that may be used; None for all.
        section: the only section that may be used; None for all.
        area: the only area that may be used; None for all.
        offset: where in each area to begin. The places are equal, so callers that begin at different ones
            do not collide; any integer will do.

    Returns:
        `quantity` different indexes of available places, ascending, or None if so many are not left.
    """
    if quantity < 1:
        raise ValueError("quantity must be at least 1")
    gathered: list[int] = []
    for candidate in hall.areas:
        if (
            (zones is None or candidate.zone in zones)
            and (section is None or candidate.section == section)
            and (area is None or candidate.id == area)
        ):
            found = _first_free(candidate, states, quantity, offset)
            if len(found) == quantity:
                return tuple(sorted(found))
            gathered += found
    return tuple(sorted(gathered[:quantity])) if len(gathered) >= quantity else None


def _first_free(area: Area, states: bytes | bytearray, quantity: int, offset: int) -> list[int]:
    """At most `quantity` free places of an area, from the offset on and round again."""
    middle = area.first + offset % area.capacity
    found: list[int] = []
    for start, stop in ((middle, area.last + 1), (area.first, middle)):
        at = states.find(SeatState.AVAILABLE, start, stop)
        while at >= 0 and len(found) < quantity:
            found.append(at)
            at = states.find(SeatState.AVAILABLE, at + 1, stop)
    return found
