"""A hall numbers its places in file order and knows their rows, areas and zones."""

import math
from pathlib import Path
from typing import Any

import pytest

from server.seats import seat_map_import
from server.seats.hall import Hall, Place, PlaceKind
from server.seats.row_layout import seat_numbers, seat_positions

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"

DOCUMENT: dict[str, Any] = {
    "format": "rowlock-seat-map",
    "version": 1,
    "name": "Small hall",
    "size": {"width": 1000, "height": 800},
    "zones": [{"name": "Gold", "color": "#d4a017"}, {"name": "Silver"}],
    "sections": [
        {
            "name": "Stalls",
            "rows": [
                {
                    "label": "A",
                    "zone": "Gold",
                    "seats": [
                        {"number": "1", "x": 100, "y": 100},
                        {"number": "2", "x": 150, "y": 100, "accessible": True},
                        {"number": "3", "x": 300, "y": 100, "zone": "Silver", "gap_before": True, "id": "best"},
                    ],
                },
                {
                    "label": "B",
                    "zone": "Silver",
                    "numbers": "1-2|3-4",
                    "line": {"x": 100, "y": 200, "spacing": 50, "aisle": 70},
                    "accessible": "4",
                    "other_zones": {"Gold": "2,3"},
                },
            ],
            "areas": [
                {
                    "name": "Floor",
                    "zone": "Gold",
                    "capacity": 3,
                    "shape": {"kind": "rectangle", "x": 100, "y": 300, "width": 400, "height": 200},
                }
            ],
        },
    ],
    "decorations": [
        {"shape": {"kind": "circle", "x": 500, "y": 20, "radius": 10}, "fill": "#cccccc", "text": "Stage"},
        {"shape": {"kind": "ellipse", "x": 5, "y": 20, "width": 10, "height": 4, "rotation": 30}},
        {"shape": {"kind": "polygon", "points": [[0, 0], [10, 0], [10, 10]]}, "stroke": "#000000"},
        {"shape": {"kind": "point", "x": 5, "y": 5}, "text": "Exit", "text_size": 12, "text_color": "#111111"},
    ],
}


@pytest.fixture
def hall() -> Hall:
    return Hall.from_document(DOCUMENT)


def test_places_are_numbered_in_file_order_rows_before_areas(hall: Hall) -> None:
    assert [place.id for place in hall.places] == [
        "Stalls-A-1",
        "Stalls-A-2",
        "best",
        "Stalls-B-1",
        "Stalls-B-2",
        "Stalls-B-3",
        "Stalls-B-4",
        "Floor-0001",
        "Floor-0002",
        "Floor-0003",
    ]
    assert [place.index for place in hall.places] == list(range(10))
    assert len(hall) == 10
    assert hall.index_of["Floor-0002"] == 8
    assert "Stalls-A-3" not in hall.index_of


def test_a_seat_knows_all_about_itself(hall: Hall) -> None:
    assert hall.places[5] == Place(
        index=5,
        id="Stalls-B-3",
        section="Stalls",
        row="B",
        number="3",
        zone="Gold",
        x=270.0,
        y=200.0,
        kind=PlaceKind.SEAT,
        accessible=False,
        area="",
    )


def test_places_of_an_area_stand_in_its_middle(hall: Hall) -> None:
    place = hall.places[7]
    assert (place.kind, place.area, place.row, place.number) == (PlaceKind.GENERAL_ADMISSION, "Floor", "", "1")
    assert (place.x, place.y) == (300.0, 400.0)
    area = hall.area_by_id["Floor"]
    assert (area.first, area.last, area.capacity, area.zone) == (7, 9, 3, "Gold")


def test_rows_are_cut_into_runs_at_aisles(hall: Hall) -> None:
    assert [row.runs for row in hall.rows] == [(range(2), range(2, 3)), (range(3, 5), range(5, 7))]
    assert hall.rows[1].seats == range(3, 7)


def test_zones_keep_their_order_and_name_their_places(hall: Hall) -> None:
    assert [zone.name for zone in hall.zones] == ["Gold", "Silver"]
    assert hall.zones[1].color.startswith("#")
    assert hall.zone_of == bytes([0, 0, 1, 1, 0, 0, 1, 0, 0, 0])
    assert hall.places_by_zone["Silver"] == (2, 3, 6)


def test_accessible_seats_are_marked_in_both_notations(hall: Hall) -> None:
    assert [place.id for place in hall.places if place.accessible] == ["Stalls-A-2", "Stalls-B-4"]


def test_the_audience_looks_at_the_middle_of_the_front_unless_told_otherwise(hall: Hall) -> None:
    assert hall.focus == (500.0, 0.0)
    assert Hall.from_document({**DOCUMENT, "focus": {"x": 1, "y": 2}}).focus == (1.0, 2.0)


def test_a_hall_cannot_be_changed(hall: Hall) -> None:
    with pytest.raises(AttributeError):
        hall.name = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        hall.places[0].id = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        hall.index_of["x"] = 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("file", "places", "standing", "accessible"),
    [
        ("cinema.json", 180, 0, 4),
        ("cinema.pretix.json", 180, 0, 0),
        ("theatre.json", 1191, 0, 8),
        ("arena.json", 20114, 3500, 108),
    ],
)
def test_the_example_files_load(file: str, places: int, standing: int, accessible: int) -> None:
    data = (EXAMPLES / file).read_bytes()
    assert len(data) < 256 * 1024, "an example must fit into one request"
    hall = Hall.from_document(seat_map_import.read(data))
    assert len(hall) == places
    assert sum(place.kind is PlaceKind.GENERAL_ADMISSION for place in hall.places) == standing
    assert sum(place.accessible for place in hall.places) == accessible
    assert 4 <= len(hall.zones) <= 6
    assert len(hall.index_of) == places


@pytest.mark.parametrize("file", ["cinema.json", "theatre.json", "arena.json"])
def test_in_the_examples_no_seat_stands_on_another(file: str) -> None:
    hall = Hall.from_document(seat_map_import.read((EXAMPLES / file).read_bytes()))
    cells: dict[tuple[int, int], list[Place]] = {}
    for place in hall.places:
        if place.kind is PlaceKind.SEAT:
            cells.setdefault((int(place.x // 50), int(place.y // 50)), []).append(place)
    for (column, row), here in cells.items():
        near = [p for c in (0, 1) for r in (-1, 0, 1) for p in cells.get((column + c, row + r), [])]
        for place in here:
            for other in near:
                if other.index != place.index:
                    assert math.dist((place.x, place.y), (other.x, other.y)) > 44, (place.id, other.id)


@pytest.mark.parametrize(
    ("notation", "blocks"),
    [
        ("1-4", [["1", "2", "3", "4"]]),
        ("4-1", [["4", "3", "2", "1"]]),
        ("1-7/2|8-2/2", [["1", "3", "5", "7"], ["8", "6", "4", "2"]]),
        ("A1-A3, 12A", [["A1", "A2", "A3", "12A"]]),
        ("5", [["5"]]),
    ],
)
def test_seat_numbers_are_spelled_out(notation: str, blocks: list[list[str]]) -> None:
    assert seat_numbers(notation) == blocks


@pytest.mark.parametrize(
    "notation", ["", "1-", "-1", "1--3", "1-3/0", "a b", "1|", "1,,2", "1-99999", "A1-B3", "1;2", "①"]
)
def test_a_seat_number_notation_that_means_nothing_is_refused(notation: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        seat_numbers(notation)


def test_a_row_below_the_centre_of_its_arc_runs_from_left_to_right() -> None:
    row = {"arc": {"x": 0, "y": 0, "radius": 1000, "spacing": 50, "aisle": 100}}
    positions = seat_positions(row, [2, 2])
    assert [x for x, _ in positions] == sorted(x for x, _ in positions)
    assert positions[0] == (-positions[3][0], positions[3][1])
    assert all(math.isclose(math.hypot(x, y), 1000, abs_tol=0.2) for x, y in positions)
    assert math.dist(positions[1], positions[2]) > 140


def test_a_line_can_be_turned_and_run_backwards() -> None:
    row = {"line": {"x": 10, "y": 20, "spacing": -50, "angle": 90, "aisle": 30}}
    assert seat_positions(row, [2, 1]) == [(10, 20), (10, -30), (10, -110)]
