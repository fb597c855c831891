"""A hall in numbers: its sections, and its price zones with what they cost. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from google.type.money_pb2 import Money
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from rowlock.v1.ticket_type_pb2 import TicketType
from rowlock_client.cli.hall_picture import GLYPHS, STYLES
from rowlock_client.cli.output import money
from rowlock_client.seat_view import AVAILABLE, BLOCKED, HELD, SOLD

_ORDER: Final = (SOLD, HELD, BLOCKED, AVAILABLE)
_BAR: Final = 16
_GAP: Final = 3


@dataclass(frozen=True, slots=True)
class Group:
    """Places that belong together.

    Attributes:
        name: of the section or zone.
        note: what else there is to say, such as the price.
        indexes: of its places.
    """

    name: str
    note: str
    indexes: Sequence[int]


def groups(names: Sequence[str], notes: Mapping[str, str] | None = None) -> list[Group]:
    """The places by their names, in the order of each one's first place.

    Args:
        names: of each place, by index.
        notes: by name.
    """
    found: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        found.setdefault(name, []).append(index)
    return [Group(name, (notes or {}).get(name, ""), indexes) for name, indexes in found.items()]


def prices(types: Iterable[TicketType], zones: Sequence[str]) -> dict[str, str]:
    """What a place of each zone costs: `25.00 EUR`, or `15.00–25.00 EUR` where ticket types differ."""
    found: dict[str, list[Money]] = {zone: [] for zone in zones}
    for one in types:
        for zone in one.zones or zones:
            if zone in found:
                found[zone].append(one.price)
    return {zone: _range(several) for zone, several in found.items() if several}


def table(found: Sequence[Group], states: Sequence[int], columns: int, lines: int, first: int = 0) -> list[Text]:
    """The groups with how many of their places are in which state, in as many columns as have room.

    Args:
        found: the groups.
        states: of each place, by index.
        columns: the room across.
        lines: the room down.
        first: so many groups are left out at the beginning, because the reader has scrolled.
    """
    if not found or lines < 1:
        return []
    name, note = max(cell_len(one.name) for one in found), max(cell_len(one.note) for one in found)
    number = max(len(f"{len(one.indexes):,}") for one in found)
    bar = max(4, min(_BAR, columns - name - note - 2 * number - 9))
    cells = [_cell(one, states, (name, note, number, bar)) for one in found[first:]]
    width = max(cell.cell_len for cell in cells) if cells else 1
    across = max(1, (columns + _GAP) // (width + _GAP))
    down = min(lines, -(-len(cells) // across))
    drawn = []
    for line in range(down):
        text = Text()
        # Down one column first, as people read lists.
        for column in range(across):
            position = column * down + line
            if position < len(cells):
                text.append(cells[position]).append(" " * (width - cells[position].cell_len + _GAP))
        text.rstrip()
        drawn.append(text)
    if across * down < len(cells):
        drawn[-1] = Text(f"… {len(cells) - across * (down - 1)} more: ↓", style="dim")
    return drawn


def _cell(group: Group, states: Sequence[int], widths: tuple[int, int, int, int]) -> Text:
    name, note, number, bar = widths
    tally = Counter(states[index] for index in group.indexes if index < len(states))
    text = Text(set_cell_size(group.name, name), style="bold")
    if note:
        text.append(f"  {group.note:>{note}}", style="not bold")
    text.append("  ").append(_bar(tally, len(group.indexes), bar))
    text.append(f" {tally[AVAILABLE]:>{number},}", STYLES[AVAILABLE])
    return text.append(f" of {len(group.indexes):>{number},}", style="not bold")


def _bar(tally: Mapping[int, int], total: int, width: int) -> Text:
    """A line of glyphs in proportion; what there is at all has at least one."""
    shares = {state: max(1, tally.get(state, 0) * width // total) if tally.get(state) else 0 for state in _ORDER}
    largest = max(shares, key=lambda state: shares[state])
    shares[largest] += width - sum(shares.values())
    text = Text()
    for state in _ORDER:
        text.append(GLYPHS[state] * shares[state], STYLES[state])
    return text


def _range(several: Sequence[Money]) -> str:
    ordered = sorted(several, key=lambda one: (one.units, one.nanos))
    low, high = money(ordered[0]), money(ordered[-1])
    return low if low == high else f"{low.rpartition(' ')[0] or low}–{high}"
