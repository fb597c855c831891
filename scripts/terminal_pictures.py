"""Draws the pictures of `rowlock watch` and `rowlock gate` in docs/images, from the example halls.

    python scripts/terminal_pictures.py

The screens are those of the programs; who sits where is made up, always alike.
"""

from __future__ import annotations

import io
import json
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from google.type.money_pb2 import Money
from rich.console import Console, RenderableType

from rowlock.v1.performance_pb2 import GetPerformanceSeatMapResponse
from rowlock.v1.seat_feed_pb2 import SeatChange, SeatChanges, SeatSnapshot, WatchSeatsResponse
from rowlock.v1.seat_map_pb2 import SeatState
from rowlock.v1.ticket_type_pb2 import TicketType
from rowlock_client.cli.gate_answers import Answer, Outcome
from rowlock_client.cli.gate_link import Conflict, Link
from rowlock_client.cli.gate_screen import GateView
from rowlock_client.cli.gate_screen import draw as draw_gate
from rowlock_client.cli.hall_screen import HallScreen
from rowlock_client.seat_view import AVAILABLE, BLOCKED, HELD, SOLD, SeatMapView
from server.demo_venue import EVENTS
from server.seats.hall import Hall
from server.services.seat_map_layout import area_messages, seat_messages

ROOT: Final = Path(__file__).parents[1]
IMAGES: Final = ROOT / "docs" / "images"
EVENING: Final = datetime(2030, 3, 14, 19, 2, 11, tzinfo=UTC)
TITLE: Final = "The Tempest — Theatre Royal, Thu 14 Mar 2030 19:30"


def main() -> None:
    """Draw them all."""
    save("live-hall", hall("theatre", f"{TITLE}   performances/3"), (120, 44))
    save("live-sections", hall("arena", "Opening night — Northgate Arena   performances/9"), (80, 24))
    save("live-nearer", hall("arena", "Opening night — Northgate Arena   performances/9", "++++++"), (100, 30))
    save("gate-admitted", gate(ADMITTED), (80, 24))
    save("gate-used", gate(USED, LET_IN), (80, 24))
    save("gate-offline", gate(ALONE, USED, offline=True), (80, 28))


def save(name: str, picture: tuple[HallScreen, SeatMapView, str] | GateView, size: tuple[int, int]) -> None:
    """Write a screen as an SVG file."""
    screen: RenderableType
    if isinstance(picture, GateView):
        screen = draw_gate(picture, size)
    else:
        hall_screen, view, keys = picture
        for key in keys:
            hall_screen.draw(view, size)
            hall_screen.press(key)
        screen = hall_screen.draw(view, size, keys=True)
    console = Console(
        record=True, width=size[0], height=size[1], force_terminal=True, color_system="truecolor", file=io.StringIO()
    )
    console.print(screen)
    program = "gate" if isinstance(picture, GateView) else "watch"
    text = console.export_svg(title=f"rowlock {program}", unique_id=name)
    (IMAGES / f"{name}.svg").write_text(text, encoding="utf-8")


def hall(name: str, title: str, keys: str = "") -> tuple[HallScreen, SeatMapView, str]:
    """An example hall in the middle of its sale."""
    plan = Hall.from_document(json.loads((ROOT / "examples" / f"{name}.json").read_text(encoding="utf-8")))
    places = range(len(plan))
    drawing = GetPerformanceSeatMapResponse(
        place_count=len(plan), areas=area_messages(plan), seats=seat_messages(plan, places)
    )
    (demo,) = (one for one in EVENTS if one.seat_map_file == f"{name}.json")
    types = [
        TicketType(display_name=zone, zones=[zone], price=Money(currency_code="EUR", units=cents // 100))
        for zone, cents in demo.prices.items()
    ]
    states = sold(drawing)
    view = SeatMapView()
    view.apply(WatchSeatsResponse(revision=411, snapshot=SeatSnapshot(states=bytes(states))))
    screen = HallScreen(title, drawing, types)
    free = [index for index in places if states[index] == AVAILABLE][:2]
    changes = [SeatChange(index=index, state=SeatState.ValueType(HELD)) for index in free]
    update = view.apply(WatchSeatsResponse(revision=412, changes=SeatChanges(changes=changes)))
    if update is not None:
        screen.note(update)
    return screen, view, keys


def sold(drawing: GetPerformanceSeatMapResponse) -> bytearray:
    """States as a sale leaves them: the places near the front and the middle go first, mostly two by two."""
    chance = random.Random(7)
    middle = sum(seat.x for seat in drawing.seats) / len(drawing.seats)
    wide = max(abs(seat.x - middle) for seat in drawing.seats) or 1.0
    deep = max(seat.y for seat in drawing.seats) or 1.0
    states = bytearray([AVAILABLE]) * len(drawing.seats)
    for first in range(0, len(states) - 1, 2):
        seat = drawing.seats[first]
        liked = math.exp(-2 * (abs(seat.x - middle) / wide) ** 2 - 1.5 * seat.y / deep)
        drawn = chance.random()
        state = SOLD if drawn < 0.8 * liked else HELD if drawn < 0.9 * liked else AVAILABLE
        states[first : first + 2] = bytes([state]) * 2
    for index in chance.sample(range(len(states)), len(states) // 80):
        states[index] = BLOCKED
    return states


def said(outcome: Outcome, seconds: int, seat: str, kind: str, detail: str = "", *, offline: bool = False) -> Answer:
    """An answer so many seconds ago."""
    return Answer(outcome, EVENING - timedelta(seconds=seconds), seat, kind, detail, offline=offline)


LET_IN: Final = said(Outcome.ADMITTED, 9, "Stalls · row F · seat 11", "Concession")
ADMITTED: Final = said(Outcome.ADMITTED, 0, "Stalls · row F · seat 12", "Adult")
USED: Final = said(Outcome.ALREADY_USED, 0, "Circle · row B · seat 4", "", "first used 18:51:40 · South")
ALONE: Final = said(Outcome.ADMITTED, 0, "Boxes left · row Box 3 · seat 2", "Box", offline=True)
BEFORE: Final = (
    said(Outcome.ADMITTED, 14, "Stalls · row F · seat 10", "Adult"),
    said(Outcome.WRONG_PERFORMANCE, 31, "", "", "it is for The Tempest — Theatre Royal, Fri 15 Mar 2030 19:30"),
    said(Outcome.ADMITTED, 44, "Balcony · row A · seat 21", "Adult"),
)


def gate(*answers: Answer, offline: bool = False) -> GateView:
    """A gate that has just given these answers, the newest first."""
    return GateView(
        title=TITLE,
        place="North",
        link=Link.OFFLINE if offline else Link.ONLINE,
        link_since=EVENING - timedelta(minutes=3),
        trouble="",
        list_time=EVENING - timedelta(minutes=3, seconds=4),
        waiting=17 if offline else 0,
        admitted=731,
        expected=1104,
        answer=answers[0],
        asking=False,
        typed=0,
        last=[*answers, *BEFORE],
        conflicts=[Conflict("Stalls · row K · seat 3", EVENING - timedelta(minutes=9), CONFLICT)] if offline else [],
        notice="",
        may_undo=True,
    )


CONFLICT: Final = "already checked in, first used 18:50:02 · South"

if __name__ == "__main__":
    main()
