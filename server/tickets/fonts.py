"""The fonts of printed tickets: one that covers Latin, Greek and Cyrillic comes along, another may be named.

PDF's own fonts have no "Ł" and no "ğ", so the glyphs that are used are embedded. What the font lacks is printed as a
question mark, so that a reader sees that something is missing; the text beside the code never depends on it.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

_PACKAGE: Final = "font_roboto"
_REGULAR: Final = "Roboto-Regular.ttf"
_BOLD: Final = "Roboto-Bold.ttf"
_MISSING: Final = "?"


class FontError(Exception):
    """The font file cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Fonts:
    """Names under which two weights of a font are known to the PDF library, and what they can write."""

    regular: str
    bold: str
    characters: frozenset[int]

    def writable(self, text: str) -> str:
        """The text with a question mark for each character that the font lacks."""
        return "".join(letter if ord(letter) in self.characters else _MISSING for letter in text)


@lru_cache(maxsize=8)
def fonts(file: Path | None = None) -> Fonts:
    """Register the font of ``file`` (TrueType), or the one that comes along.

    Raises:
        FontError: the file cannot be read, or is not a TrueType font.
    """
    if file is not None:
        try:
            chosen = _register(f"tickets-{file}", file)
        except (OSError, TTFError) as error:
            raise FontError(f"{file} is not a TrueType font that can be embedded: {error}") from error
        return Fonts(chosen.fontName, chosen.fontName, _characters(chosen))
    folder = files(_PACKAGE) / "files"
    with as_file(folder / _REGULAR) as regular, as_file(folder / _BOLD) as bold:
        light, strong = _register("tickets-regular", regular), _register("tickets-bold", bold)
    return Fonts(light.fontName, strong.fontName, _characters(light) & _characters(strong))


def _register(name: str, file: Path) -> TTFont:
    font = TTFont(name, str(file))
    pdfmetrics.registerFont(font)
    return font


def _characters(font: TTFont) -> frozenset[int]:
    return frozenset(font.face.charToGlyph)
