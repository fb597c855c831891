"""Writes the example seat maps of `examples/`: a cinema, a theatre and an arena.

Run it after a change here: `python scripts/make_examples.py`. A test fails while the files differ from what
this writes. Coordinates are centimetres on a floor plan, stage or screen at the top.
"""

import json
import math
from pathlib import Path
from typing import Any

from server.seats.hall import FORMAT, VERSION, Hall

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

Document = dict[str, Any]


def seat_map(name: str, width: int, height: int, focus: tuple[int, int], zones: dict[str, str]) -> Document:
    """The frame of a document, without sections."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "size": {"width": width, "height": height},
        "focus": {"x": focus[0], "y": focus[1]},
        "zones": [{"name": zone, "color": color} for zone, color in zones.items()],
        "sections": [],
        "decorations": [],
    }


def block_numbers(*sizes: int) -> str:
    """`1-8|9-16`: seats numbered on over blocks of these sizes."""
    blocks, first = [], 1
    for size in sizes:
        blocks.append(f"{first}-{first + size - 1}" if size > 1 else str(first))
        first += size
    return "|".join(blocks)


def label(text: str, x: float, y: float, size: int, color: str = "#5b6475") -> Document:
    """A text of the drawing."""
    return {
        "shape": {"kind": "point", "x": round(x), "y": round(y)},
        "text": text,
        "text_size": size,
        "text_color": color,
    }


def cinema() -> Document:
    """One hall of a cinema: twelve gently curved rows, two aisles from the sixth row on, love seats behind."""
    document = seat_map(
        "Cinema Aurora, hall 2",
        1400,
        1700,
        (700, 1180),  # two thirds back: where cinema-goers sit down first
        {"Front": "#6baed6", "Standard": "#3182bd", "Premium": "#e6a23c", "Love seats": "#d6568c"},
    )
    rows: list[Document] = []
    center, first_radius = (700, -1900), 2300
    for number, row_label in enumerate("ABCDEFGHJKL"):
        zone = "Front" if number < 3 else "Standard" if number < 7 else "Premium"
        sizes = (4, 6, 4) if number < 2 else (4, 8, 4)
        row: Document = {
            "label": row_label,
            "zone": zone,
            "numbers": block_numbers(*sizes),
            "arc": {
                "x": center[0],
                "y": center[1],
                "radius": first_radius + 105 * number,
                "spacing": 62,
                "aisle": 75,
            },
        }
        if number == 0:
            row["accessible"] = "1-2,13-14"
        rows.append(row)
    rows.append(
        {
            "label": "M",
            "zone": "Love seats",
            "numbers": "1,2|3,4|5,6|7,8",
            "arc": {
                "x": center[0],
                "y": center[1],
                "radius": first_radius + 105 * 11 + 30,
                "spacing": 66,
                "aisle": 95,
            },
        }
    )
    document["sections"] = [{"name": "Hall", "rows": rows}]
    document["decorations"] = [
        {"shape": {"kind": "rectangle", "x": 170, "y": 130, "width": 1060, "height": 26}, "fill": "#c9d1dc"},
        label("Screen", 700, 90, 48),
    ]
    return document


THEATRE_CENTER = (2400, 200)
THEATRE_SPACING = 56
THEATRE_AISLE = 90


def theatre_row(row_label: str, radius: int, half_angle: float, zone: str) -> Document:
    """A curved row of three blocks, as wide as its radius allows."""
    aisles = 2 * THEATRE_AISLE
    seats = int((2 * math.radians(half_angle) * radius - aisles) / THEATRE_SPACING)
    side = seats // 4
    return {
        "label": row_label,
        "zone": zone,
        "numbers": block_numbers(side, seats - 2 * side, side),
        "arc": {
            "x": THEATRE_CENTER[0],
            "y": THEATRE_CENTER[1],
            "radius": radius,
            "spacing": THEATRE_SPACING,
            "aisle": THEATRE_AISLE,
        },
    }


def theatre_boxes(side: str) -> Document:
    """Six boxes of four along one wall of the stalls, two seats at the rail and two behind."""
    sign = -1 if side == "left" else 1
    rows = []
    for number in range(6):
        angle = math.radians(90 - sign * (38.5 - number * 0.6))
        radius = 900 + 245 * number
        x = THEATRE_CENTER[0] + radius * math.cos(angle)
        y = THEATRE_CENTER[1] + radius * math.sin(angle)
        tilt = math.degrees(angle) - 90
        for back, numbers in enumerate(("1,2", "3,4")):
            out = 58 * back
            rows.append(
                {
                    "label": f"{'L' if sign < 0 else 'R'}{number + 1}",
                    "zone": "Box" if back == 0 else "Restricted view",
                    "numbers": numbers,
                    "line": {
                        "x": round(x + sign * out * math.cos(math.radians(tilt)), 1),
                        "y": round(y + sign * out * math.sin(math.radians(tilt)), 1),
                        "spacing": 56,
                        "angle": round(tilt + 90, 1),
                    },
                }
            )
    return {"name": f"Boxes {side}", "rows": rows}


def theatre() -> Document:
    """A horseshoe theatre: stalls, dress circle and balcony in curved rows, boxes along the walls."""
    document = seat_map(
        "Theatre Royal",
        4800,
        4400,
        (2400, 1250),
        {
            "Premium": "#d4a017",
            "Stalls": "#c0392b",
            "Circle": "#8e44ad",
            "Balcony": "#2e86c1",
            "Box": "#16a085",
            "Restricted view": "#7f8c8d",
        },
    )
    stalls = []
    for number, row_label in enumerate("ABCDEFGHJKLMNPQRST"):
        row = theatre_row(row_label, 880 + 92 * number, 29, "Stalls")
        if 2 <= number < 9:
            middle = row["numbers"].split("|")[1]
            row["other_zones"] = {"Premium": middle}
        if row_label == "T":
            first, _, last = (block.split("-") for block in row["numbers"].split("|"))
            row["accessible"] = f"{first[0]}-{int(first[0]) + 3},{int(last[1]) - 3}-{last[1]}"
        stalls.append(row)
    circle = [
        theatre_row(row_label, 2690 + 92 * number, 29, "Premium" if number == 0 else "Circle")
        for number, row_label in enumerate("ABCDEF")
    ]
    balcony = []
    for number, row_label in enumerate("ABCDEF"):
        row = theatre_row(row_label, 3440 + 92 * number, 29, "Balcony")
        left, _, right = row["numbers"].split("|")
        if number >= 4:
            row["other_zones"] = {"Restricted view": f"{left},{right}"}
        balcony.append(row)
    document["sections"] = [
        {"name": "Stalls", "rows": stalls},
        theatre_boxes("left"),
        theatre_boxes("right"),
        {"name": "Circle", "rows": circle},
        {"name": "Balcony", "rows": balcony},
    ]
    stage = [[1500, 220], [3300, 220], [3050, 760], [2400, 860], [1750, 760]]
    document["decorations"] = [
        {"shape": {"kind": "polygon", "points": stage}, "fill": "#e7dcc8", "stroke": "#b8a98a"},
        label("Stage", 2400, 500, 120),
        label("Stalls", 2400, 970, 70),
        label("Circle", 2400, 2790, 70),
        label("Balcony", 2400, 3545, 70),
    ]
    return document


ARENA_SEAT = 50
ARENA_ROW = 82
ARENA_GANGWAY = 110
# The floor: a rectangle whose lower corners are rounded; all rings of the bowl are parallel to it.
FLOOR_LEFT, FLOOR_RIGHT, FLOOR_TOP, FLOOR_BOTTOM = 4800, 9200, 1500, 8300
CORNER = 1200


def arena_section(name: int, rows: list[Document], zone: str) -> Document:
    """A block of the bowl: `rows` give the numbers and where each row stands, from the front."""
    labelled = [{"label": str(number), "zone": zone, **row} for number, row in enumerate(rows, 1)]
    return {"name": str(name), "rows": labelled}


def straight_block(x: float, y: float, angle: float, length: float, *, rows: int, offset: float) -> list[Document]:
    """Rows parallel to one side of the floor. (x, y) is where the block begins at the floor's edge."""
    seats = int((length - ARENA_GANGWAY) / ARENA_SEAT) + 1
    slack = (length - (seats - 1) * ARENA_SEAT) / 2
    along = math.radians(angle)
    out = along + math.pi / 2
    found = []
    for row in range(rows):
        away = offset + ARENA_ROW * row
        found.append(
            {
                "numbers": f"1-{seats}",
                "line": {
                    "x": round(x + slack * math.cos(along) + away * math.cos(out), 1),
                    "y": round(y + slack * math.sin(along) + away * math.sin(out), 1),
                    "spacing": ARENA_SEAT,
                    "angle": angle,
                },
            }
        )
    return found


def corner_block(x: float, y: float, middle: float, width: float, *, rows: int, offset: float) -> list[Document]:
    """Curved rows around one corner of the floor, `width` degrees wide; outer rows have more seats."""
    found = []
    for row in range(rows):
        radius = CORNER + offset + ARENA_ROW * row
        seats = int((math.radians(width) * radius - ARENA_GANGWAY) / ARENA_SEAT) + 1
        found.append(
            {
                "numbers": f"1-{seats}",
                "arc": {
                    "x": x,
                    "y": y,
                    "radius": round(radius),
                    # Seats are numbered clockwise around the bowl, as on the straight sides.
                    "spacing": -ARENA_SEAT,
                    "angle": middle,
                },
            }
        )
    return found


def arena_ring(first: int, rows: int, offset: float, zones: tuple[str, str, str, str]) -> list[Document]:
    """One ring of the bowl, numbered from the right of the stage round to its left."""
    near, side, corner, far = zones
    blocks: list[tuple[str, list[Document]]] = []
    length = (FLOOR_BOTTOM - CORNER - FLOOR_TOP) / 5
    for number in range(5):
        zone = near if number < 2 else side
        y = FLOOR_TOP + length * number
        blocks.append((zone, straight_block(FLOOR_RIGHT, y + length, -90, length, rows=rows, offset=offset)))
    middle_y = FLOOR_BOTTOM - CORNER
    width = 90 / 3
    blocks += [
        (corner, corner_block(FLOOR_RIGHT - CORNER, middle_y, width * (k + 0.5), width, rows=rows, offset=offset))
        for k in range(3)
    ]
    base = (FLOOR_RIGHT - FLOOR_LEFT - 2 * CORNER) / 2
    for number in range(2):
        x = FLOOR_RIGHT - CORNER - base * (number + 1)
        blocks.append((far, straight_block(x, FLOOR_BOTTOM, 0, base, rows=rows, offset=offset)))
    blocks += [
        (corner, corner_block(FLOOR_LEFT + CORNER, middle_y, 90 + width * (k + 0.5), width, rows=rows, offset=offset))
        for k in range(3)
    ]
    for number in range(4, -1, -1):
        zone = near if number < 2 else side
        blocks.append(
            (zone, straight_block(FLOOR_LEFT, FLOOR_TOP + length * number, 90, length, rows=rows, offset=offset))
        )
    return [arena_section(first + number, found, zone) for number, (zone, found) in enumerate(blocks)]


def arena() -> Document:
    """A concert arena: a standing floor before the stage and two rings of seats around it."""
    document = seat_map(
        "Northgate Arena",
        14000,
        12600,
        (7000, 1500),
        {
            "Front standing": "#e74c3c",
            "Standing": "#e67e22",
            "Gold": "#d4a017",
            "Silver": "#5d8aa8",
            "Bronze": "#a0673b",
            "Upper": "#6c7a89",
        },
    )
    lower = arena_ring(101, 20, 330, ("Gold", "Silver", "Silver", "Bronze"))
    for section in lower:
        # The last row of the lower ring is the wheelchair platform, reached without steps.
        section["rows"][-1]["accessible"] = "1-6"
    upper = arena_ring(201, 18, 2300, ("Silver", "Bronze", "Upper", "Upper"))
    floor = {
        "name": "Floor",
        "areas": [
            {
                "name": "Front",
                "zone": "Front standing",
                "capacity": 800,
                "shape": {"kind": "rectangle", "x": 4900, "y": 1750, "width": 4200, "height": 1500},
            },
            {
                "name": "Floor",
                "zone": "Standing",
                "capacity": 2700,
                "shape": {
                    "kind": "polygon",
                    "points": [[4900, 3350], [9100, 3350], [9100, 7100], [8000, 8200], [6000, 8200], [4900, 7100]],
                },
            },
        ],
    }
    document["sections"] = [floor, *lower, *upper]
    document["decorations"] = [
        {
            "shape": {"kind": "rectangle", "x": 4900, "y": 300, "width": 4200, "height": 1200},
            "fill": "#d5d9e0",
            "stroke": "#9aa3b2",
        },
        label("Stage", 7000, 950, 320),
        label("Front standing", 7000, 2500, 260),
        label("Standing", 7000, 5400, 320),
    ]
    return document


def pretix_plan(hall: Hall) -> Document:
    """The same seats as a pretix seating plan, whose positions add up (zone + row + seat)."""
    zones = []
    for section in hall.sections:
        rows = []
        for row in (row for row in hall.rows if row.section == section.name):
            seats = [hall.places[index] for index in row.seats]
            x0, y0 = seats[0].x, seats[0].y
            rows.append(
                {
                    "row_number": row.label,
                    "row_number_position": "both",
                    "position": {"x": x0 - 100, "y": y0 - 200},
                    "seats": [
                        {
                            "seat_guid": seat.id,
                            "seat_number": seat.number,
                            "category": seat.zone,
                            "position": {"x": round(seat.x - x0, 1), "y": round(seat.y - y0, 1)},
                        }
                        for seat in seats
                    ],
                }
            )
        zones.append({"name": section.name, "zone_id": section.name, "position": {"x": 100, "y": 200}, "rows": rows})
    zones[0]["areas"] = [
        {
            "shape": "rectangle",
            "color": "#c9d1dc",
            "border_color": "#9aa3b2",
            "rotation": 0,
            "position": {"x": 70, "y": -70},
            "rectangle": {"width": 1060, "height": 26},
            "text": {"text": "Screen", "position": {"x": 530, "y": -40}, "color": "#5b6475", "size": 48},
        }
    ]
    return {
        "name": hall.name,
        "size": {"width": int(hall.size[0]), "height": int(hall.size[1])},
        "categories": [{"name": zone.name, "color": zone.color} for zone in hall.zones],
        "zones": zones,
    }


def lines(document: Document) -> str:
    """JSON with one line per row of seats: small, and a change of one row is one line of a diff."""
    rows: list[str] = []

    def fold(value: Any) -> Any:
        if isinstance(value, list):
            return [fold(item) for item in value]
        if isinstance(value, dict):
            if "rows" in value or "sections" in value or "zones" in value:
                return {key: fold(item) for key, item in value.items()}
            rows.append(json.dumps(value, ensure_ascii=False))
            return f"\0{len(rows) - 1}\0"
        return value

    text = json.dumps(fold(document), ensure_ascii=False, indent=1)
    for number, row in enumerate(rows):
        text = text.replace(f'"\\u0000{number}\\u0000"', row, 1)
    return text + "\n"


def examples() -> dict[str, str]:
    """File name → content."""
    maps = {"cinema.json": cinema(), "theatre.json": theatre(), "arena.json": arena()}
    plan = pretix_plan(Hall.from_document(maps["cinema.json"]))
    return {name: lines(document) for name, document in {**maps, "cinema.pretix.json": plan}.items()}


if __name__ == "__main__":
    for name, content in examples().items():
        (EXAMPLES / name).write_text(content, encoding="utf-8")
        print(f"{name}: {len(content.encode()):,} bytes")
