"""Imports the open pretix seating plan format: `read` turns a plan into Rowlock's own seat map document.

How a plan is understood: a category is a price zone, a zone is a section (zones of one name are one section),
`seat_guid` is the seat's id, positions add up (zone + row + seat), and areas are only drawn. The format does
not mark aisles, so a row is cut where two seats stand clearly further apart than its seats usually do.
Unknown keys are ignored, as other programs add their own to such files.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from math import dist
from statistics import median
from typing import Any

from server.seats.hall import DEFAULT_COLOR, FORMAT, VERSION
from server.seats.pretix_areas import Point, color, position, read_area
from server.seats.row_layout import MAX_ROW_SEATS
from server.seats.seat_map_faults import Faults, Node, decode, quote, root
from server.seats.seat_map_file import (
    MAX_DECORATIONS,
    MAX_NAME,
    MAX_PLACES,
    MAX_ROWS,
    MAX_SECTIONS,
    MAX_ZONES,
)
from server.seats.seat_map_rows import MAX_ID, MAX_LABEL

# Neighbours stand one spacing apart; from here on it is an aisle.
AISLE_SPACINGS = 1.6
# A row with fewer distances says too little about its own spacing: the whole plan's is used.
ENOUGH_DISTANCES = 3
# Space around the outermost seats where a plan gives no size, or one that they overstep.
MARGIN = 30.0

_STAGE = re.compile(r"\b(stage|screen|bühne|leinwand|scène|écran)\b", re.IGNORECASE)


def read(data: bytes) -> dict[str, Any]:
    """Import a pretix seating plan.

    Args:
        data: the file's bytes, UTF-8 JSON.

    Returns:
        The document, as `Hall.from_document` takes it.

    Raises:
        SeatMapFileError: with every fault of the file.
    """
    faults = Faults()
    return convert(decode(data, faults), faults)


def convert(document: object, faults: Faults) -> dict[str, Any]:
    """Import a decoded plan; `faults` holds what decoding already found.

    Raises:
        SeatMapFileError: with every fault of the file.
    """
    top = root(document, faults)
    plan = _Plan(top, faults)
    plan.read()
    faults.raise_if_any()
    return plan.document()


class _Plan:
    """One pass over a plan; keeps what must be unique, or is bounded, over the whole of it."""

    def __init__(self, top: Node, faults: Faults) -> None:
        self._top = top
        self._faults = faults
        self._name = ""
        self._size = (0.0, 0.0)
        self._zones: dict[str, str] = {}
        self._sections: dict[str, list[dict[str, Any]]] = {}
        self._decorations: list[dict[str, Any]] = []
        self._path_of_id: dict[str, str] = {}
        self._seats: list[dict[str, Any]] = []

    def read(self) -> None:
        top = self._top
        self._name = top.text("name", MAX_NAME) or ""
        if size := top.child("size", required=False):
            self._size = (size.number("width", 0) or 0.0, size.number("height", 0) or 0.0)
        for category in top.children("categories", MAX_ZONES):
            name = category.text("name", MAX_LABEL)
            if name in self._zones:
                category.fault("name", f"{quote(name)} is given twice")
            if name is not None:
                self._zones[name] = color(category, "color") or DEFAULT_COLOR
        for number, zone in enumerate(top.children("zones", MAX_SECTIONS), 1):
            self._zone(zone, number)
        if not self._seats:
            top.fault("zones", "the plan has no seats")
        if len(self._seats) > MAX_PLACES:
            top.fault("zones", f"the plan has {len(self._seats)} seats; at most {MAX_PLACES} are allowed")
        if len(self._decorations) > MAX_DECORATIONS:
            top.fault("zones", f"the plan has more than {MAX_DECORATIONS} shapes and texts")

    def _zone(self, zone: Node, number: int) -> None:
        name = zone.text("name", MAX_LABEL, required=False, blank=True) or f"Zone {number}"
        at = position(zone, required=True)
        rows = zone.children("rows", MAX_ROWS)
        for row_number, row in enumerate(rows, 1):
            self._row(row, row_number, at, self._sections.setdefault(name, []))
        for area in zone.children("areas", MAX_DECORATIONS, required=False):
            self._decorations += read_area(area, at)

    def _row(self, row: Node, number: int, zone_at: Point, section: list[dict[str, Any]]) -> None:
        own = position(row, required=False)
        at = (zone_at[0] + own[0], zone_at[1] + own[1])
        row_number = row.text("row_number", MAX_LABEL, blank=True) or str(number)
        # A label is what people read; "%s" in it stands for the row's number.
        label = row.text("row_label", MAX_LABEL, required=False, blank=True) or "%s"
        seats = [self._seat(seat, at) for seat in row.children("seats", MAX_ROW_SEATS)]
        if seats:
            section.append({"label": label.replace("%s", row_number)[:MAX_LABEL], "seats": seats})
            self._seats += seats

    def _seat(self, seat: Node, row_at: Point) -> dict[str, Any]:
        seat_id = seat.text("seat_guid", MAX_ID)
        if seat_id is not None:
            first = self._path_of_id.setdefault(seat_id, seat.path)
            if first is not seat.path:
                seat.fault("seat_guid", f"{quote(seat_id)} is already used at {first}")
        category = seat.text("category", MAX_LABEL)
        if category is not None and category not in self._zones:
            seat.fault("category", f"unknown category {quote(category)}")
        x, y = position(seat, required=True)
        return {
            "number": seat.text("seat_number", MAX_LABEL),
            "id": seat_id,
            "zone": category,
            "x": row_at[0] + x,
            "y": row_at[1] + y,
        }

    def document(self) -> dict[str, Any]:
        """The plan as Rowlock's own document. Call only when there are no faults."""
        self._mark_aisles()
        width, height = self._fit()
        document = {
            "format": FORMAT,
            "version": VERSION,
            "name": self._name,
            "size": {"width": width, "height": height},
            "zones": [{"name": name, "color": shade} for name, shade in self._zones.items()],
            "sections": [{"name": name, "rows": rows} for name, rows in self._sections.items() if rows],
            "decorations": self._decorations,
        }
        for decoration in self._decorations:
            if _STAGE.search(decoration.get("text", "")):
                shape = decoration["shape"]
                document["focus"] = {"x": shape["x"], "y": shape["y"]}
                break
        return document

    def _mark_aisles(self) -> None:
        rows = [row["seats"] for section in self._sections.values() for row in section]
        distances = [_distances(seats) for seats in rows]
        every = [distance for row in distances for distance in row if distance > 0]
        for seats, between in zip(rows, distances, strict=True):
            own = [distance for distance in between if distance > 0]
            usual = median(own if len(own) >= ENOUGH_DISTANCES else every) if every else 0.0
            for seat, distance in zip(seats[1:], between, strict=True):
                if distance > AISLE_SPACINGS * usual:
                    seat["gap_before"] = True

    def _fit(self) -> Point:
        """Move everything so that no seat stands outside, and return the size that holds all seats."""
        left, top = min(seat["x"] for seat in self._seats), min(seat["y"] for seat in self._seats)
        dx, dy = (MARGIN - left if left < 0 else 0.0), (MARGIN - top if top < 0 else 0.0)
        for placed in (*self._seats, *(decoration["shape"] for decoration in self._decorations)):
            if "points" in placed:
                placed["points"] = [[round(x + dx, 1), round(y + dy, 1)] for x, y in placed["points"]]
            else:
                placed["x"], placed["y"] = round(placed["x"] + dx, 1), round(placed["y"] + dy, 1)
        right, bottom = max(seat["x"] for seat in self._seats), max(seat["y"] for seat in self._seats)
        width, height = self._size[0] + dx, self._size[1] + dy
        return (
            width if width >= right else right + MARGIN,
            height if height >= bottom else bottom + MARGIN,
        )


def _distances(seats: Sequence[dict[str, Any]]) -> list[float]:
    return [dist((a["x"], a["y"]), (b["x"], b["y"])) for a, b in pairwise(seats)]
