"""The seats of a row, written one by one or in the short notation: `numbers` plus a `line` or an `arc`.

In the short notation a row of 24 seats is one line of a seat map file instead of 24. This module is the only
place that knows what the notation means: which seat numbers it names, where the row is cut by aisles, and where
each seat stands. Units are those of the drawing (centimetres in the shipped examples); y grows downwards, angles
are degrees that grow clockwise on the drawing: 0 points right, 90 points down.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Far above any real row; it bounds what one short line of a file can expand to.
MAX_ROW_SEATS = 2_000

_RANGE = re.compile(r"([A-Za-z]{0,4})([0-9]{1,6})-\1([0-9]{1,6})(?:/([0-9]{1,3}))?", re.ASCII)
_SINGLE = re.compile(r"[0-9A-Za-z]{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SeatSpec:
    """One seat of a row of the file, expanded and not yet numbered."""

    number: str
    id: str | None
    zone: str
    x: float
    y: float
    accessible: bool
    gap_before: bool


def seat_numbers(notation: str) -> list[list[str]]:
    """Expand `"1-8|9-16|17-24"` into seat numbers, one list per block between aisles.

    Items of a block are separated by commas: a single number (`7`, `12A`), a range up or down (`1-24`,
    `24-1`, `A1-A9`) or a range with a step (`1-23/2`: the odd ones). `|` is an aisle.

    Raises:
        ValueError: with a message for the author of the file.
    """
    blocks: list[list[str]] = []
    count = 0
    for block in notation.split("|"):
        numbers: list[str] = []
        for item in block.split(","):
            numbers += _expand(item.strip())
            if count + len(numbers) > MAX_ROW_SEATS:
                raise ValueError(f"more than {MAX_ROW_SEATS} seats in one row")
        count += len(numbers)
        blocks.append(numbers)
    return blocks


def _expand(item: str) -> list[str]:
    match = _RANGE.fullmatch(item)
    if match is None:
        if _SINGLE.fullmatch(item) is None:
            raise ValueError(f'"{item[:40]}" is neither a seat number nor a range such as 1-24 or 1-23/2')
        return [item]
    prefix, first, last = match[1], int(match[2]), int(match[3])
    step = int(match[4] or 1)
    if step == 0:
        raise ValueError(f'"{item[:40]}" has a step of 0')
    if abs(last - first) // step >= MAX_ROW_SEATS:
        raise ValueError(f"more than {MAX_ROW_SEATS} seats in one row")
    numbers = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
    return [f"{prefix}{number}" for number in numbers]


def seat_positions(row: Mapping[str, Any], block_sizes: list[int]) -> list[tuple[float, float]]:
    """Where the seats of a row stand, in row order, rounded to a tenth of a unit.

    Args:
        row: a row with a `line` {x, y, spacing, angle?, aisle?}, which starts at (x, y), or an `arc`
            {x, y, radius, spacing, angle?, aisle?}, which is centred on `angle` of the circle around (x, y).
            The seats of an arc run against the clock, so that a row below its centre runs from left to
            right; a negative spacing turns it round. `aisle` widens the step at each cut of the row.
        block_sizes: the number of seats between aisles.
    """
    shape = row.get("line") or row["arc"]
    spacing, aisle = float(shape["spacing"]), float(shape.get("aisle", 0))
    aisle = math.copysign(aisle, spacing)
    along: list[float] = []
    at = 0.0
    for size in block_sizes:
        along += [at + spacing * position for position in range(size)]
        at += spacing * size + aisle
    x, y = float(shape["x"]), float(shape["y"])
    if "line" in row:
        angle = math.radians(shape.get("angle", 0))
        dx, dy = math.cos(angle), math.sin(angle)
        return [(round(x + dx * s, 1), round(y + dy * s, 1)) for s in along]
    radius = float(shape["radius"])
    middle = along[-1] / 2
    start = math.radians(shape.get("angle", 90)) + middle / radius
    angles = [start - s / radius for s in along]
    return [(round(x + radius * math.cos(a), 1), round(y + radius * math.sin(a), 1)) for a in angles]


def expand_row(row: Mapping[str, Any]) -> Sequence[SeatSpec]:
    """The seats of one row of a document, in order, whether written one by one or in the short notation."""
    default_zone = row.get("zone", "")
    if "seats" in row:
        return [
            SeatSpec(
                number=seat["number"],
                id=seat.get("id"),
                zone=seat.get("zone", default_zone),
                x=float(seat["x"]),
                y=float(seat["y"]),
                accessible=seat.get("accessible", False),
                gap_before=seat.get("gap_before", False),
            )
            for seat in row["seats"]
        ]
    blocks = seat_numbers(row["numbers"])
    positions = iter(seat_positions(row, [len(block) for block in blocks]))
    accessible = _named(row.get("accessible"))
    zone_of = {number: zone for zone, numbers in row.get("other_zones", {}).items() for number in _named(numbers)}
    return [
        SeatSpec(
            number=number,
            id=None,
            zone=zone_of.get(number, default_zone),
            x=x,
            y=y,
            accessible=number in accessible,
            gap_before=place == 0 and block_number > 0,
        )
        for block_number, block in enumerate(blocks)
        for place, number in enumerate(block)
        for x, y in [next(positions)]
    ]


def _named(notation: str | None) -> set[str]:
    return {number for block in seat_numbers(notation) for number in block} if notation else set()
