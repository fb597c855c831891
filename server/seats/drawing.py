"""What a seat map draws besides seats: outlines of areas, the stage, labels."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """An outline in drawing units.

    `kind` is rectangle, circle, ellipse, polygon or point. `x`, `y` are the top left corner of a rectangle
    and the middle of anything round; a circle's width and height are its diameter. `rotation` is in degrees,
    clockwise, around the middle. A polygon has only `points`.
    """

    kind: str
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    rotation: float = 0.0
    points: tuple[tuple[float, float], ...] = ()

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the shape: where its label and the places of its area are drawn."""
        if self.kind == "polygon":
            return (
                round(sum(x for x, _ in self.points) / len(self.points), 1),
                round(sum(y for _, y in self.points) / len(self.points), 1),
            )
        if self.kind == "rectangle":
            return self.x + self.width / 2, self.y + self.height / 2
        return self.x, self.y


@dataclass(frozen=True, slots=True)
class Decoration:
    """Something that is drawn and not sold: the stage, a wall, a label. Colours are `#rrggbb` or empty."""

    shape: Shape
    fill: str = ""
    stroke: str = ""
    text: str = ""
    text_size: float = 0.0
    text_color: str = ""


def read_shape(document: Mapping[str, Any]) -> Shape:
    """The shape of a checked document."""
    kind = document["kind"]
    if kind == "polygon":
        return Shape(kind, points=tuple((float(x), float(y)) for x, y in document["points"]))
    diameter = 2 * float(document.get("radius", 0))
    return Shape(
        kind=kind,
        x=float(document["x"]),
        y=float(document["y"]),
        width=diameter or float(document.get("width", 0)),
        height=diameter or float(document.get("height", 0)),
        rotation=math.fmod(float(document.get("rotation", 0)), 360),
    )


def read_decoration(document: Mapping[str, Any]) -> Decoration:
    """The decoration of a checked document."""
    return Decoration(
        shape=read_shape(document["shape"]),
        fill=document.get("fill", ""),
        stroke=document.get("stroke", ""),
        text=document.get("text", ""),
        text_size=float(document.get("text_size", 0)),
        text_color=document.get("text_color", ""),
    )
