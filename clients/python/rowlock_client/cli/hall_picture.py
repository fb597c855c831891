"""A hall as characters, in whatever room there is. Pure: from places, states and a size to styled text.

Where there is room, each place is a character of its own, with a glyph per state. Where there is not, eight places
share one as the dots of a Braille character: then the dots of taken places have the colour of what they are, on a
ground that is lit while something in that spot is free. The colours are told apart by people with any kind of
colour vision (Okabe and Ito), and the glyphs by everybody.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from rich.style import Style
from rich.text import Text

from rowlock_client.cli.hall_places import Label, Point
from rowlock_client.seat_view import AVAILABLE, BLOCKED, HELD, SOLD

GLYPHS: Final = {AVAILABLE: "○", HELD: "◐", SOLD: "●", BLOCKED: "×"}
NAMES: Final = {AVAILABLE: "free", HELD: "held", SOLD: "sold", BLOCKED: "blocked"}
_COLOURS: Final = {AVAILABLE: "#56b4e9", HELD: "#f0e442", SOLD: "#d55e00", BLOCKED: "#8a8a8a"}
_GROUND: Final = "#0b3a57"
STYLES: Final = {state: Style(color=colour) for state, colour in _COLOURS.items()}
_DOTTED: Final = {state: Style(color=colour, bgcolor=_GROUND) for state, colour in _COLOURS.items()}
_FRESH: Final = Style(bold=True, reverse=True)
_LABEL: Final = Style(color="#bbbbbb", italic=True)

# The bit of each dot of a Braille character, by column and row.
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BRAILLE: Final = 0x2800
_ALL_FREE: Final = "·"

# Where a place may stand when its own character is taken: first beside it, then, if need be, anywhere around it.
_BESIDE: Final = ((0, 0), (1, 0), (-1, 0))
_AROUND: Final = (*_BESIDE, (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))

# A row that curves by less than this many lines is drawn straight.
_STRAIGHT: Final = 1.2

# A character is about twice as high as wide; how far from true proportions a drawing may go to use its room.
_PROPORTIONS: Final = (1.0, 1.2, 0.85, 1.45, 0.7, 1.8, 2.2)
_FLATTEST: Final = 0.45


@dataclass(frozen=True, slots=True)
class Fit:
    """A hall laid out for one size.

    Attributes:
        columns: characters across.
        lines: characters down.
        cells: the character of each place, by index: line * columns + column.
        dots: the bit of each place's dot; empty where each place has a character of its own.
        labels: the words, each with the line and the column at which it begins.
    """

    columns: int
    lines: int
    cells: tuple[int, ...]
    dots: tuple[int, ...]
    labels: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a layout that is drawn, in characters."""

    left: int
    top: int
    columns: int
    lines: int

    def contains(self, cell: int, columns: int) -> bool:
        """Whether a character is in it, in a layout of so many columns."""
        line, column = divmod(cell, columns)
        return 0 <= line - self.top < self.lines and 0 <= column - self.left < self.columns


class HallPicture:
    """Draws one hall again and again.

    Args:
        places: the point of each place, by index.
        rows: which row each place is in, by anything that tells rows apart; empty: no matter.
        labels: the words in the drawing.
    """

    def __init__(self, places: Sequence[Point], rows: Sequence[Hashable] = (), labels: Sequence[Label] = ()) -> None:
        self._places = places
        self._rows = _extents(places, rows)
        self._row_of = rows
        self._labels = labels
        across = [x for x, _ in places] + [label.x for label in labels]
        down = [y for _, y in places] + [label.y for label in labels]
        self._left, self._top = min(across, default=0.0), min(down, default=0.0)
        self._width = max(max(across, default=0.0) - self._left, 1e-6)
        self._height = max(max(down, default=0.0) - self._top, 1e-6)
        self._pitch = _pitch(places)
        self._fits: dict[tuple[int, int], Fit] = {}

    def fit(self, columns: int, lines: int) -> Fit:
        """The layout for a size, as large as it goes: one character a place if they have room, otherwise dots."""
        size = (max(columns, 1), max(lines, 1))
        if size not in self._fits:
            self._fits = {size: self._characters(*size) or self._braille(*size)}
        return self._fits[size]

    def draw(
        self,
        fit: Fit,
        states: Sequence[int],
        fresh: Collection[int] = (),
        *,
        window: Window | None = None,
        colours: bool = True,
    ) -> Text:
        """The picture.

        Args:
            fit: from `fit`.
            states: of each place, by index.
            fresh: indexes of places that changed just now, which stand out.
            window: the part of it to draw; None: all.
            colours: whether there are any; without, a spot where all is free is a point, and dots are what is taken.
        """
        cells: dict[int, tuple[str, Style]] = {}
        for line, column, text in fit.labels:
            for offset, letter in enumerate(text):
                cells[line * fit.columns + column + offset] = (letter, _LABEL)
        cells.update(_dotted(fit, states, colours=colours) if fit.dots else _lettered(fit, states))
        for index in fresh:
            if index < len(fit.cells):
                letter, style = cells[fit.cells[index]]
                cells[fit.cells[index]] = (letter, style + _FRESH)
        return _text(fit, cells, window or Window(0, 0, fit.columns, fit.lines))

    # -- Laying out --------------------------------------------------------------------------------------

    def _characters(self, columns: int, lines: int) -> Fit | None:
        """A character for each place, two columns from seat to seat if possible; None: there is no room."""
        if len(self._places) > columns * lines:
            return None
        widest = (columns - 1) / self._width
        scales = {min(2 / self._pitch, widest), min(1 / self._pitch, widest), min(3 / self._pitch, widest)}
        for near in (_BESIDE, _AROUND):
            for scale in sorted(scales - {3 / self._pitch}, reverse=True):
                # The tallest that has room comes last: better out of proportion than without a glyph for each.
                tallest = (lines - 1) / self._height / (scale / 2)
                for proportion in (*_PROPORTIONS, min(tallest, _PROPORTIONS[-1])):
                    if not _FLATTEST <= proportion <= tallest:
                        continue
                    down = scale / 2 * proportion
                    cells = self._one_each((columns, lines), (scale, down), near)
                    if cells is not None:
                        return self._finished((columns, lines), (scale, down), cells, ())
        return None

    def _one_each(
        self, size: tuple[int, int], scale: tuple[float, float], near: Sequence[tuple[int, int]]
    ) -> list[int] | None:
        """The character of each place, or one near it where that is taken; None: there are not enough."""
        (columns, lines), (across, down) = size, scale
        straight = {row: (top + low) / 2 for row, (top, low) in self._rows.items() if (low - top) * down < _STRAIGHT}
        taken: set[int] = set()
        cells = []
        for index, (x, y) in enumerate(self._places):
            column = round((x - self._left) * across)
            line = round(((straight.get(self._row_of[index], y) if straight else y) - self._top) * down)
            for right, below in near:
                cell = (line + below) * columns + column + right
                if 0 <= column + right < columns and 0 <= line + below < lines and cell not in taken:
                    break
            else:
                return None
            taken.add(cell)
            cells.append(cell)
        return cells

    def _braille(self, columns: int, lines: int) -> Fit:
        """A dot for each place, as far as there are dots: 2 across and 4 down in each character."""
        across = (columns * 2 - 1) / self._width
        down = (lines * 4 - 1) / self._height
        # Dots are square, so the same scale both ways is true; a little more one way uses the room.
        across, down = min(across, down * 1.6), min(down, across * 1.6)
        cells, dots = [], []
        for x, y in self._places:
            column, line = round((x - self._left) * across), round((y - self._top) * down)
            cells.append(line // 4 * columns + column // 2)
            dots.append(_DOTS[column % 2][line % 4])
        return self._finished((columns, lines), (across / 2, down / 4), cells, dots)

    def _finished(
        self, size: tuple[int, int], scale: tuple[float, float], cells: Sequence[int], dots: Sequence[int]
    ) -> Fit:
        """Put the drawing in the middle of its room, and cut what is not used below it."""
        (columns, lines), (across, down) = size, scale
        width = math.floor(self._width * across) + 1
        margin = max(0, (columns - width) // 2)
        used = min(lines, math.floor(self._height * down + 0.5) + 1)
        occupied = {cell + margin for cell in cells}
        labels = []
        for label in self._labels:
            line = min(used - 1, round((label.y - self._top) * down))
            text = label.text[:columns]
            column = round((label.x - self._left) * across) + margin - len(text) // 2
            column = max(0, min(columns - len(text), column))
            if not any(line * columns + column + offset in occupied for offset in range(-1, len(text) + 1)):
                labels.append((line, column, text))
        return Fit(columns, used, tuple(cell + margin for cell in cells), tuple(dots), tuple(labels))


def legend(*, dotted: bool, colours: bool = True, counts: Mapping[int, int] | None = None) -> Text:
    """What the glyphs and colours mean, and how many there are of each.

    Args:
        dotted: whether places are dots.
        colours: whether there are any.
        counts: by state; None: only the meaning.
    """
    text = Text()
    for state, name in NAMES.items():
        number = "" if counts is None else f"{counts.get(state, 0):,} "
        if not dotted:
            text.append(f"{GLYPHS[state]} {number}", STYLES[state]).append(f"{name}   ")
        elif not colours:
            text.append(f"{_ALL_FREE} " if state == AVAILABLE else "⣿ " if state == HELD else "")
            text.append(f"{number}{name}   ")
        elif state == AVAILABLE:
            text.append("⣿⡇", _DOTTED[AVAILABLE]).append(f" {number}", STYLES[state]).append(f"{name} (lit ground)   ")
        else:
            text.append(f"⣿ {number}", STYLES[state]).append(f"{name}   ")
    text.rstrip()
    return text


def _pitch(places: Sequence[Point]) -> float:
    """The usual distance from one place to the next."""
    steps = [math.dist(here, there) for here, there in pairwise(places)]
    return median([step for step in steps if step > 0] or [1.0])


def _extents(places: Sequence[Point], rows: Sequence[Hashable]) -> dict[Hashable, tuple[float, float]]:
    """How far up and down each row goes."""
    found: dict[Hashable, tuple[float, float]] = {}
    for row, (_, y) in zip(rows, places, strict=False):
        top, low = found.get(row, (y, y))
        found[row] = (min(top, y), max(low, y))
    return found


def _lettered(fit: Fit, states: Sequence[int]) -> dict[int, tuple[str, Style]]:
    return {
        cell: (GLYPHS.get(state, "?"), STYLES.get(state, Style()))
        for cell, state in zip(fit.cells, states, strict=False)
    }


def _dotted(fit: Fit, states: Sequence[int], *, colours: bool) -> dict[int, tuple[str, Style]]:
    """Each character's taken dots, in the colour that most of them have; all of its dots where none is taken."""
    free: dict[int, int] = {}
    taken: dict[int, int] = {}
    tally: dict[int, Counter[int]] = {}
    for cell, dot, state in zip(fit.cells, fit.dots, states, strict=False):
        if state == AVAILABLE:
            free[cell] = free.get(cell, 0) | dot
        else:
            taken[cell] = taken.get(cell, 0) | dot
            tally.setdefault(cell, Counter())[state] += 1
    drawn = {
        cell: (chr(_BRAILLE | dots) if colours else _ALL_FREE, _DOTTED[AVAILABLE])
        for cell, dots in free.items()
        if cell not in taken
    }
    for cell, dots in taken.items():
        most = tally[cell].most_common(1)[0][0]
        styles = _DOTTED if cell in free else STYLES
        drawn[cell] = (chr(_BRAILLE | dots), styles.get(most, Style()))
    return drawn


def _text(fit: Fit, cells: dict[int, tuple[str, Style]], window: Window) -> Text:
    """Lines of characters, in runs of one style."""
    text = Text(no_wrap=True, end="")
    for line in range(window.top, window.top + window.lines):
        begin = line * fit.columns + window.left
        for run, style in _runs(cells, range(begin, begin + window.columns)):
            text.append(run, style)
        if line < window.top + window.lines - 1:
            text.append("\n")
    return text


def _runs(cells: dict[int, tuple[str, Style]], line: range) -> Iterator[tuple[str, Style | None]]:
    blank: tuple[str, Style | None] = (" ", None)
    run, style = "", None
    for cell in line:
        letter, own = cells.get(cell, blank)
        if own != style and run:
            yield run, style
            run = ""
        style = own
        run += letter
    yield run.rstrip() if style is None else run, style
