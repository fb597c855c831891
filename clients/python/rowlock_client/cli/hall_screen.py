"""The whole screen of `rowlock watch`: what is on, how the connection is, the hall, what happened last."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.console import Group
from rich.text import Text

from rowlock.v1.performance_pb2 import GetPerformanceSeatMapResponse
from rowlock_client.aio.stream import StreamState
from rowlock_client.cli.hall_picture import NAMES, STYLES, HallPicture, legend
from rowlock_client.cli.hall_places import labels_of, places_of, rows_of
from rowlock_client.seat_view import AVAILABLE, BLOCKED, HELD, SOLD, SeatMapView, SeatUpdate

_FRESH_SECONDS: Final = 1.0
_CHANGES_SHOWN: Final = 4
_OTHER_LINES: Final = 5
"""Title, status, legend, and an empty line above and below the hall."""

_DOTS: Final = {
    StreamState.LIVE: ("●", "#009e73"),
    StreamState.CONNECTING: ("◌", "#f0e442"),
    StreamState.WAITING: ("◌", "#f0e442"),
    StreamState.ENDED: ("○", "#8a8a8a"),
}


@dataclass(frozen=True, slots=True)
class Happening:
    """One place's change, for people."""

    time: datetime
    seat: str
    before: int
    after: int


class HallScreen:
    """Remembers what changed last, and draws.

    Args:
        title: what is on.
        drawing: the hall.
    """

    def __init__(self, title: str, drawing: GetPerformanceSeatMapResponse) -> None:
        self._title = title
        self._ids = [seat.id for seat in drawing.seats]
        self._picture = HallPicture(places_of(drawing), rows_of(drawing), labels_of(drawing))
        self._happenings: deque[Happening] = deque(maxlen=_CHANGES_SHOWN)
        self._fresh: dict[int, float] = {}
        self._updates = 0

    def seat_id(self, index: int) -> str:
        """What requests call the place."""
        return self._ids[index] if index < len(self._ids) else f"place {index}"

    def note(self, update: SeatUpdate) -> None:
        """Remember what an update changed."""
        self._updates += 1
        now, clock = time.monotonic(), datetime.now().astimezone()
        for change in update.changes:
            self._fresh[change.index] = now
            self._happenings.append(Happening(clock, self.seat_id(change.index), change.before, change.after))

    def looks_like(self, state: StreamState) -> tuple[object, ...]:
        """Something that differs when the screen would."""
        return (self._updates, state, len(self._fresh_now()))

    def draw(self, view: SeatMapView, state: StreamState, size: tuple[int, int], *, connections: int = 1) -> Group:
        """The screen.

        Args:
            view: the seats.
            state: how the connection is.
            size: columns and lines.
            connections: how often a connection was opened.
        """
        columns, lines = size
        room = lines - _OTHER_LINES - _CHANGES_SHOWN
        fit = self._picture.fit(columns, max(room, 3))
        hall = self._picture.draw(fit, view.states, self._fresh_now())
        parts = [
            Text(self._title, style="bold", no_wrap=True, overflow="ellipsis"),
            self._status(view, state, connections),
            Text(""),
            hall,
            Text(""),
            legend(dotted=bool(fit.dots)),
        ]
        parts += [_sentence(happening) for happening in reversed(self._happenings)]
        for part in parts:
            part.no_wrap = True
            part.overflow = "crop"
        return Group(*parts)

    def _status(self, view: SeatMapView, state: StreamState, connections: int) -> Text:
        dot, colour = _DOTS[state]
        text = Text()
        text.append(f"{dot} {state.value}", colour).append(f"   revision {view.revision:,}")
        if connections > 1:
            text.append(f"   connection {connections}")
        counts = view.counts
        for place_state, number in (
            (AVAILABLE, counts.available),
            (HELD, counts.held),
            (SOLD, counts.sold),
            (BLOCKED, counts.blocked),
        ):
            if number or place_state != BLOCKED:
                text.append("   ").append(f"{number:,}", STYLES[place_state]).append(f" {NAMES[place_state]}")
        return text.append(f"   of {counts.total:,}")

    def _fresh_now(self) -> set[int]:
        limit = time.monotonic() - _FRESH_SECONDS
        self._fresh = {index: at for index, at in self._fresh.items() if at > limit}
        return set(self._fresh)


def _sentence(happening: Happening) -> Text:
    text = Text(f"{happening.time:%H:%M:%S}  {happening.seat}  ", style="dim")
    if happening.before:
        text.append(NAMES[happening.before], STYLES[happening.before]).append(" → ")
    return text.append(NAMES[happening.after], STYLES[happening.after])
