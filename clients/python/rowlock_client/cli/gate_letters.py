"""Words in large letters, to be read across a foyer. Pure."""

from __future__ import annotations

from typing import Final

LINES: Final = 5
"""The height of a letter, in its own dots."""
_WIDTH: Final = 5

# Five rows of dots for each letter.
_DRAWN: Final = {
    "A": (" ### ", "#   #", "#####", "#   #", "#   #"),
    "B": ("#### ", "#   #", "#### ", "#   #", "#### "),
    "C": (" ####", "#    ", "#    ", "#    ", " ####"),
    "D": ("#### ", "#   #", "#   #", "#   #", "#### "),
    "E": ("#####", "#    ", "#### ", "#    ", "#####"),
    "F": ("#####", "#    ", "#### ", "#    ", "#    "),
    "G": (" ####", "#    ", "#  ##", "#   #", " ####"),
    "H": ("#   #", "#   #", "#####", "#   #", "#   #"),
    "I": ("###", " # ", " # ", " # ", "###"),
    "J": ("  ###", "   # ", "   # ", "#  # ", " ##  "),
    "K": ("#   #", "#  # ", "###  ", "#  # ", "#   #"),
    "L": ("#    ", "#    ", "#    ", "#    ", "#####"),
    "M": ("#   #", "## ##", "# # #", "#   #", "#   #"),
    "N": ("#   #", "##  #", "# # #", "#  ##", "#   #"),
    "O": (" ### ", "#   #", "#   #", "#   #", " ### "),
    "P": ("#### ", "#   #", "#### ", "#    ", "#    "),
    "Q": (" ### ", "#   #", "# # #", "#  # ", " ## #"),
    "R": ("#### ", "#   #", "#### ", "#  # ", "#   #"),
    "S": (" ####", "#    ", " ### ", "    #", "#### "),
    "T": ("#####", "  #  ", "  #  ", "  #  ", "  #  "),
    "U": ("#   #", "#   #", "#   #", "#   #", " ### "),
    "V": ("#   #", "#   #", "#   #", " # # ", "  #  "),
    "W": ("#   #", "#   #", "# # #", "## ##", "#   #"),
    "X": ("#   #", " # # ", "  #  ", " # # ", "#   #"),
    "Y": ("#   #", " # # ", "  #  ", "  #  ", "  #  "),
    "Z": ("#####", "   # ", "  #  ", " #   ", "#####"),
    " ": ("  ", "  ", "  ", "  ", "  "),
}
_SCALES: Final = (4, 3, 2, 1)


def large(words: str, columns: int, lines: int) -> list[str]:
    """The words as lines of blocks, as large as the room allows, broken between words if that makes them larger.

    Args:
        words: letters and spaces; of other characters nothing is drawn.
        columns: the room across.
        lines: the room down.

    Returns:
        The lines; the words themselves, as one line, where there is no room for large letters.
    """
    parts = words.upper().split()
    for scale in _SCALES:
        for rows in _arrangements(parts):
            height = sum(_height(scale) for _ in rows) + len(rows) - 1
            if height <= lines and all(_across(row) * scale <= columns for row in rows):
                return _stacked([_drawn(row, scale) for row in rows])
    return [words[:columns]]


def _arrangements(parts: list[str]) -> list[list[str]]:
    """All words in one row, or each in a row of its own."""
    one = [" ".join(parts)]
    return [one, parts] if len(parts) > 1 else [one]


def _height(scale: int) -> int:
    # A character is about twice as high as wide.
    return LINES * max(1, scale // 2)


def _across(row: str) -> int:
    return sum(len(_DRAWN.get(letter, _DRAWN[" "])[0]) + 1 for letter in row) - 1


def _drawn(row: str, scale: int) -> list[str]:
    lines = []
    for line in range(LINES):
        dots = " ".join(_DRAWN.get(letter, _DRAWN[" "])[line] for letter in row)
        wide = "".join(("█" if dot == "#" else " ") * scale for dot in dots)
        lines += [wide] * max(1, scale // 2)
    return lines


def _stacked(rows: list[list[str]]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        lines += [""] * bool(lines) + row
    return lines
