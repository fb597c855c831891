"""A terminal whose keys are read one by one, and which is left as it was found."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
import sys
from types import TracebackType
from typing import Final, Self

from rowlock_client.cli.options import EXIT_USAGE, Failure

try:
    import termios
except ImportError:  # pragma: no cover - not a POSIX system; said when a terminal is wanted
    termios = None  # type: ignore[assignment]

_CONTROL: Final = {"\r": "enter", "\n": "enter", "\t": "tab", "\x7f": "backspace", "\x08": "backspace"}
_SEQUENCES: Final = {
    "[A": "up",
    "[B": "down",
    "[C": "right",
    "[D": "left",
    "[H": "home",
    "[F": "end",
    "[1~": "home",
    "[4~": "end",
    "[5~": "page-up",
    "[6~": "page-down",
    "OA": "up",
    "OB": "down",
    "OC": "right",
    "OD": "left",
    "OH": "home",
    "OF": "end",
}
_LONGEST_SEQUENCE: Final = 16


def ended_by_signals() -> asyncio.Event:
    """An event that is set when this process is asked to end: by Ctrl-C, `kill`, or a terminal that is closed."""
    ended = asyncio.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # Not every system has them all, and not every event loop takes them.
        with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(getattr(signal, name), ended.set)
    return ended


class KeyReader:
    """Tells keys from what a terminal sends, however it is cut into pieces. Pure.

    A key is its character, or a name: `enter`, `tab`, `backspace`, `escape`, `up`, `down`, `left`, `right`, `home`,
    `end`, `page-up`, `page-down`, `ctrl-a` to `ctrl-z`. Other sequences, such as those around pasted text, are left
    out, and what is no UTF-8 becomes U+FFFD.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._sequence: str | None = None

    def feed(self, data: bytes) -> list[str]:
        """The keys that are complete by now."""
        keys: list[str] = []
        for letter in self._decoder.decode(data):
            keys += self._key(letter)
        return keys

    def pause(self) -> list[str]:
        """Nothing has followed for a moment: an escape that stands alone was the key of that name."""
        lone, self._sequence = self._sequence == "", None
        return ["escape"] if lone else []

    def _key(self, letter: str) -> list[str]:
        if self._sequence is not None:
            return self._in_sequence(letter)
        if letter == "\x1b":
            self._sequence = ""
            return []
        if letter in _CONTROL:
            return [_CONTROL[letter]]
        if letter < " ":
            return [f"ctrl-{chr(ord(letter) + 96)}"] if "\x01" <= letter <= "\x1a" else []
        return [letter]

    def _in_sequence(self, letter: str) -> list[str]:
        sequence = f"{self._sequence}{letter}"
        if letter < " " or (len(sequence) == 1 and letter not in "[O"):
            # No sequence: an escape, and then a key of its own.
            self._sequence = None
            return ["escape", *self._key(letter)]
        ended = len(sequence) > 1 and "@" <= letter <= "~"
        self._sequence = None if ended or len(sequence) >= _LONGEST_SEQUENCE else sequence
        return [_SEQUENCES[sequence]] if ended and sequence in _SEQUENCES else []


class Keyboard:
    """Reads the keys of this terminal within a block. Every key is ours, Ctrl-C too; afterwards all is as before.

    Raises:
        Failure: standard input is no terminal.
    """

    def __init__(self) -> None:
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()
        """What was typed, as it came; empty bytes: the terminal has gone."""
        self._number = sys.stdin.fileno() if sys.stdin.isatty() else -1

    def __enter__(self) -> Self:
        if self._number < 0 or not hasattr(termios, "tcgetattr"):
            raise Failure("this needs a terminal to type in", EXIT_USAGE)
        self._before = termios.tcgetattr(self._number)
        changed = termios.tcgetattr(self._number)
        # Neither lines nor echo nor signals nor flow control: a scanner may type any character.
        changed[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON | termios.ISTRIP)
        changed[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
        changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._number, termios.TCSADRAIN, changed)
        asyncio.get_running_loop().add_reader(self._number, self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._number)
        # A terminal that has gone cannot be put back.
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._number, termios.TCSAFLUSH, self._before)

    def _read(self) -> None:
        try:
            data = os.read(self._number, 4096)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._number)
        self.chunks.put_nowait(data)
