"""A gate on the whole screen of a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import Final

from rich.live import Live

from rowlock_client.cli.gate_answers import Answer
from rowlock_client.cli.gate_codes import ScannedText
from rowlock_client.cli.gate_keeper import Gate
from rowlock_client.cli.gate_screen import GateView, bell_of, draw
from rowlock_client.cli.naming import title_of
from rowlock_client.cli.terminal import Keyboard, KeyReader

_SHOWN_SECONDS: Final = 20.0
"""An answer is taken off the screen after that, so that nobody walks in on somebody else's."""
_RING_PAUSE: Final = 0.18
_LAST: Final = 50
_AT_ONCE: Final = 100
"""Scans that wait for their answers, at most; a scanner does not get there, pasted text does."""


async def scan_on_screen(gate: Gate, ended: asyncio.Event, *, quiet: bool) -> None:
    """Answer what is scanned, until somebody ends it.

    Args:
        gate: answers.
        ended: ends it.
        quiet: whether to leave the bell alone.
    """
    with Keyboard() as keyboard, Live(screen=True, auto_refresh=False) as live:
        screen = _Screen(gate, ended, live, quiet=quiet)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(screen.read(keyboard)),
                group.create_task(screen.answer()),
                group.create_task(screen.show()),
            ]
            await ended.wait()
            for task in tasks:
                task.cancel()


class _Screen:
    """The parts of the screen that run at the same time."""

    def __init__(self, gate: Gate, ended: asyncio.Event, live: Live, *, quiet: bool) -> None:
        self._gate = gate
        self._quiet = quiet
        self._ended = ended
        self._live = live
        self._text = ScannedText()
        self._scans: asyncio.Queue[tuple[str, float]] = asyncio.Queue(_AT_ONCE)
        self._answer: Answer | None = None
        self._answered = 0.0
        self._asking = False
        self._last: deque[Answer] = deque(maxlen=_LAST)
        self._notice = ""
        self._undo_asked = False
        self._ringing = asyncio.create_task(self._ring(0))

    async def read(self, keyboard: Keyboard) -> None:
        """Take keys, and put them together to codes."""
        keys = KeyReader()
        while True:
            data: bytes | None = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._text.settles_after):
                    data = await keyboard.chunks.get()
            if data is None:
                self._scanned(self._text.pause())
            elif not data:
                self._ended.set()  # the terminal has gone
            else:
                self._keys(keys.feed(data))
            self._gate.link.changed.set()

    def _keys(self, keys: list[str]) -> None:
        for key in keys:
            if key in {"ctrl-c", "ctrl-d", "ctrl-q"}:
                self._ended.set()
            elif key == "ctrl-z":
                self._undo()
            elif key == "ctrl-l":
                self._live.console.clear()
            else:
                self._scanned(self._text.feed([key], time.monotonic()))

    def _undo(self) -> None:
        """Ctrl-Z asks first, and does it when it is typed again."""
        last = self._gate.undoable
        if self._undo_asked or last is None:
            self._undo_asked, self._notice = False, ""
            self._put("")
        else:
            self._undo_asked = True
            self._notice = f"Take back the admission of {last.seat or 'the last ticket'}? Ctrl-Z again does it."

    def _scanned(self, codes: list[str]) -> None:
        for code in codes:
            self._undo_asked, self._notice = False, ""
            self._put(code)

    def _put(self, code: str) -> None:
        try:
            self._scans.put_nowait((code, time.monotonic()))
        except asyncio.QueueFull:
            self._notice = "Too much at once: what was pasted is left out."

    async def answer(self) -> None:
        """Answer one scan after the other."""
        while True:
            code, typed = await self._scans.get()
            self._asking, self._answer = True, None
            self._gate.link.changed.set()
            answer = await (self._gate.scan(code, typed) if code else self._gate.take_back())
            self._asking, self._answer, self._answered = False, answer, time.monotonic()
            # What was asked about the admission before is not to be answered about this one.
            self._undo_asked, self._notice = False, ""
            if not answer.again or not self._last:
                self._last.appendleft(answer)
            self._gate.link.changed.set()
            # The next ticket does not wait for the bell, and is not to be mistaken for what rings for this one.
            self._ringing.cancel()
            self._ringing = asyncio.create_task(self._ring(0 if self._quiet else bell_of(answer)))

    async def _ring(self, times: int) -> None:
        for _ in range(times):
            self._live.console.bell()
            await asyncio.sleep(_RING_PAUSE)

    async def show(self) -> None:
        """Draw whenever something has changed, and every second for the sake of the size."""
        conflicts = 0
        while True:
            self._gate.link.changed.clear()
            if self._answer is not None and time.monotonic() - self._answered > _SHOWN_SECONDS:
                self._answer = None
            console = self._live.console
            self._live.update(draw(self._view(), (console.size.width, console.size.height)), refresh=True)
            if len(self._gate.link.conflicts) > conflicts and not self._quiet:
                console.bell()
            conflicts = len(self._gate.link.conflicts)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._gate.link.changed.wait()

    def _view(self) -> GateView:
        gate, link = self._gate, self._gate.link
        notice = self._notice or (link.complaints[-1] if link.complaints else "")
        return GateView(
            title=title_of(gate.performance),
            place=gate.place,
            link=link.state,
            link_since=link.since,
            trouble=link.trouble,
            list_time=link.door.list_time,
            waiting=link.waiting,
            admitted=link.door.admitted,
            expected=link.door.expected,
            answer=self._answer,
            asking=self._asking,
            typed=len(self._text.text),
            last=list(self._last),
            conflicts=link.conflicts,
            notice=notice,
            may_undo=gate.undoable is not None,
        )
