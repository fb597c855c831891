"""The hall as characters: halls of every size, in terminals of every size."""

import json
from pathlib import Path

import pytest

from rowlock.v1.performance_pb2 import GetPerformanceSeatMapResponse
from rowlock.v1.seat_map_pb2 import Area
from rowlock_client.cli.hall_picture import GLYPHS, HallPicture, legend
from rowlock_client.cli.hall_places import labels_of, places_of, rows_of, spread
from rowlock_client.seat_view import AVAILABLE, BLOCKED, HELD, SOLD
from server.seats.hall import Hall
from server.services.seat_map_layout import area_messages, seat_messages

EXAMPLES = Path(__file__).parents[3] / "examples"


def drawing(name: str) -> GetPerformanceSeatMapResponse:
    hall = Hall.from_document(json.loads((EXAMPLES / f"{name}.json").read_text()))
    return GetPerformanceSeatMapResponse(
        place_count=len(hall), areas=area_messages(hall), seats=seat_messages(hall, range(len(hall)))
    )


@pytest.fixture(scope="module", params=["cinema", "theatre", "arena"])
def hall(request: pytest.FixtureRequest) -> GetPerformanceSeatMapResponse:
    return drawing(request.param)


def picture_of(hall: GetPerformanceSeatMapResponse) -> HallPicture:
    return HallPicture(places_of(hall), rows_of(hall), labels_of(hall))


@pytest.mark.parametrize("size", [(200, 60), (120, 40), (80, 24), (40, 12), (10, 4), (1, 1)])
def test_every_place_is_within_the_picture(hall: GetPerformanceSeatMapResponse, size: tuple[int, int]) -> None:
    fit = picture_of(hall).fit(*size)

    assert len(fit.cells) == hall.place_count
    assert all(0 <= cell < fit.columns * fit.lines for cell in fit.cells)
    assert fit.lines <= size[1]
    lines = picture_of(hall).draw(fit, bytes([AVAILABLE] * hall.place_count)).plain.split("\n")
    assert len(lines) == fit.lines
    assert all(len(line) <= size[0] for line in lines)


@pytest.mark.parametrize(("name", "size"), [("cinema", (60, 15)), ("theatre", (140, 48)), ("theatre", (110, 31))])
def test_where_there_is_room_each_place_is_a_character_of_its_own(name: str, size: tuple[int, int]) -> None:
    hall = drawing(name)
    picture = picture_of(hall)
    fit = picture.fit(*size)
    states = bytearray([AVAILABLE]) * hall.place_count
    states[0], states[1], states[2] = HELD, SOLD, BLOCKED

    drawn = picture.draw(fit, states).plain

    assert not fit.dots
    assert len(set(fit.cells)) == hall.place_count
    assert drawn.count(GLYPHS[AVAILABLE]) == hall.place_count - 3
    assert [drawn.count(GLYPHS[state]) for state in (HELD, SOLD, BLOCKED)] == [1, 1, 1]


def test_where_there_is_none_places_are_dots_and_each_taken_one_is_seen() -> None:
    hall = drawing("arena")
    picture = picture_of(hall)
    fit = picture.fit(150, 45)
    free = picture.draw(fit, bytes([AVAILABLE]) * hall.place_count)
    one = bytearray([AVAILABLE]) * hall.place_count
    one[5_000] = SOLD

    assert fit.dots
    assert any("\u2800" < letter <= "\u28ff" for letter in free.plain)
    assert picture.draw(fit, one) != free


def test_what_changed_just_now_stands_out() -> None:
    hall = drawing("cinema")
    picture = picture_of(hall)
    fit = picture.fit(80, 24)
    states = bytes([AVAILABLE]) * hall.place_count

    assert picture.draw(fit, states, {7}) != picture.draw(fit, states)


def test_a_hall_without_places_is_drawn_empty() -> None:
    assert HallPicture([]).draw(HallPicture([]).fit(80, 24), b"").plain.strip() == ""


def test_the_legend_names_every_state() -> None:
    for dotted in (False, True):
        assert all(word in legend(dotted=dotted).plain for word in ("free", "held", "sold", "blocked"))


@pytest.mark.parametrize(
    "area",
    [
        Area(x=10, y=20, rotation=30, rectangle=Area.Rectangle(width=50, height=20)),
        Area(x=10, y=20, circle=Area.Circle(radius=30)),
        Area(x=10, y=20, rotation=90, ellipse=Area.Ellipse(radius_x=40, radius_y=10)),
        Area(
            x=5,
            y=5,
            polygon=Area.Polygon(points=[Area.Point(x=0, y=0), Area.Point(x=50, y=0), Area.Point(x=0, y=50)]),
        ),
    ],
)
@pytest.mark.parametrize("count", [1, 7, 500, 6000])
def test_standing_places_are_spread_over_their_area(area: Area, count: int) -> None:
    points = spread(area, count)

    assert len(points) == len(set(points)) == count
    across = [x for x, _ in points]
    if count == 500:
        assert max(across) - min(across) > 15


def test_an_area_without_extent_spreads_nothing() -> None:
    assert spread(Area(text=Area.Label(text="Stage")), 5) == []
    assert len(spread(Area(rectangle=Area.Rectangle(width=0, height=0)), 5)) in {0, 5}
