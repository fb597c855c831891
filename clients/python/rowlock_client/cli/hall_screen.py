"""The whole screen of `rowlock watch`: what is on, how the connection is, the hall, what happened last.

The hall is drawn place by place; where there is no room for that its sections are listed, until somebody goes nearer.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import compress
from typing import Final

from rich.console import Group as Lines
from rich.style import Style
from rich.text import Text

from rowlock.v1.performance_pb2 import GetPerformanceSeatMapResponse
from rowlock.v1.ticket_type_pb2 import TicketType
from rowlock_client.aio.stream import StreamState
from rowlock_client.cli import hall_camera
from rowlock_client.cli.hall_camera import Camera
from rowlock_client.cli.hall_picture import NAMES, STYLES, Fit, HallPicture, Window, legend
from rowlock_client.cli.hall_places import labels_of, places_of, rows_of
from rowlock_client.cli.hall_tables import Group, groups, prices, table
from rowlock_client.seat_view import AVAILABLE, BLOCKED, HELD, SOLD, SeatMapView, SeatUpdate

_FRESH_SECONDS: Final = 1.0
_CHANGES_SHOWN: Final = 4
_KEPT: Final = 50
_OTHER_LINES: Final = 6
"""Title, status, keys, legend, and an empty line above and below the hall."""
_ROOMY: Final = 30
"""Lines from which on there is one for the prices, too."""
_CROWDED: Final = 12
"""Places that share a character, on average, from which on a drawing says less than a list of sections."""
_SECTIONS_NAMED: Final = 3
_KEYS: Final = "Tab view   + − nearer, farther   arrows move   0 all   q end"

_DOTS: Final = {
    StreamState.LIVE: ("●", "#009e73"),
    StreamState.CONNECTING: ("◌", "#f0e442"),
    StreamState.WAITING: ("◌", "#f0e442"),
    StreamState.ENDED: ("○", "#8a8a8a"),
}


class View(Enum):
    """What is shown of a hall. AUTOMATIC: its places, or its sections where places would be a blur."""

    AUTOMATIC = "automatic"
    PLACES = "places"
    SECTIONS = "sections"
    PRICES = "prices"


_NEXT: Final = {View.PLACES: View.SECTIONS, View.SECTIONS: View.PRICES, View.PRICES: View.PLACES}


@dataclass(frozen=True, slots=True)
class Happening:
    """One place's change, for people; or, without a place, a sentence about the connection."""

    time: datetime
    text: str
    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Feed:
    """How the connection is.

    Attributes:
        state: of the stream.
        connections: how often it was opened.
        silent: seconds since the server was last heard.
    """

    state: StreamState = StreamState.LIVE
    connections: int = 1
    silent: float = 0.0


class HallScreen:
    """Remembers what changed last and where the reader looks, and draws.

    Args:
        title: what is on.
        drawing: the hall.
        types: what is sold, for the prices.
        colours: whether the terminal shows any.
    """

    def __init__(
        self,
        title: str,
        drawing: GetPerformanceSeatMapResponse,
        types: Iterable[TicketType] = (),
        *,
        colours: bool = True,
    ) -> None:
        self._title = title
        self._colours = colours
        self._ids = [seat.id for seat in drawing.seats]
        self._section_of = [seat.section or "(no section)" for seat in drawing.seats]
        self._sections = groups(self._section_of)
        self._seen: list[str] = []
        zones = [seat.zone for seat in drawing.seats]
        self._zones = groups(zones, prices(types, list(dict.fromkeys(zones))))
        self._picture = HallPicture(places_of(drawing), rows_of(drawing), labels_of(drawing))
        self._happenings: deque[Happening] = deque(maxlen=_KEPT)
        self._fresh: dict[int, float] = {}
        self._updates = 0
        self._view = View.AUTOMATIC
        self._camera = Camera()
        self._nearest = False
        self._blurred = False
        self._first = 0
        self._connections = 0
        self._keys = 0

    def seat_id(self, index: int) -> str:
        """What requests call the place."""
        return self._ids[index] if index < len(self._ids) else f"place {index}"

    def note(self, update: SeatUpdate, connections: int = 1) -> None:
        """Remember what an update changed.

        Args:
            update: from the watcher.
            connections: how often the stream was opened by then.
        """
        self._updates += 1
        now, clock = time.monotonic(), datetime.now().astimezone()
        if connections > self._connections > 0:
            how = "a new picture" if update.snapshot else "nothing was missed"
            self._happenings.append(Happening(clock, f"connected again: {how}, revision {update.revision:,}"))
        self._connections = connections
        for change in update.changes:
            self._fresh[change.index] = now
            self._happenings.append(Happening(clock, self.seat_id(change.index), change.before, change.after))

    def press(self, key: str) -> None:
        """Do what a key says: `Tab`, `s`, `p`, and those of the camera."""
        self._keys += 1
        if key == "tab":
            listed = View.SECTIONS if self._lists() else View.PLACES
            self._show(_NEXT[listed if self._view is View.AUTOMATIC else self._view])
        elif key in {"s", "p"}:
            self._show(View.SECTIONS if key == "s" else View.PRICES)
        elif key in hall_camera.KEYS:
            if self._lists() and key in {"up", "down"}:
                self._first = max(0, self._first + (1 if key == "down" else -1))
                return
            if key == "+" or not self._lists():
                self._view = View.PLACES if key not in {"0", "home"} else View.AUTOMATIC
            self._camera.press(key, nearest=self._nearest)

    def looks_like(self, feed: Feed) -> tuple[object, ...]:
        """Something that differs when the screen would."""
        return (self._updates, self._keys, feed.state, int(feed.silent), len(self._fresh_now()))

    def draw(self, view: SeatMapView, size: tuple[int, int], feed: Feed | None = None, *, keys: bool = False) -> Lines:
        """The screen.

        Args:
            view: the seats.
            size: columns and lines.
            feed: how the connection is; None: just now heard.
            keys: whether somebody can press any, and should be told which.
        """
        columns, lines = size
        shown = max(1, min(_CHANGES_SHOWN, lines // 8))
        head = [_zone_line(self._zones, view.states)] if lines >= _ROOMY else []
        middle, dotted = self._middle(view, columns, max(lines - _OTHER_LINES - len(head) - shown, 3))
        parts = [
            Text(self._title, style="bold"),
            self._status(view, feed or Feed()),
            *head,
            Text(""),
            *middle,
            Text(""),
            _counts(view, dotted=dotted, colours=self._colours),
        ]
        last = list(self._happenings)[-shown:]
        parts += [_sentence(happening) for happening in reversed(last)]
        if keys:
            parts += [Text("")] * (lines - 1 - sum(1 + part.plain.count("\n") for part in parts))
            parts.append(Text(_KEYS, style="dim"))
        for part in parts:
            part.no_wrap, part.overflow = True, "crop"
        parts[0].overflow = "ellipsis"
        return Lines(*parts)

    # -- The middle --------------------------------------------------------------------------------------

    def _middle(self, view: SeatMapView, columns: int, room: int) -> tuple[list[Text], bool]:
        """What is between the counts and the legend, and whether places are dots in it."""
        fit = self._picture.fit(*self._camera.canvas(columns, room))
        self._nearest = not fit.dots and self._camera.level > 0
        # `0` and a new size bring the choice back to what can be read.
        self._blurred = self._camera.level == 0 and _crowding(fit) > _CROWDED
        if self._view is View.PRICES:
            return table(self._zones, view.states, columns, room, self._first), False
        if self._lists():
            self._first = min(self._first, max(0, len(self._sections) - 1))
            return table(self._sections, view.states, columns, room, self._first), False
        window = self._camera.window(fit, columns, room) if self._camera.level else None
        self._seen = self._sections_in(fit, window) if window is not None else []
        drawn = self._picture.draw(fit, view.states, self._fresh_now(), window=window, colours=self._colours)
        drawn.end = "\n"
        return [drawn], bool(fit.dots)

    def _sections_in(self, fit: Fit, window: Window) -> list[str]:
        """The sections that most of what is seen belongs to."""
        seen = (window.contains(cell, fit.columns) for cell in fit.cells)
        return [name for name, _ in Counter(compress(self._section_of, seen)).most_common(_SECTIONS_NAMED)]

    def _lists(self) -> bool:
        """Whether sections or prices are listed instead of drawing places."""
        if self._view is View.AUTOMATIC:
            return self._blurred and len(self._sections) > 1
        return self._view is not View.PLACES

    def _show(self, view: View) -> None:
        self._view, self._first = view, 0

    # -- The words ---------------------------------------------------------------------------------------

    def _status(self, view: SeatMapView, feed: Feed) -> Text:
        dot, colour = _DOTS[feed.state]
        text = Text()
        text.append(f"{dot} {feed.state.value}", Style.parse(colour)).append(f"   revision {view.revision:,}")
        text.append(f"   heard {int(feed.silent)} s ago" if feed.silent >= 1 else "   heard just now")
        if feed.connections > 1:
            text.append(f"   connection {feed.connections}")
        if self._camera.level and not self._lists():
            text.append(f"   {self._camera.zoom:g}×  {', '.join(self._seen)}")
        return text

    def _fresh_now(self) -> set[int]:
        limit = time.monotonic() - _FRESH_SECONDS
        self._fresh = {index: at for index, at in self._fresh.items() if at > limit}
        return set(self._fresh)


def _counts(view: SeatMapView, *, dotted: bool, colours: bool) -> Text:
    counts = view.counts
    numbers = {AVAILABLE: counts.available, HELD: counts.held, SOLD: counts.sold, BLOCKED: counts.blocked}
    return legend(dotted=dotted, colours=colours, counts=numbers).append(f"   of {counts.total:,}")


def _zone_line(zones: Sequence[Group], states: Sequence[int]) -> Text:
    """What places cost, and how many of each price are free."""
    text = Text()
    for zone in zones:
        free = sum(states[index] == AVAILABLE for index in zone.indexes if index < len(states))
        text.append(zone.name, "bold").append(f" {zone.note}" if zone.note else "")
        text.append(f" {free:,}", STYLES[AVAILABLE]).append(" free   ")
    return text


def _crowding(fit: Fit) -> float:
    """How many places share a character, on average."""
    return len(fit.cells) / len(set(fit.cells)) if fit.cells else 0.0


def _sentence(happening: Happening) -> Text:
    text = Text.assemble((f"{happening.time:%H:%M:%S}  ", "dim"), happening.text)
    if happening.after:
        text.append("  ")
        if happening.before:
            text.append(NAMES[happening.before], STYLES[happening.before]).append(" → ")
        text.append(NAMES[happening.after], STYLES[happening.after])
    return text
