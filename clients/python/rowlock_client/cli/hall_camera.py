"""Which part of a hall is on the screen, and how large. Pure.

The hall is laid out on a canvas as large as its room, or so many times as large; what is seen is a window of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rowlock_client.cli.hall_picture import Fit, Window

_ZOOMS: Final = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
_STEP: Final = 0.25
"""How far an arrow key moves, in windows."""
_MOVES: Final = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
    "page-up": (0, -4),
    "page-down": (0, 4),
}
KEYS: Final = frozenset({*_MOVES, "+", "=", "-", "home", "0"})


@dataclass(slots=True)
class Camera:
    """Looks at a hall.

    Attributes:
        level: how near, from 0: all of it.
        across: the middle of the window, from 0 at the left to 1 at the right end.
        down: the middle of the window, from 0 at the top to 1 at the bottom.
    """

    level: int = 0
    across: float = 0.5
    down: float = 0.5

    @property
    def zoom(self) -> float:
        """How many times as large as its room the hall is laid out."""
        return _ZOOMS[self.level]

    def press(self, key: str, *, nearest: bool) -> None:
        """Move by a key of `KEYS`.

        Args:
            key: as `KeyReader` names it.
            nearest: whether going nearer would show nothing more.
        """
        if key in {"+", "="} and not nearest:
            self.level = min(self.level + 1, len(_ZOOMS) - 1)
        elif key == "-":
            self.level = max(self.level - 1, 0)
        elif key in {"home", "0"}:
            self.level, self.across, self.down = 0, 0.5, 0.5
        elif key in _MOVES:
            right, below = _MOVES[key]
            self.across += right * _STEP / self.zoom
            self.down += below * _STEP / self.zoom
        # No farther than to the edge, or the way back would begin with keys that do nothing.
        reach = 0.5 / self.zoom
        self.across = min(max(self.across, reach), 1 - reach)
        self.down = min(max(self.down, reach), 1 - reach)

    def canvas(self, columns: int, lines: int) -> tuple[int, int]:
        """How large to lay the hall out for a room of so many characters."""
        return int(columns * self.zoom), int(lines * self.zoom)

    def window(self, fit: Fit, columns: int, lines: int) -> Window:
        """The part of a layout that is seen.

        Args:
            fit: of the size `canvas`.
            columns: the room across.
            lines: the room down.
        """
        left = round(self.across * fit.columns - columns / 2)
        top = round(self.down * fit.lines - lines / 2)
        return Window(
            left=max(0, min(left, fit.columns - columns)),
            top=max(0, min(top, fit.lines - lines)),
            columns=min(columns, fit.columns),
            lines=min(lines, fit.lines),
        )
