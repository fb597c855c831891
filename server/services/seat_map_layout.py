"""Drawings on the wire: a hall as a message, and a message as the document that the seat map checks know.

The two shapes differ in one point: a rectangle or an ellipse turns around its anchor on the wire and around its
middle in a document.
"""

import math
from collections.abc import Iterator
from typing import Any

from rowlock.v1 import seat_map_pb2 as pb
from server.seats.drawing import Decoration, Shape
from server.seats.hall import Area, Hall, Place, PlaceKind

_MAX_LABEL = 100


def layout_message(hall: Hall) -> pb.SeatMapLayout:
    """The whole drawing; general-admission places are counted by their areas."""
    return pb.SeatMapLayout(
        width=hall.size[0],
        height=hall.size[1],
        zones=zone_messages(hall),
        areas=area_messages(hall),
        seats=seat_messages(hall, range(len(hall)), kinds=frozenset({PlaceKind.SEAT})),
        focus=pb.Area.Point(x=hall.focus[0], y=hall.focus[1]),
    )


def zone_messages(hall: Hall) -> list[pb.PriceZone]:
    """The price zones and how many places each has."""
    return [
        pb.PriceZone(zone=zone.name, color=zone.color, place_count=len(hall.places_by_zone[zone.name]))
        for zone in hall.zones
    ]


def area_messages(hall: Hall) -> list[pb.Area]:
    """General-admission areas, then everything that is only drawn."""
    colors = {zone.name: zone.color for zone in hall.zones}
    return [_admission(area, colors[area.zone]) for area in hall.areas] + [
        _decoration(item) for item in hall.decorations
    ]


def seat_messages(hall: Hall, indexes: range, kinds: frozenset[PlaceKind] = frozenset(PlaceKind)) -> Iterator[pb.Seat]:
    """Places in the order of their index."""
    aisles = _aisles(hall)
    for index in indexes:
        place = hall.places[index]
        if place.kind in kinds:
            yield seat_message(place, aisle_before=index in aisles)


def seat_message(place: Place, *, aisle_before: bool = False) -> pb.Seat:
    """One place."""
    return pb.Seat(
        index=place.index,
        id=place.id,
        section=place.section,
        row=place.row,
        number=place.number,
        zone=place.zone,
        x=place.x,
        y=place.y,
        kind=pb.Seat.Kind.ValueType(place.kind),
        accessible=place.accessible,
        area=place.area,
        aisle_before=aisle_before,
    )


def _aisles(hall: Hall) -> frozenset[int]:
    """Seats that are no neighbours of the one before them, though both are in a row of the same name."""
    starts = {run.start for row in hall.rows for run in row.runs[1:]}
    seen: set[tuple[str, str]] = set()
    for row in hall.rows:
        if (row.section, row.label) in seen:
            starts.add(row.seats.start)
        seen.add((row.section, row.label))
    return frozenset(starts)


def _admission(area: Area, color: str) -> pb.Area:
    message = pb.Area(
        id=area.id, label=area.id, section=area.section, zone=area.zone, capacity=area.capacity, color=color
    )
    _put_shape(message, area.shape)
    return message


def _decoration(item: Decoration) -> pb.Area:
    message = pb.Area(label=item.text[:_MAX_LABEL], color=item.fill, border_color=item.stroke)
    if item.shape.kind == "point":
        message.x, message.y = item.shape.x, item.shape.y
        message.text.CopyFrom(pb.Area.Label(text=item.text, size=item.text_size, color=item.text_color))
    else:
        _put_shape(message, item.shape)
    return message


def _put_shape(message: pb.Area, shape: Shape) -> None:
    message.x, message.y, message.rotation = shape.x, shape.y, shape.rotation
    match shape.kind:
        case "rectangle":
            message.rectangle.CopyFrom(pb.Area.Rectangle(width=shape.width, height=shape.height))
            dx, dy = _turned(-shape.width / 2, -shape.height / 2, shape.rotation)
            message.x, message.y = shape.x + shape.width / 2 + dx, shape.y + shape.height / 2 + dy
        case "circle":
            message.circle.CopyFrom(pb.Area.Circle(radius=shape.width / 2))
        case "ellipse":
            message.ellipse.CopyFrom(pb.Area.Ellipse(radius_x=shape.width / 2, radius_y=shape.height / 2))
        case _:
            message.polygon.CopyFrom(pb.Area.Polygon(points=[pb.Area.Point(x=x, y=y) for x, y in shape.points]))


def shape_document(area: pb.Area) -> dict[str, Any] | None:
    """The shape of an area as a document writes it; None: it has none. A text is a point."""
    at: dict[str, Any] = {"x": area.x, "y": area.y}
    match area.WhichOneof("shape"):
        case "rectangle":
            width, height = area.rectangle.width, area.rectangle.height
            dx, dy = _turned(width / 2, height / 2, area.rotation)
            at = {"x": area.x + dx - width / 2, "y": area.y + dy - height / 2}
            return at | {"kind": "rectangle", "width": width, "height": height, "rotation": area.rotation}
        case "circle":
            return at | {"kind": "circle", "radius": area.circle.radius}
        case "ellipse":
            size = {"width": 2 * area.ellipse.radius_x, "height": 2 * area.ellipse.radius_y}
            return at | size | {"kind": "ellipse", "rotation": area.rotation}
        case "polygon":
            turned = [_turned(point.x, point.y, area.rotation) for point in area.polygon.points]
            return {"kind": "polygon", "points": [[area.x + x, area.y + y] for x, y in turned]}
        case "text":
            return at | {"kind": "point"}
    return None


def _turned(x: float, y: float, degrees: float) -> tuple[float, float]:
    """A point turned clockwise around the origin, where y grows downwards."""
    if not degrees:
        return x, y
    angle = math.radians(degrees)
    return x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
