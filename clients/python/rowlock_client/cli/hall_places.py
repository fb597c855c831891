"""Where each place of a hall is drawn: seats where they stand, general admission spread over its area. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rowlock.v1.performance_pb2 import GetPerformanceSeatMapResponse
from rowlock.v1.seat_map_pb2 import Area, Seat

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Label:
    """A word in the drawing, by its middle."""

    text: str
    x: float
    y: float


def places_of(drawing: GetPerformanceSeatMapResponse) -> list[Point]:
    """The point of each place, by index."""
    points = [(seat.x, seat.y) for seat in drawing.seats]
    standing: dict[str, list[int]] = {}
    for seat in drawing.seats:
        if seat.kind == Seat.GENERAL_ADMISSION:
            standing.setdefault(seat.area, []).append(seat.index)
    areas = {area.id: area for area in drawing.areas if area.id}
    for name, indexes in standing.items():
        if name in areas:
            for index, point in zip(indexes, spread(areas[name], len(indexes)), strict=False):
                points[index] = point
    return points


def labels_of(drawing: GetPerformanceSeatMapResponse) -> list[Label]:
    """The words of the drawing: its texts, and the names of shapes without places, such as the stage."""
    found = []
    for area in drawing.areas:
        text = area.text.text if area.HasField("text") else area.label
        if text and not area.capacity:
            x, y = _middle(area)
            found.append(Label(text, x, y))
    return found


def rows_of(drawing: GetPerformanceSeatMapResponse) -> list[tuple[str, str]]:
    """The row of each place, by index; a place without one is a row of its own."""
    return [(seat.section, seat.row) if seat.row else ("", seat.id) for seat in drawing.seats]


def spread(area: Area, count: int) -> list[Point]:
    """`count` points inside an area, evenly, row by row. Fewer if the area has no extent."""
    outline = _outline(area)
    if outline is None or count == 0:
        return []
    left, top, right, bottom, inside = outline
    step = math.sqrt(max((right - left) * (bottom - top), 1e-9) / count)
    for _ in range(60):
        columns, rows = int((right - left) / step), int((bottom - top) / step)
        grid = [
            (left + (column + 0.5) * (right - left) / columns, top + (row + 0.5) * (bottom - top) / rows)
            for row in range(rows)
            for column in range(columns)
        ]
        kept = [point for point in grid if inside(*point)]
        if len(kept) >= count:
            chosen = [kept[number * len(kept) // count] for number in range(count)]
            return [_turned(area, *point) for point in chosen]
        step *= 0.95
    return []


def _outline(area: Area) -> tuple[float, float, float, float, Callable[[float, float], bool]] | None:
    """Left, top, right, bottom before turning, and what is inside; None: a shape without an inside."""
    x, y = area.x, area.y
    if area.HasField("rectangle"):
        return x, y, x + area.rectangle.width, y + area.rectangle.height, lambda *_: True
    if area.HasField("polygon"):
        corners = [(x + point.x, y + point.y) for point in area.polygon.points]
        across, down = [corner[0] for corner in corners], [corner[1] for corner in corners]
        return min(across), min(down), max(across), max(down), lambda px, py: _in_polygon(corners, px, py)
    if area.HasField("circle"):
        radii = (area.circle.radius, area.circle.radius)
    elif area.HasField("ellipse"):
        radii = (area.ellipse.radius_x, area.ellipse.radius_y)
    else:
        return None
    rx, ry = max(radii[0], 1e-9), max(radii[1], 1e-9)
    return x - rx, y - ry, x + rx, y + ry, lambda px, py: ((px - x) / rx) ** 2 + ((py - y) / ry) ** 2 <= 1


def _in_polygon(corners: Sequence[Point], x: float, y: float) -> bool:
    """Whether a ray from the point to the right crosses the outline an odd number of times."""
    inside = False
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            inside = not inside
    return inside


def _middle(area: Area) -> Point:
    outline = _outline(area)
    if outline is None:
        return area.x, area.y
    left, top, right, bottom, _ = outline
    return _turned(area, (left + right) / 2, (top + bottom) / 2)


def _turned(area: Area, x: float, y: float) -> Point:
    """A point of the area after its rotation around (area.x, area.y), clockwise where y grows downwards."""
    if not area.rotation:
        return x, y
    sine, cosine = math.sin(math.radians(area.rotation)), math.cos(math.radians(area.rotation))
    dx, dy = x - area.x, y - area.y
    return area.x + dx * cosine - dy * sine, area.y + dx * sine + dy * cosine
