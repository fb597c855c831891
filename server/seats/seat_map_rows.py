"""Checks one row of Rowlock's own seat map format, in both notations, and expands it into seats."""

from dataclasses import dataclass

from server.seats.row_layout import MAX_ROW_SEATS, SeatSpec, expand_row, seat_numbers
from server.seats.seat_map_faults import MAX_TEXT, Node, quote

MAX_LABEL = 64
MAX_ID = 128
MAX_OTHER_ZONES = 64


@dataclass(frozen=True, slots=True)
class Drawing:
    """What rows and areas are checked against: the size of the map, and its price zones."""

    width: float
    height: float
    zones: frozenset[str]

    def zone(self, node: Node, *, required: bool) -> str | None:
        """Read the `zone` of a row, a seat or an area."""
        zone = node.text("zone", MAX_LABEL, required=required)
        if zone is not None and zone not in self.zones:
            node.fault("zone", f"unknown zone {quote(zone)}")
        return zone

    def position(self, node: Node) -> tuple[float, float]:
        """Read `x` and `y`, which must lie within the size of the map."""
        x, y = node.number("x", 0, self.width), node.number("y", 0, self.height)
        return x or 0.0, y or 0.0


def check_row(row: Node, drawing: Drawing) -> list[tuple[str, SeatSpec]]:
    """The seats of a row, each with the path to blame for it; those that cannot be told are left out."""
    drawing.zone(row, required=False)
    if ("seats" in row) == ("numbers" in row):
        row.fault("", 'must have either "seats" or "numbers"')
        row.skip("seats", "numbers", "line", "arc", "accessible", "other_zones")
        return []
    return _explicit_seats(row, drawing) if "seats" in row else _short_seats(row, drawing)


def _explicit_seats(row: Node, drawing: Drawing) -> list[tuple[str, SeatSpec]]:
    seats = []
    for node in row.children("seats", MAX_ROW_SEATS):
        number = node.text("number", MAX_LABEL)
        given_id = node.text("id", MAX_ID, required=False)
        drawing.zone(node, required="zone" not in row)
        x, y = drawing.position(node)
        accessible, gap_before = node.flag("accessible"), node.flag("gap_before")
        node.refuse_unknown()
        if number is not None:
            seats.append((node.path, SeatSpec(number, given_id, "", x, y, accessible, gap_before)))
    if row.raw["seats"] == []:
        row.fault("seats", "has no seats")
    return seats


def _short_seats(row: Node, drawing: Drawing) -> list[tuple[str, SeatSpec]]:
    numbers = _numbers(row, "numbers")
    accessible = _subset(row, "accessible", numbers) if "accessible" in row else []
    zones_usable = _other_zones(row, drawing, numbers)
    if not _layout(row) or numbers is None or accessible is None or not zones_usable:
        return []
    seats = expand_row(row.raw)
    if any(not (0 <= seat.x <= drawing.width and 0 <= seat.y <= drawing.height) for seat in seats):
        row.fault("line" if "line" in row else "arc", "puts seats outside the size of the map")
    return [(row.at("numbers"), seat) for seat in seats]


def _other_zones(row: Node, drawing: Drawing, numbers: list[str] | None) -> bool:
    """Check the seats that are not in the row's own zone; False when the row cannot be expanded."""
    usable = True
    zoned: set[str] = set()
    others = row.child("other_zones", required=False)
    if others is None:
        if "zone" not in row:
            row.fault("zone", "is missing")
        return "other_zones" not in row
    if len(others.raw) > MAX_OTHER_ZONES:
        row.fault("other_zones", f"has {len(others.raw)} entries; at most {MAX_OTHER_ZONES} are allowed")
        return False
    for zone in others.raw:
        if zone not in drawing.zones:
            others.fault(zone, f"unknown zone {quote(zone)}")
        part = _subset(others, zone, numbers)
        if part is None:
            usable = False
        elif twice := sorted(zoned.intersection(part)):
            others.fault(zone, f"seat {twice[0]} is in another zone already")
        zoned.update(part or ())
    if "zone" not in row and numbers is not None and not zoned.issuperset(numbers):
        row.fault("zone", "is missing")
    return usable


def _layout(row: Node) -> bool:
    """Check where the row stands; False when its seats cannot be placed."""
    if ("line" in row) == ("arc" in row):
        row.fault("", 'must have either "line" or "arc"')
        row.skip("line", "arc")
        return False
    kind = "line" if "line" in row else "arc"
    layout = row.child(kind)
    if layout is None:
        return False
    values = [layout.number("x"), layout.number("y"), layout.number("spacing", -10_000, 10_000)]
    if "angle" in layout:
        values.append(layout.number("angle", -360, 360))
    if "aisle" in layout:
        values.append(layout.number("aisle", 0, 100_000))
    if kind == "arc":
        values.append(layout.number("radius", 1))
    if values[2] == 0:
        layout.fault("spacing", "must not be 0")
    layout.refuse_unknown()
    return None not in values and values[2] != 0


def _numbers(node: Node, key: str) -> list[str] | None:
    """The seat numbers that a short notation names, or None after noting why it names none."""
    notation = node.text(key, MAX_TEXT)
    if notation is None:
        return None
    try:
        return [number for block in seat_numbers(notation) for number in block]
    except ValueError as error:
        node.fault(key, str(error))
        return None


def _subset(node: Node, key: str, numbers: list[str] | None) -> list[str] | None:
    """As `_numbers`, and each must be a seat of the row (if that is known)."""
    part = _numbers(node, key)
    if part is not None and numbers is not None and (strangers := sorted(set(part) - set(numbers))):
        node.fault(key, f"seat {strangers[0]} is not in this row")
    return part
