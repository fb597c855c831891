"""Rowlock's own seat map format: strict, and every fault is named by its path. See docs/seat-maps.md.

`read` checks a file and returns the document that the database stores and `Hall.from_document` loads. What
it accepts is exactly what is documented: an unknown key is a fault, for it is nearly always a misspelling.
"""

import math
import re
from typing import Any

from server.seats.hall import FORMAT, VERSION, area_place_id, seat_id
from server.seats.row_layout import SeatSpec
from server.seats.seat_map_faults import (
    MAX_COORDINATE,
    Fault,
    Faults,
    Node,
    SeatMapFileError,
    decode,
    quote,
    root,
)
from server.seats.seat_map_rows import MAX_ID, MAX_LABEL, Drawing, check_row

__all__ = ["Fault", "SeatMapFileError", "check", "read"]

MAX_PLACES = 100_000
MAX_CAPACITY = 50_000
MAX_ZONES = 250
MAX_SECTIONS = 1_000
MAX_ROWS = 20_000
MAX_AREAS = 1_000
MAX_DECORATIONS = 2_000
MAX_POINTS = 200
MIN_POINTS = 3
MAX_NAME = 200

_COLOR = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)
_SHAPES = ("rectangle", "circle", "ellipse", "polygon")


def read(data: bytes) -> dict[str, Any]:
    """Check a seat map file.

    Args:
        data: the file's bytes, UTF-8 JSON.

    Returns:
        The document, as `Hall.from_document` takes it.

    Raises:
        SeatMapFileError: with every fault of the file.
    """
    faults = Faults()
    return check(decode(data, faults), faults)


def check(document: object, faults: Faults) -> dict[str, Any]:
    """Check a decoded file; `faults` holds what decoding already found.

    Raises:
        SeatMapFileError: with every fault of the file.
    """
    top = root(document, faults)
    _Checker(top, faults).run()
    faults.raise_if_any()
    return top.raw


class _Checker:
    """One pass over a file. Keeps what must be unique, or is bounded, over the whole map."""

    def __init__(self, top: Node, faults: Faults) -> None:
        self._top = top
        self._faults = faults
        self._places = 0
        self._path_of_id: dict[str, str] = {}
        self._seats: set[tuple[str, str, str]] = set()
        self._sections: set[str] = set()
        self._areas: set[str] = set()

    def run(self) -> None:
        top = self._top
        if top.text("format", MAX_LABEL) not in {FORMAT, None}:
            top.fault("format", f'must be "{FORMAT}"')
        if top.integer("version", 1, 1_000) not in {VERSION, None}:
            top.fault("version", f"must be {VERSION}: this server does not know a later one")
        top.text("name", MAX_NAME)
        drawing = self._drawing()
        if focus := top.child("focus", required=False):
            focus.number("x")
            focus.number("y")
            focus.refuse_unknown()
        for section in top.children("sections", MAX_SECTIONS):
            self._section(section, drawing)
        for decoration in top.children("decorations", MAX_DECORATIONS, required=False):
            _check_decoration(decoration)
        if self._places == 0:
            top.fault("sections", "the map has no places")
        top.refuse_unknown()

    def _drawing(self) -> Drawing:
        width = height = None
        if size := self._top.child("size"):
            width = size.number("width", 0, above=True)
            height = size.number("height", 0, above=True)
            size.refuse_unknown()
        zones: set[str] = set()
        for zone in self._top.children("zones", MAX_ZONES):
            _read_name(zone, zones)
            _check_color(zone, "color")
            zone.refuse_unknown()
        return Drawing(width or MAX_COORDINATE, height or MAX_COORDINATE, frozenset(zones))

    def _section(self, section: Node, drawing: Drawing) -> None:
        name = _read_name(section, self._sections)
        for row in section.children("rows", MAX_ROWS, required=False):
            # A short row is cheap to write and costly to expand, so a hopeless file is not expanded further.
            if self._places > MAX_PLACES or (self._faults.full and "numbers" in row):
                continue
            label = row.text("label", MAX_LABEL)
            seats = check_row(row, drawing)
            row.refuse_unknown()
            if self._count(len(seats), row.path) and name is not None and label is not None:
                for path, seat in seats:
                    self._register(path, name, label, seat)
        for area in section.children("areas", MAX_AREAS, required=False):
            self._area(area, drawing)
        section.refuse_unknown()

    def _area(self, area: Node, drawing: Drawing) -> None:
        name = _read_name(area, self._areas)
        drawing.zone(area, required=True)
        capacity = area.integer("capacity", 1, MAX_CAPACITY)
        if shape := area.child("shape"):
            _check_shape(shape, _SHAPES)
        area.refuse_unknown()
        if capacity is None or not self._count(capacity, area.path) or name is None:
            return
        for number in range(1, capacity + 1):
            place_id = area_place_id(name, number, capacity)
            first = self._path_of_id.setdefault(place_id, area.path)
            if first is not area.path:
                area.fault("name", f"its place id {quote(place_id)} is already used at {first}")
                return

    def _count(self, places: int, path: str) -> bool:
        """Count places; False beyond the limit, which is noted once: where it was passed."""
        within = self._places <= MAX_PLACES
        self._places += places
        if self._places <= MAX_PLACES:
            return True
        if within:
            self._faults.add(path, f"the map has more than {MAX_PLACES} places from here on")
        return False

    def _register(self, path: str, section: str, row: str, seat: SeatSpec) -> None:
        identity = (section, row, seat.number)
        if identity in self._seats:
            self._faults.add(path, f"seat {quote(seat.number)} of row {quote(row)} is given twice")
            return
        self._seats.add(identity)
        place_id = seat.id or seat_id(*identity)
        if len(place_id) > MAX_ID:
            self._faults.add(path, f"the id {quote(place_id)} has more than {MAX_ID} characters")
        if place_id in self._path_of_id:
            used = self._path_of_id[place_id]
            self._faults.add(path, f"the id {quote(place_id)} is already used at {used}")
        self._path_of_id[place_id] = path


def _read_name(node: Node, taken: set[str]) -> str | None:
    """Read a `name` that must be unique among its kind."""
    name = node.text("name", MAX_LABEL)
    if name is None:
        return None
    if name in taken:
        node.fault("name", f"{quote(name)} is given twice")
    taken.add(name)
    return name


def _check_color(node: Node, key: str) -> None:
    color = node.text(key, MAX_LABEL, required=False)
    if color is not None and not _COLOR.fullmatch(color):
        node.fault(key, "must be a colour such as #1f77b4")


def _check_decoration(decoration: Node) -> None:
    if shape := decoration.child("shape"):
        _check_shape(shape, (*_SHAPES, "point"))
    decoration.text("text", MAX_NAME, required=False)
    decoration.number("text_size", 0, 10_000, required=False, above=True)
    for key in ("fill", "stroke", "text_color"):
        _check_color(decoration, key)
    decoration.refuse_unknown()


def _check_shape(shape: Node, kinds: tuple[str, ...]) -> None:
    kind = shape.text("kind", MAX_LABEL)
    if kind not in kinds:
        if kind is not None:
            shape.fault("kind", f"must be one of {', '.join(kinds)}")
        return
    if kind == "polygon":
        _check_points(shape)
    else:
        shape.number("x")
        shape.number("y")
    if kind == "circle":
        shape.number("radius", 0, above=True)
    elif kind in {"rectangle", "ellipse"}:
        shape.number("width", 0, above=True)
        shape.number("height", 0, above=True)
        shape.number("rotation", -360, 360, required=False)
    shape.refuse_unknown()


def _check_points(shape: Node) -> None:
    points = shape.items("points", MAX_POINTS)
    if (points and len(points) < MIN_POINTS) or shape.raw.get("points") == []:
        shape.fault("points", f"must have at least {MIN_POINTS} points")
    for index, point in enumerate(points):
        if not isinstance(point, list) or len(point) != 2 or not all(map(_is_coordinate, point)):
            shape.fault("points", "must be two numbers, [x, y]", index)


def _is_coordinate(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # Non-finite numbers are faults of decoding already.
    return not math.isfinite(value) or abs(value) <= MAX_COORDINATE
