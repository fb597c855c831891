"""A seat map file with faults is refused with every fault and its path; a good one is taken as it is."""

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.seats import seat_map_file, seat_map_import
from server.seats.hall import Hall
from server.seats.seat_map_faults import MAX_FAULTS, SeatMapFileError
from tests.unit.seats.test_hall import DOCUMENT


def refuse(document: Any) -> dict[str, str]:
    """The faults of a document, by path."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(SeatMapFileError) as caught:
        seat_map_file.read(data)
    assert caught.value.total >= len(caught.value.faults)
    return {fault.path: fault.message for fault in caught.value.faults}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good document with one value replaced (or removed: `...`). Path parts are separated by dots."""
    document = copy.deepcopy(DOCUMENT)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    node: Any = document
    for part in parents:
        node = node[part]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return document


def test_a_good_file_is_taken_as_it_is() -> None:
    assert seat_map_file.read(json.dumps(DOCUMENT).encode()) == DOCUMENT
    assert seat_map_import.read(b"\xef\xbb\xbf" + json.dumps(DOCUMENT).encode()) == DOCUMENT


ROW_A = "sections.0.rows.0"
ROW_B = "sections.0.rows.1"
AREA = "sections.0.areas.0"


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("format", "other", "format"),
        ("version", 2, "version"),
        ("name", "", "name"),
        ("name", " x", "name"),
        ("name", "x" * 201, "name"),
        ("name", ..., "name"),
        ("name", 7, "name"),
        ("name", "a\x00b", "name"),
        ("name", "a\nb", "name"),
        ("name", "a\u202eb", "name"),
        ("name", "a\ud800b", "name"),
        ("size", ..., "size"),
        ("size.width", 0, "size.width"),
        ("size.width", "9", "size.width"),
        ("size.height", True, "size.height"),
        ("size.depth", 3, "size.depth"),
        ("colour", "#ffffff", "colour"),
        ("focus", {"x": 1}, "focus.y"),
        ("focus", None, "focus"),
        ("zones.0.color", "red", "zones[0].color"),
        ("sections.0.name", ..., "sections[0].name"),
        ("sections.0.seats", [], "sections[0].seats"),
        (f"{ROW_A}.label", "x" * 65, "sections[0].rows[0].label"),
        (f"{ROW_A}.zone", "Platinum", "sections[0].rows[0].zone"),
        (f"{ROW_A}.seats", [], "sections[0].rows[0].seats"),
        (f"{ROW_A}.seats.0.number", 1, "sections[0].rows[0].seats[0].number"),
        (f"{ROW_A}.seats.2.zone", "Platinum", "sections[0].rows[0].seats[2].zone"),
        (f"{ROW_A}.seats.1.x", -1, "sections[0].rows[0].seats[1].x"),
        (f"{ROW_A}.seats.1.x", 1001, "sections[0].rows[0].seats[1].x"),
        (f"{ROW_A}.seats.1.y", float("nan"), "sections[0].rows[0].seats[1].y"),
        (f"{ROW_A}.seats.1.y", float("inf"), "sections[0].rows[0].seats[1].y"),
        (f"{ROW_A}.seats.1.y", 10**400, "sections[0].rows[0].seats[1].y"),
        (f"{ROW_A}.seats.1.y", ..., "sections[0].rows[0].seats[1].y"),
        (f"{ROW_A}.seats.1.accessible", "yes", "sections[0].rows[0].seats[1].accessible"),
        (f"{ROW_A}.seats.1.number", "1", "sections[0].rows[0].seats[1]"),
        (f"{ROW_A}.seats.1.id", "best", "sections[0].rows[0].seats[2]"),
        (f"{ROW_A}.seats.1.id", "", "sections[0].rows[0].seats[1].id"),
        (f"{ROW_A}.seats.2.id", "Floor-0002", "sections[0].areas[0].name"),
        (f"{ROW_A}.seats.1.id", "i" * 129, "sections[0].rows[0].seats[1].id"),
        (f"{ROW_A}.numbers", "1-3", "sections[0].rows[0]"),
        (f"{ROW_B}.numbers", "1-x", "sections[0].rows[1].numbers"),
        (f"{ROW_B}.numbers", "1-2|2-4", "sections[0].rows[1].numbers"),
        (f"{ROW_B}.line.spacing", 0, "sections[0].rows[1].line.spacing"),
        (f"{ROW_B}.line.spacing", 900, "sections[0].rows[1].line"),
        (f"{ROW_B}.line.angle", None, "sections[0].rows[1].line.angle"),
        (f"{ROW_B}.line.radius", 5, "sections[0].rows[1].line.radius"),
        (f"{ROW_B}.line", ..., "sections[0].rows[1]"),
        (f"{ROW_B}.line", 4, "sections[0].rows[1].line"),
        (f"{ROW_B}.arc", {}, "sections[0].rows[1]"),
        (f"{ROW_B}.accessible", "9", "sections[0].rows[1].accessible"),
        (f"{ROW_B}.other_zones.Platinum", "1", "sections[0].rows[1].other_zones.Platinum"),
        (f"{ROW_B}.other_zones.Silver", "2", "sections[0].rows[1].other_zones.Silver"),
        (f"{ROW_B}.other_zones", [], "sections[0].rows[1].other_zones"),
        (f"{ROW_B}.zone", ..., "sections[0].rows[1].zone"),
        (f"{AREA}.capacity", 0, "sections[0].areas[0].capacity"),
        (f"{AREA}.capacity", 50_001, "sections[0].areas[0].capacity"),
        (f"{AREA}.capacity", 2.5, "sections[0].areas[0].capacity"),
        (f"{AREA}.zone", ..., "sections[0].areas[0].zone"),
        (f"{AREA}.shape.kind", "point", "sections[0].areas[0].shape.kind"),
        (f"{AREA}.shape.width", ..., "sections[0].areas[0].shape.width"),
        ("decorations.2.shape.points", [[0, 0], [1, 1]], "decorations[2].shape.points"),
        ("decorations.2.shape.points.1", [1, "2"], "decorations[2].shape.points[1]"),
        ("decorations.0.shape", ..., "decorations[0].shape"),
        ("decorations.0.fill", "#12345", "decorations[0].fill"),
        ("decorations.0.text", "x" * 500, "decorations[0].text"),
    ],
)
def test_each_fault_is_named_by_its_path(path: str, value: Any, fault: str) -> None:
    assert list(refuse(changed(path, value))) == [fault]


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [("zones", {}, "zones"), ("zones.0", "Gold", "zones[0]"), ("zones.1.name", "Gold", "zones[1].name")],
)
def test_a_zone_that_is_missing_is_named_before_the_seats_that_want_it(path: str, value: Any, fault: str) -> None:
    faults = list(refuse(changed(path, value)))
    assert faults[0] == fault
    assert all(later.endswith((".zone", ".Gold", ".Silver")) for later in faults[1:])


def test_all_faults_are_named_at_once() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["zones"][0]["color"] = "gold"
    document["sections"][0]["rows"][0]["seats"][1]["zone"] = "Platinum"
    document["sections"][0]["rows"][1]["line"]["x"] = "left"
    document["sections"][0]["areas"][0]["capacity"] = -5
    document["decorations"][3]["text"] = "\u2066"
    assert refuse(document) == {
        "zones[0].color": "must be a colour such as #1f77b4",
        "sections[0].rows[0].seats[1].zone": 'unknown zone "Platinum"',
        "sections[0].rows[1].line.x": "must be a number",
        "sections[0].areas[0].capacity": "must be at least 1 and at most 50000",
        "decorations[3].text": "contains the forbidden character U+2066",
    }


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON at line 1, column 1"),
        (b"{", "not JSON at line 1, column 2"),
        (b"\xff\xfe{}", "not UTF-8 at byte 0"),
        (b"[]", "must be an object"),
        (b"null", "must be an object"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"version": ' + b"9" * 5_000 + b"}", "too many digits"),
        (b" " * (32 * 1024 * 1024 + 1), "at most 33554432 are read"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_json_object_is_refused_as_a_whole(data: bytes, message: str) -> None:
    faults = refuse(data)
    assert list(faults) == ["$"]
    assert message in faults["$"]


def test_nesting_inside_the_file_is_bounded() -> None:
    deep: Any = []
    for _ in range(40):
        deep = [deep]
    assert any("nested deeper than 20" in message for message in refuse({**DOCUMENT, "decorations": deep}).values())


def test_a_key_that_is_given_twice_is_a_fault() -> None:
    text = json.dumps(DOCUMENT).replace('"label": "A",', '"label": "A", "label": "Z", "zone": "Gold",')
    assert refuse(text.encode()) == {
        "sections[0].rows[0].label": "is given twice",
        "sections[0].rows[0].zone": "is given twice",
    }


def test_a_key_from_the_file_cannot_forge_a_message() -> None:
    assert list(refuse({**DOCUMENT, "evil\n\u202e" + "x" * 100: 1})) == ['["evil\\n\\u202e' + "x" * 34 + '"]']


def test_a_map_without_places_is_refused() -> None:
    assert refuse({**DOCUMENT, "sections": []}) == {"sections": "the map has no places"}
    assert "sections" in refuse({**DOCUMENT, "sections": [{"name": "Empty"}]})


def test_only_the_first_faults_are_kept_and_all_are_counted() -> None:
    rows = [{"label": "A", "seats": [{"number": str(n)} for n in range(700)]} for _ in range(2)]
    with pytest.raises(SeatMapFileError) as caught:
        seat_map_file.read(json.dumps({**DOCUMENT, "sections": [{"name": "S", "rows": rows}]}).encode())
    assert len(caught.value.faults) == MAX_FAULTS
    assert caught.value.total >= 3 * 1400
    assert f"(and {caught.value.total - 1} more)" in str(caught.value)


def test_a_small_file_cannot_ask_for_more_places_than_are_allowed() -> None:
    row = {
        "zone": "Gold",
        "numbers": "1-2000",
        "line": {"x": 0, "y": 1, "spacing": 0.5},
    }
    rows = [{"label": str(number), **row} for number in range(5_000)]
    faults = refuse({**DOCUMENT, "sections": [{"name": "S", "rows": rows}]})
    assert faults == {"sections[0].rows[50]": "the map has more than 100000 places from here on"}


def test_areas_count_towards_the_limit() -> None:
    shape = {"kind": "circle", "x": 1, "y": 1, "radius": 1}
    areas = [{"name": f"F{n}", "zone": "Gold", "capacity": 50_000, "shape": shape} for n in range(3)]
    faults = refuse({**DOCUMENT, "sections": [{"name": "S", "areas": areas}]})
    assert list(faults) == ["sections[0].areas[2]"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def paths(node: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [prefix, *(path for key, value in items for path in paths(value, (*prefix, key)))]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(paths(DOCUMENT)[1:]), json_values)
def test_any_wrong_value_anywhere_is_either_refused_or_loads(path: tuple[Any, ...], value: Any) -> None:
    document = copy.deepcopy(DOCUMENT)
    node: Any = document
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    with contextlib.suppress(SeatMapFileError):
        checked = seat_map_file.read(json.dumps(document).encode())
        Hall.from_document(checked)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_refused_in_order(data: bytes) -> None:
    with pytest.raises(SeatMapFileError):
        seat_map_import.read(data)


def test_the_map_in_the_documentation_is_a_good_file() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "seat-maps.md").read_text(encoding="utf-8")
    example = page.split("```json\n")[1].split("```")[0]
    assert len(Hall.from_document(seat_map_file.read(example.encode()))) == 131
