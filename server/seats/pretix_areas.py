"""Reads the areas of a pretix seating plan: shapes and labels that are drawn and never sold."""

import re
from typing import Any

from server.seats.seat_map_faults import MAX_TEXT, Node

Point = tuple[float, float]

MAX_POINTS = 200
MIN_POINTS = 3
DEFAULT_TEXT_SIZE = 16.0

_SHAPES = ("rectangle", "circle", "ellipse", "polygon", "text")
_LONG_HEX = re.compile(r"#([0-9a-fA-F]{6})(?:[0-9a-fA-F]{2})?", re.ASCII)
_SHORT_HEX = re.compile(r"#([0-9a-fA-F])([0-9a-fA-F])([0-9a-fA-F])", re.ASCII)
_COLOR_NAMES = {
    "black": "#000000",
    "blue": "#0000ff",
    "gray": "#808080",
    "green": "#008000",
    "grey": "#808080",
    "orange": "#ffa500",
    "pink": "#ffc0cb",
    "purple": "#800080",
    "red": "#ff0000",
    "white": "#ffffff",
    "yellow": "#ffff00",
}


def color(node: Node, key: str) -> str:
    """A colour as `#rrggbb`, or empty for one that is absent or that we do not draw (`rgb()`, `transparent`)."""
    value = (node.text(key, MAX_TEXT, required=False, blank=True) or "").lower()
    if match := _LONG_HEX.fullmatch(value):
        return f"#{match[1]}"
    if match := _SHORT_HEX.fullmatch(value):
        return "#" + "".join(digit * 2 for digit in match.groups())
    return _COLOR_NAMES.get(value, "")


def position(node: Node, *, required: bool) -> Point:
    """Read the `position` {x, y} of anything; (0, 0) where it is absent or wrong."""
    point = node.child("position", required=required)
    if point is None:
        return 0.0, 0.0
    return point.number("x") or 0.0, point.number("y") or 0.0


def read_area(area: Node, zone_at: Point) -> list[dict[str, Any]]:
    """The decorations that an area stands for: its shape, and its text where it has one.

    Args:
        area: the area of the plan.
        zone_at: where its zone stands; the area's own position is added.
    """
    own = position(area, required=True)
    at = (zone_at[0] + own[0], zone_at[1] + own[1])
    decorations = []
    if shape := _shape(area, at):
        decoration: dict[str, Any] = {"shape": shape}
        if fill := color(area, "color"):
            decoration["fill"] = fill
        if stroke := color(area, "border_color"):
            decoration["stroke"] = stroke
        decorations.append(decoration)
    if text := _text(area, at):
        decorations.append(text)
    return decorations


def _shape(area: Node, at: Point) -> dict[str, Any] | None:
    kind = area.text("shape", MAX_TEXT, required=False) or "rectangle"
    rotation = area.number("rotation", required=False) or 0.0
    if kind == "text":
        return None
    if kind == "polygon":
        return _polygon(area, at)
    if kind not in _SHAPES:
        area.fault("shape", f"must be one of {', '.join(_SHAPES)}")
        return None
    shape: dict[str, Any] = {"kind": kind, "x": at[0], "y": at[1]}
    if kind == "circle":
        circle = area.child("circle")
        radius = circle.number("radius", 0, above=True) if circle else None
        return shape | {"radius": radius} if radius else None
    width, height = _ellipse(area) if kind == "ellipse" else _rectangle(area)
    return shape | {"width": width, "height": height, "rotation": rotation % 360} if width and height else None


def _ellipse(area: Node) -> tuple[float | None, float | None]:
    ellipse = area.child("ellipse")
    radii = ellipse.child("radius") if ellipse else None
    if radii is None:
        return None, None
    x, y = radii.number("x", 0, above=True), radii.number("y", 0, above=True)
    return 2 * (x or 0), 2 * (y or 0)


def _rectangle(area: Node) -> tuple[float | None, float | None]:
    # The first version of the format had only rectangles, with width and height beside the position.
    box = area.child("rectangle") if "rectangle" in area or "width" not in area else area
    if box is None:
        return None, None
    return box.number("width", 0, above=True), box.number("height", 0, above=True)


def _polygon(area: Node, at: Point) -> dict[str, Any] | None:
    polygon = area.child("polygon")
    points = polygon.children("points", MAX_POINTS) if polygon else []
    corners = [(point.number("x"), point.number("y")) for point in points]
    if polygon and "points" in polygon and len(corners) < MIN_POINTS:
        polygon.fault("points", f"must have from {MIN_POINTS} to {MAX_POINTS} points")
        return None
    return {"kind": "polygon", "points": [[at[0] + (x or 0), at[1] + (y or 0)] for x, y in corners]}


def _text(area: Node, at: Point) -> dict[str, Any] | None:
    if isinstance(area.raw.get("text"), str):  # so in the first version of the format
        text, offset, size, ink = area.text("text", MAX_TEXT, blank=True), (0.0, 0.0), None, ""
    else:
        label = area.child("text", required=False)
        if label is None:
            return None
        text = label.text("text", MAX_TEXT, required=False, blank=True)
        offset, ink = position(label, required=False), color(label, "color")
        size = label.number("size", 0, 10_000, required=False, above=True)
    if not text:
        return None
    decoration: dict[str, Any] = {
        "shape": {"kind": "point", "x": at[0] + offset[0], "y": at[1] + offset[1]},
        "text": text,
        "text_size": size or DEFAULT_TEXT_SIZE,
    }
    return decoration | ({"text_color": ink} if ink else {})
