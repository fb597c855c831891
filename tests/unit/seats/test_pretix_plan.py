"""A pretix seating plan becomes a seat map; its faults are named by path, all at once."""

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.seats import pretix_plan, seat_map_file, seat_map_import
from server.seats.hall import Hall
from server.seats.seat_map_faults import Faults, SeatMapFileError
from tests.unit.seats.test_seat_map_file import json_values, paths

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def seat(guid: str, number: str, x: float, y: float = 0, category: str = "Stalls") -> dict[str, Any]:
    return {
        "seat_guid": guid,
        "seat_number": number,
        "position": {"x": x, "y": y},
        "category": category,
        "radius": 10,
        "start_direction": "right",
        "uuid": "editors add their own keys",
    }


PLAN: dict[str, Any] = {
    "name": "Grosser Saal",
    "size": {"width": 600, "height": 500},
    "categories": [{"name": "Stalls", "color": "red"}, {"name": "Circle", "color": "#0AF"}, {"name": "Spare"}],
    "zones": [
        {
            "name": "Main",
            "zone_id": "m",
            "position": {"x": 100, "y": 50},
            "rows": [
                {
                    "row_number": "A",
                    "row_label": "Row %s",
                    "position": {"x": 20, "y": 30},
                    "seats": [seat(f"g{n}", str(n), x) for n, x in enumerate((0, 30, 60, 120, 150), 1)],
                },
                {"row_number": "B", "seats": [seat("g6", "1", 5.5, 100, "Circle")]},
            ],
            "areas": [
                {
                    "shape": "rectangle",
                    "color": "#cccccc",
                    "border_color": "rgba(0,0,0,0)",
                    "rotation": -90,
                    "position": {"x": 10, "y": 0},
                    "rectangle": {"width": 200, "height": 20},
                    "text": {"text": "Bühne", "position": {"x": 100, "y": 10}, "color": "#000", "size": 12},
                },
                {"shape": "circle", "position": {"x": 1, "y": 2}, "circle": {"radius": 5}},
                {"shape": "ellipse", "position": {"x": 1, "y": 2}, "ellipse": {"radius": {"x": 5, "y": 2}}},
                {
                    "shape": "polygon",
                    "position": {"x": 1, "y": 2},
                    "polygon": {"points": [{"x": 0, "y": 0}, {"x": 9, "y": 0}, {"x": 9, "y": 9}]},
                },
                {"shape": "text", "position": {"x": 1, "y": 2}, "text": {"text": "Exit"}},
                {"width": 5, "height": 6, "position": {"x": 1, "y": 2}, "text": "Bar"},
            ],
        },
        {"name": "Only drawn", "position": {"x": 0, "y": 0}, "rows": []},
    ],
}


def load(plan: Any) -> Hall:
    return Hall.from_document(pretix_plan.read(json.dumps(plan).encode()))


def test_zones_become_sections_categories_become_price_zones_and_positions_add_up() -> None:
    hall = load(PLAN)
    assert hall.name == "Grosser Saal"
    assert [section.name for section in hall.sections] == ["Main"]
    assert [(zone.name, zone.color) for zone in hall.zones[:2]] == [("Stalls", "#ff0000"), ("Circle", "#00aaff")]
    place = hall.places[hall.index_of["g2"]]
    assert (place.section, place.row, place.number, place.zone) == ("Main", "Row A", "2", "Stalls")
    assert (place.x, place.y) == (150, 80)
    assert (hall.places[5].row, hall.places[5].x, hall.places[5].y) == ("B", 105.5, 150)
    assert hall.size == (600, 500)


def test_an_aisle_is_where_seats_stand_further_apart_than_usual() -> None:
    assert load(PLAN).rows[0].runs == (range(3), range(3, 5))


def test_areas_are_drawn_and_the_stage_is_what_the_audience_looks_at() -> None:
    hall = load(PLAN)
    assert [decoration.shape.kind for decoration in hall.decorations] == [
        "rectangle",
        "point",
        "circle",
        "ellipse",
        "polygon",
        "point",
        "rectangle",
        "point",
    ]
    assert hall.decorations[0].fill == "#cccccc"
    assert hall.decorations[0].stroke == ""
    assert hall.decorations[0].shape.rotation == 270
    assert [decoration.text for decoration in hall.decorations if decoration.text] == ["Bühne", "Exit", "Bar"]
    assert hall.focus == (210, 60)


def test_an_imported_plan_is_a_good_file_of_our_own() -> None:
    document = pretix_plan.read(json.dumps(PLAN).encode())
    assert seat_map_file.check(document, Faults()) == document
    assert seat_map_import.read(json.dumps(PLAN).encode()) == document


def test_zones_of_one_name_are_one_section_and_a_nameless_one_gets_a_name() -> None:
    plan = copy.deepcopy(PLAN)
    second = {"position": {"x": 0, "y": 0}, "rows": [{"row_number": "", "seats": [seat("z", "1", 1)]}]}
    third = {"name": "Main", "position": {"x": 0, "y": 0}, "rows": [{"row_number": "C", "seats": [seat("y", "1", 1)]}]}
    plan["zones"] += [second, third]
    hall = load(plan)
    assert [section.name for section in hall.sections] == ["Main", "Zone 3"]
    assert hall.places[6].row == "C"
    assert hall.places[7].row == "1"


def test_a_plan_without_size_or_with_seats_outside_of_it_is_drawn_whole() -> None:
    plan = copy.deepcopy(PLAN)
    del plan["size"]
    plan["zones"][0]["position"] = {"x": -500, "y": 50}
    hall = load(plan)
    assert min(place.x for place in hall.places) == 30
    assert hall.size[0] > max(place.x for place in hall.places)
    assert relative(hall) == relative(load(PLAN))


def relative(hall: Hall) -> list[tuple[float, float]]:
    """Every seat relative to the first."""
    first = hall.places[0]
    return [(round(place.x - first.x, 1), round(place.y - first.y, 1)) for place in hall.places]


def test_the_example_plan_has_the_seats_of_the_cinema() -> None:
    ours = Hall.from_document(seat_map_import.read((EXAMPLES / "cinema.json").read_bytes()))
    plan = Hall.from_document(seat_map_import.read((EXAMPLES / "cinema.pretix.json").read_bytes()))
    for one, other in zip(ours.places, plan.places, strict=True):
        assert (one.id, one.section, one.row, one.number, one.zone) == (
            other.id,
            other.section,
            other.row,
            other.number,
            other.zone,
        )
        assert one.x == pytest.approx(other.x)
        assert one.y == pytest.approx(other.y)
    assert [row.runs for row in ours.rows] == [row.runs for row in plan.rows]


def test_all_faults_are_named_at_once() -> None:
    plan = copy.deepcopy(PLAN)
    main = plan["zones"][0]
    main["rows"][0]["seats"][1]["category"] = "Balcony"
    main["rows"][0]["seats"][2]["seat_guid"] = "g1"
    main["rows"][0]["seats"][3]["position"] = {"x": "left", "y": 1e999}
    main["rows"][0]["seats"][4]["seat_number"] = "\x07"
    del main["rows"][1]["row_number"]
    main["areas"][0]["shape"] = "star"
    main["areas"][1]["circle"] = {}
    main["areas"][3]["polygon"]["points"].pop()
    plan["zones"][1]["position"] = None
    plan["categories"][2]["name"] = "Circle"
    with pytest.raises(SeatMapFileError) as caught:
        pretix_plan.read(json.dumps(plan).encode())
    assert {fault.path for fault in caught.value.faults} == {
        "categories[2].name",
        "zones[0].rows[0].seats[1].category",
        "zones[0].rows[0].seats[2].seat_guid",
        "zones[0].rows[0].seats[3].position.x",
        "zones[0].rows[0].seats[3].position.y",
        "zones[0].rows[0].seats[4].seat_number",
        "zones[0].rows[1].row_number",
        "zones[0].areas[0].shape",
        "zones[0].areas[1].circle.radius",
        "zones[0].areas[3].polygon.points",
        "zones[1].position",
    }


@pytest.mark.parametrize("key", ["name", "categories", "zones"])
def test_what_a_plan_needs_must_be_there(key: str) -> None:
    with pytest.raises(SeatMapFileError) as caught:
        pretix_plan.read(json.dumps({k: v for k, v in PLAN.items() if k != key}).encode())
    assert caught.value.faults[0].path == key


def test_a_plan_without_seats_is_refused() -> None:
    with pytest.raises(SeatMapFileError, match="the plan has no seats"):
        pretix_plan.read(json.dumps({**PLAN, "zones": PLAN["zones"][1:]}).encode())


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(paths(PLAN)[1:]), json_values)
def test_any_wrong_value_anywhere_is_either_refused_or_loads(path: tuple[Any, ...], value: Any) -> None:
    plan = copy.deepcopy(PLAN)
    node: Any = plan
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    with contextlib.suppress(SeatMapFileError):
        hall = load(plan)
        assert all(0 <= place.x <= hall.size[0] and 0 <= place.y <= hall.size[1] for place in hall.places)
