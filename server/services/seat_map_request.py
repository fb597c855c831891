"""A drawing in a request becomes a checked seat map; its faults are named as the request names its fields."""

import json
import re
from typing import Any, Final

from rowlock.v1 import seat_map_pb2 as pb
from server.domain.seat_maps import Drawing
from server.errors import FieldFault, InvalidArgument
from server.seats import seat_map_file
from server.seats.hall import FORMAT, VERSION
from server.seats.seat_map_faults import Fault, SeatMapFileError
from server.services.seat_map_layout import shape_document

_SHOWN_FAULTS: Final = 20
_MARGIN: Final = 30.0
"""Space beyond the outermost seats of a drawing that does not say how large it is."""
_PREFIX: Final = re.compile(
    r"(zones\[\d+\]|decorations\[\d+\]|sections\[\d+\](?:\.rows\[\d+\](?:\.seats\[\d+\])?|\.areas\[\d+\])?)(.*)"
)
_LEAVES: Final = {
    "seats": {".gap_before": ".aisle_before", ".label": ".row", ".name": ".section"},
    "areas": {".name": ".id", ".fill": ".color", ".stroke": ".border_color"},
    "zones": {".name": ".zone"},
}
"""What a document calls a member, and the request another name, by the list that it is in."""


def drawing_of(display_name: str, layout: pb.SeatMapLayout) -> Drawing:
    """Check a drawing that came in a request.

    Raises:
        InvalidArgument: SEAT_MAP_INVALID, naming every fault.
    """
    writer = _Writer(display_name, layout)
    try:
        return Drawing.of(seat_map_file.read(json.dumps(writer.document).encode()))
    except SeatMapFileError as error:
        faults = [Fault(writer.field_of(fault.path), fault.message) for fault in error.faults[:_SHOWN_FAULTS]]
        raise refusal(faults, error.total) from None


def refusal(faults: list[Fault] | tuple[Fault, ...], total: int) -> InvalidArgument:
    """SEAT_MAP_INVALID with the first faults by their paths, and how many there are."""
    more = f" (and {total - 1} more)" if total > 1 else ""
    return InvalidArgument(
        "SEAT_MAP_INVALID",
        f"{faults[0]}{more}",
        fields=[FieldFault(fault.path, fault.message) for fault in faults[:_SHOWN_FAULTS]],
        total=str(total),
    )


class _Writer:
    """Writes a document out of a layout, and remembers which field each part of it came from."""

    def __init__(self, display_name: str, layout: pb.SeatMapLayout) -> None:
        self._origins: dict[str, str] = {}
        self._sections: dict[str, tuple[str, dict[str, Any]]] = {}
        self._rows: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
        self.document: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "name": display_name,
            "size": {
                "width": layout.width or max((seat.x for seat in layout.seats), default=0.0) + _MARGIN,
                "height": layout.height or max((seat.y for seat in layout.seats), default=0.0) + _MARGIN,
            },
            "zones": [self._zone(index, zone) for index, zone in enumerate(layout.zones)],
            "sections": [],
            "decorations": [],
        }
        if layout.HasField("focus"):
            self.document["focus"] = {"x": layout.focus.x, "y": layout.focus.y}
        for index, seat in enumerate(layout.seats):
            self._add_seat(f"seats[{index}]", seat)
        for index, area in enumerate(layout.areas):
            self._add_area(f"areas[{index}]", area)

    def field_of(self, path: str) -> str:
        """The request's field for a path of the document."""
        match = _PREFIX.fullmatch(path)
        if match is None or match[1] not in self._origins:
            return f"seat_map.layout.{path.removeprefix('size.')}" if path != "$" else "seat_map.layout"
        origin, leaf = self._origins[match[1]], match[2]
        leaves = _LEAVES[origin.partition("[")[0]]
        return f"seat_map.layout.{origin}{leaves.get(leaf, leaf)}"

    def _zone(self, index: int, zone: pb.PriceZone) -> dict[str, Any]:
        self._origins[f"zones[{index}]"] = f"zones[{index}]"
        return {"name": zone.zone} | ({"color": zone.color} if zone.color else {})

    def _section(self, name: str, origin: str) -> tuple[str, dict[str, Any]]:
        if name not in self._sections:
            at, section = f"sections[{len(self._sections)}]", {"name": name, "rows": [], "areas": []}
            self._sections[name] = at, section
            self._origins[at] = origin
            self.document["sections"].append(section)
        return self._sections[name]

    def _add_seat(self, origin: str, seat: pb.Seat) -> None:
        key = (seat.section, seat.row)
        if key not in self._rows:
            at, section = self._section(seat.section, origin)
            row: dict[str, Any] = {"label": seat.row, "seats": []}
            self._rows[key] = f"{at}.rows[{len(section['rows'])}]", row
            self._origins[self._rows[key][0]] = origin
            section["rows"].append(row)
        at, row = self._rows[key]
        self._origins[f"{at}.seats[{len(row['seats'])}]"] = origin
        document: dict[str, Any] = {"number": seat.number, "zone": seat.zone, "x": seat.x, "y": seat.y}
        document |= {"id": seat.id} if seat.id else {}
        document |= {"accessible": True} if seat.accessible else {}
        document |= {"gap_before": True} if seat.aisle_before and row["seats"] else {}
        if seat.kind == pb.Seat.GENERAL_ADMISSION:
            # Named like this it is refused under its own path.
            document["kind"] = "general admission is counted by areas"
        row["seats"].append(document)

    def _add_area(self, origin: str, area: pb.Area) -> None:
        shape = shape_document(area)
        if area.capacity:
            at, section = self._section(area.section, origin)
            self._origins[f"{at}.areas[{len(section['areas'])}]"] = origin
            section["areas"].append(
                {"name": area.id, "zone": area.zone, "capacity": area.capacity} | ({"shape": shape} if shape else {})
            )
            return
        self._origins[f"decorations[{len(self.document['decorations'])}]"] = origin
        label = area.text if area.HasField("text") else pb.Area.Label(text=area.label)
        members = {
            "shape": shape,
            "fill": area.color,
            "stroke": area.border_color,
            "text": label.text,
            "text_size": label.size,
            "text_color": label.color,
        }
        self.document["decorations"].append({key: value for key, value in members.items() if value})
