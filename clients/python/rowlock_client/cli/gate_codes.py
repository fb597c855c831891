"""What a scanner types, put together to codes. Pure: keys and times in, codes out.

A scanner is a keyboard that types fast. Most end a code with Enter, some with Tab, some with nothing: then a code is
whole when it is as long as one and nothing follows for a moment.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

CODE_CHARACTERS: Final = 178
_LONGEST: Final = 1024
_SETTLED: Final = 0.15
"""Seconds without a character after which a code without an Enter is whole; scanners type some hundred a second."""
_STALE: Final = 5.0
"""Seconds after which the beginning of something is no longer continued: a scan that was cut off."""
_ENDS: Final = frozenset({"enter", "tab"})
_CLEARS: Final = frozenset({"escape", "ctrl-u"})
_SYMBOLOGY: Final = re.compile(r"^\]Q\d")


class ScannedText:
    """Collects what is typed until it is a code."""

    def __init__(self) -> None:
        self.text = ""
        """What was typed of the next code so far."""
        self._last = 0.0

    @property
    def settles_after(self) -> float | None:
        """Seconds of silence after which to call `pause`; None: there is nothing to wait for."""
        return _SETTLED if len(self.text) >= CODE_CHARACTERS else None

    def feed(self, keys: Iterable[str], now: float) -> list[str]:
        """The texts that were completed; never empty ones.

        Args:
            keys: as `KeyReader` names them.
            now: monotonic seconds.
        """
        done: list[str] = []
        for key in keys:
            if self.text and now - self._last > _STALE:
                self.text = ""
            self._last = now
            if key in _ENDS:
                done += self._take()
            elif key in _CLEARS:
                self.text = ""
            elif key == "backspace":
                self.text = self.text[:-1]
            elif len(key) == 1 and len(self.text) <= _LONGEST:
                self.text += key
        return done

    def pause(self) -> list[str]:
        """Nothing was typed for `settles_after`: what is as long as a code, or as several, is taken as that."""
        return self._take() if len(self.text) >= CODE_CHARACTERS else []

    def _take(self) -> list[str]:
        text, self.text = tidied(self.text), ""
        if not text:
            return []
        if len(text) > CODE_CHARACTERS and len(text) % CODE_CHARACTERS == 0:
            # Several tickets, by a scanner that ends a code with nothing.
            return [text[n : n + CODE_CHARACTERS] for n in range(0, len(text), CODE_CHARACTERS)]
        return [text]


def tidied(text: str) -> str:
    """A code as it is meant: in capitals, without spaces, full-width letters as plain ones.

    The name of the symbol's kind, which some scanners send in front (`]Q1`), is left out.
    """
    plain = unicodedata.normalize("NFKC", text)
    kept = "".join(letter for letter in plain if letter.isprintable() and not letter.isspace()).upper()
    return _SYMBOLOGY.sub("", kept)
