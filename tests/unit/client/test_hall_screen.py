"""The screen of a hall: views, keys, sizes, with colours and without."""

import io

import pytest
from google.type.money_pb2 import Money
from rich.cells import cell_len
from rich.console import Console

from rowlock.v1.performance_pb2 import GetPerformanceSeatMapResponse
from rowlock.v1.seat_feed_pb2 import SeatChange, SeatChanges, SeatSnapshot, WatchSeatsResponse
from rowlock.v1.ticket_type_pb2 import TicketType
from rowlock_client.aio.stream import StreamState
from rowlock_client.cli.hall_camera import Camera
from rowlock_client.cli.hall_picture import GLYPHS, HallPicture
from rowlock_client.cli.hall_places import labels_of, places_of, rows_of
from rowlock_client.cli.hall_screen import Feed, HallScreen
from rowlock_client.cli.hall_tables import groups, prices, table
from rowlock_client.seat_view import AVAILABLE, BLOCKED, HELD, SOLD, SeatMapView
from tests.unit.client.test_hall_picture import drawing

SIZES = [(200, 60), (120, 40), (80, 24), (40, 12), (12, 5)]
TYPES = [
    TicketType(display_name="Adult", price=Money(currency_code="EUR", units=45)),
    TicketType(display_name="Concession", price=Money(currency_code="EUR", units=30)),
]


@pytest.fixture(scope="module", params=["cinema", "theatre", "arena"])
def hall(request: pytest.FixtureRequest) -> GetPerformanceSeatMapResponse:
    return drawing(request.param)


def view_of(hall: GetPerformanceSeatMapResponse) -> SeatMapView:
    view = SeatMapView()
    states = (bytes((AVAILABLE, AVAILABLE, SOLD, HELD, AVAILABLE, SOLD, BLOCKED)) * hall.place_count)[
        : hall.place_count
    ]
    view.apply(WatchSeatsResponse(revision=7, snapshot=SeatSnapshot(states=states)))
    return view


def lines_of(screen: HallScreen, view: SeatMapView, size: tuple[int, int], feed: Feed | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=size[0], height=size[1])
    with console.capture() as captured:
        console.print(screen.draw(view, size, feed, keys=True))
    return captured.get().splitlines()


LONG_WAY = ("+", "right", "right", "right", "right", "right", "up", "up", "up", "up", "-", "-")


@pytest.mark.parametrize("size", SIZES)
def test_whatever_is_pressed_the_screen_keeps_to_its_size(
    hall: GetPerformanceSeatMapResponse, size: tuple[int, int]
) -> None:
    screen, view = HallScreen("A Play", hall, TYPES), view_of(hall)
    for key in ("", "+", "right", "down", "+", "page-down", "up", "-", "left", "tab", "down", "tab", "up", "tab", "0"):
        screen.press(key)
        lines = lines_of(screen, view, size)
        assert len(lines) <= max(size[1], 10), key
        assert all(cell_len(line) <= size[0] for line in lines), key


def test_a_hall_that_would_be_a_blur_is_listed_by_section_until_somebody_goes_nearer() -> None:
    arena = drawing("arena")
    screen, view = HallScreen("A Play", arena), view_of(arena)

    overview = "\n".join(lines_of(screen, view, (80, 24)))
    assert "Floor" in overview
    assert "of 3,500" in overview
    screen.press("+")
    assert "\u2800" < max("\n".join(lines_of(screen, view, (80, 24)))) <= "\u28ff"
    screen.press("0")
    assert "of 3,500" in "\n".join(lines_of(screen, view, (80, 24)))


def test_near_enough_each_place_has_a_character_of_its_own() -> None:
    arena = drawing("arena")
    screen, view = HallScreen("A Play", arena), view_of(arena)
    text = ""
    for _ in range(8):
        screen.press("+")
        text = "\n".join(lines_of(screen, view, (120, 40)))

    assert all(glyph in text for glyph in GLYPHS.values())
    assert "×  Floor" in text, "what is seen has a name"
    before = text
    screen.press("right")
    assert "\n".join(lines_of(screen, view, (120, 40))) != before


def test_prices_stand_by_their_zones() -> None:
    theatre = drawing("theatre")
    screen, view = HallScreen("A Play", theatre, TYPES), view_of(theatre)
    assert "Premium 30.00–45.00 EUR" in "\n".join(lines_of(screen, view, (120, 40)))

    screen.press("p")

    assert "30.00–45.00 EUR" in "\n".join(lines_of(screen, view, (80, 24)))


def test_the_feed_is_told_and_so_is_going_on_after_a_lost_connection() -> None:
    cinema = drawing("cinema")
    screen, view = HallScreen("A Play", cinema), view_of(cinema)
    update = view.apply(
        WatchSeatsResponse(revision=8, changes=SeatChanges(changes=[SeatChange(index=0, state=HELD)]))  # type: ignore[arg-type]
    )
    assert update is not None
    screen.note(update, 1)
    waiting = "\n".join(lines_of(screen, view, (120, 40), Feed(StreamState.WAITING, 1, 12.3)))
    assert "waiting to reconnect" in waiting
    assert "heard 12 s ago" in waiting
    assert "free → held" in waiting

    update = view.apply(
        WatchSeatsResponse(revision=9, changes=SeatChanges(changes=[SeatChange(index=1, state=SOLD)]))  # type: ignore[arg-type]
    )
    assert update is not None
    screen.note(update, 2)
    again = "\n".join(lines_of(screen, view, (120, 40), Feed(StreamState.LIVE, 2, 0)))
    assert "connected again: nothing was missed, revision 9" in again
    assert "heard just now" in again
    assert "connection 2" in again


def test_without_colours_free_spots_are_points_and_taken_places_dots() -> None:
    arena = drawing("arena")
    picture = HallPicture(places_of(arena), rows_of(arena), labels_of(arena))
    fit = picture.fit(150, 45)
    states = bytearray([AVAILABLE]) * arena.place_count

    free = picture.draw(fit, states, colours=False).plain
    assert "·" in free
    assert not any("\u2800" < letter <= "\u28ff" for letter in free)
    states[5_000] = SOLD
    assert sum("\u2800" < letter <= "\u28ff" for letter in picture.draw(fit, states, colours=False).plain) == 1


@pytest.mark.parametrize("keys", [LONG_WAY[:count] for count in range(len(LONG_WAY) + 1)])
def test_the_camera_never_leaves_the_hall(keys: tuple[str, ...]) -> None:
    cinema = drawing("cinema")
    picture, camera = HallPicture(places_of(cinema)), Camera()
    for key in keys:
        camera.press(key, nearest=False)

    fit = picture.fit(*camera.canvas(80, 18))
    window = camera.window(fit, 80, 18)

    assert window.left >= 0
    assert window.top >= 0
    assert window.left + window.columns <= fit.columns
    assert window.top + window.lines <= fit.lines


def test_to_the_edge_and_back_is_as_many_keys() -> None:
    camera = Camera()
    camera.press("+", nearest=False)
    camera.press("+", nearest=False)
    for _ in range(50):
        camera.press("right", nearest=False)
    edge = camera.across
    camera.press("left", nearest=False)

    assert camera.across < edge


def test_a_table_has_a_glyph_for_whatever_there_is() -> None:
    names = ["A"] * 1000 + ["B"] * 2
    states = bytes([AVAILABLE]) * 998 + bytes((SOLD, HELD, SOLD, SOLD))
    text = "\n".join(line.plain for line in table(groups(names), states, 80, 10))

    assert "●◐○" in text
    assert "998 of 1,000" in text
    assert "0 of     2" in text
    assert "more: ↓" in table(groups([str(n) for n in range(100)]), bytes([AVAILABLE]) * 100, 60, 5)[-1].plain
    assert table([], b"", 80, 10) == []


def test_a_ticket_type_without_zones_is_for_all() -> None:
    gold = TicketType(price=Money(currency_code="EUR", units=99), zones=["Gold"])

    assert prices([*TYPES, gold], ["Gold", "Silver"]) == {"Gold": "30.00–99.00 EUR", "Silver": "30.00–45.00 EUR"}
