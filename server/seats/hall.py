"""A hall in memory: every place of one seat map version, in the fixed order that the seat feed speaks.

A `Hall` is immutable and shared by all threads. A place's `index` is its position in the file: section by
section, in each its rows, seat by seat, then its general-admission areas. The `seats.place` column, packed
snapshots and best available all speak of that index, so a stored seat map may never be reordered.

`Hall.from_document` trusts its input: it takes what `seat_map_file` or `pretix_plan` has already checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Self

from server.seats.drawing import Decoration, Shape, read_decoration, read_shape
from server.seats.row_layout import expand_row

FORMAT = "rowlock-seat-map"
VERSION = 1
DEFAULT_COLOR = "#8f9bb3"


class PlaceKind(IntEnum):
    """What a place is: a numbered seat, or one of many equal places of an area."""

    SEAT = 1
    GENERAL_ADMISSION = 2


@dataclass(frozen=True, slots=True)
class Place:
    """One sellable place.

    `x` and `y` are the middle of the seat in drawing units; the places of an area all stand at its middle.
    `row` is empty for general admission and `area` is empty for seats.
    """

    index: int
    id: str
    section: str
    row: str
    number: str
    zone: str
    x: float
    y: float
    kind: PlaceKind
    accessible: bool
    area: str


@dataclass(frozen=True, slots=True)
class Zone:
    """A price zone: what a ticket type is sold for. `color` is `#rrggbb`."""

    name: str
    color: str


@dataclass(frozen=True, slots=True)
class Area:
    """A general-admission area: `capacity` equal places with the indexes `first` to `last`, both included."""

    id: str
    section: str
    zone: str
    shape: Shape
    capacity: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row, cut by aisles into `runs`: seats are neighbours when they follow each other in a run."""

    section: str
    label: str
    runs: tuple[range, ...]

    @property
    def seats(self) -> range:
        """All indexes of the row."""
        return range(self.runs[0].start, self.runs[-1].stop)


@dataclass(frozen=True, slots=True)
class Section:
    """A named part of the hall; its places are the indexes `first` to `last`, both included."""

    name: str
    first: int
    last: int


# Compared by identity (eq=False): two loads of one version are never mixed, and a Hall can be a cache key.
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Hall:
    """All places of one seat map version and what is needed to draw and to search them.

    `focus` is the point that the audience looks at: best available prefers places near to it.
    `zone_of[index]` is the number of the place's zone in `zones`.
    """

    name: str
    size: tuple[float, float]
    focus: tuple[float, float]
    zones: tuple[Zone, ...]
    sections: tuple[Section, ...]
    rows: tuple[Row, ...]
    areas: tuple[Area, ...]
    decorations: tuple[Decoration, ...]
    places: tuple[Place, ...]
    index_of: Mapping[str, int]
    zone_of: bytes
    places_by_zone: Mapping[str, tuple[int, ...]]
    area_by_id: Mapping[str, Area]

    def __len__(self) -> int:
        return len(self.places)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Build the hall from a checked seat map document (the form that the database stores)."""
        zones = tuple(Zone(zone["name"], zone.get("color", DEFAULT_COLOR)) for zone in document["zones"])
        builder = _Builder()
        for section in document["sections"]:
            builder.add_section(section)
        places = tuple(builder.places)
        zone_number = {zone.name: number for number, zone in enumerate(zones)}
        by_zone: dict[str, list[int]] = {zone.name: [] for zone in zones}
        for place in places:
            by_zone[place.zone].append(place.index)
        size = (float(document["size"]["width"]), float(document["size"]["height"]))
        focus = document.get("focus")
        return cls(
            name=document["name"],
            size=size,
            focus=(float(focus["x"]), float(focus["y"])) if focus else (size[0] / 2, 0.0),
            zones=zones,
            sections=tuple(builder.sections),
            rows=tuple(builder.rows),
            areas=tuple(builder.areas),
            decorations=tuple(read_decoration(item) for item in document.get("decorations", ())),
            places=places,
            index_of=MappingProxyType({place.id: place.index for place in places}),
            zone_of=bytes(zone_number[place.zone] for place in places),
            places_by_zone=MappingProxyType({name: tuple(indexes) for name, indexes in by_zone.items()}),
            area_by_id=MappingProxyType({area.id: area for area in builder.areas}),
        )


def seat_id(section: str, row: str, number: str) -> str:
    """The id of a seat whose file does not give one, e.g. `Stalls-A-12`."""
    return f"{section}-{row}-{number}"


def area_place_id(area: str, number: int, capacity: int) -> str:
    """The id of an area's place, counted from 1, e.g. `Floor-0001`; zero-padded so that ids sort."""
    return f"{area}-{number:0{max(4, len(str(capacity)))}d}"


class _Builder:
    """Numbers the places of a document, section by section."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.sections: list[Section] = []
        self.rows: list[Row] = []
        self.areas: list[Area] = []
        # One string object per seat number: "1" to "40" would otherwise exist tens of thousands of times.
        self._shared: dict[str, str] = {}

    def add_section(self, section: Mapping[str, Any]) -> None:
        first = len(self.places)
        for row in section.get("rows", ()):
            self._add_row(section["name"], row)
        for area in section.get("areas", ()):
            self._add_area(section["name"], area)
        self.sections.append(Section(section["name"], first, len(self.places) - 1))

    def _add_row(self, section: str, row: Mapping[str, Any]) -> None:
        label = self._share(row["label"])
        first = len(self.places)
        cuts = [first]
        for index, seat in enumerate(expand_row(row), first):
            if seat.gap_before and index > first:
                cuts.append(index)
            self.places.append(
                Place(
                    index=index,
                    id=seat.id or seat_id(section, label, seat.number),
                    section=section,
                    row=label,
                    number=self._share(seat.number),
                    zone=self._share(seat.zone),
                    x=seat.x,
                    y=seat.y,
                    kind=PlaceKind.SEAT,
                    accessible=seat.accessible,
                    area="",
                )
            )
        cuts.append(len(self.places))
        self.rows.append(Row(section, label, tuple(map(range, cuts, cuts[1:]))))

    def _add_area(self, section: str, area: Mapping[str, Any]) -> None:
        name, zone, capacity = area["name"], self._share(area["zone"]), area["capacity"]
        shape = read_shape(area["shape"])
        x, y = shape.center
        first = len(self.places)
        for number in range(1, capacity + 1):
            self.places.append(
                Place(
                    index=first + number - 1,
                    id=area_place_id(name, number, capacity),
                    section=section,
                    row="",
                    number=self._share(str(number)),
                    zone=zone,
                    x=x,
                    y=y,
                    kind=PlaceKind.GENERAL_ADMISSION,
                    accessible=False,
                    area=name,
                )
            )
        self.areas.append(Area(name, section, zone, shape, capacity, first, len(self.places) - 1))

    def _share(self, text: str) -> str:
        return self._shared.setdefault(text, text)
