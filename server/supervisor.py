"""Keeps a set of child processes alive under one log, and ends them together.

A child that ends by itself is started again after a pause that doubles while it keeps failing. A child that ends
because its settings are wrong would only fail again: everything stops.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn, TextIO

from server.config import SettingsError
from server.processes import ChildProcess

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_HEALTHY_AFTER = 30.0
_COLOURS = (36, 32, 35, 34, 33, 96, 92, 95)


class MergedLog:
    """Writes whole lines of many sources to one stream, each after the name of its source.

    Args:
        stream: where to; colours only if it is a terminal and `NO_COLOR` is not set.
        plain: leave the lines as they are, for machines that read them.
    """

    def __init__(self, stream: TextIO | None = None, *, plain: bool = False) -> None:
        self._stream = stream or sys.stdout
        self._plain = plain
        self._colour = self._stream.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()
        self._colours: dict[str, int] = {}

    def __call__(self, source: str, line: str) -> None:
        """Write one line."""
        if not self._plain:
            line = f"{self._prefix(source)} {line}"
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                # Nobody reads any more (`rowlock up | head`); the programs go on.
                pass

    def sink(self, source: str) -> Callable[[str], None]:
        """A function that writes lines of `source`."""
        return lambda line: self(source, line)

    def _prefix(self, source: str) -> str:
        text = f"{source:<10} │"
        if not self._colour:
            return text
        colour = self._colours.setdefault(source, _COLOURS[len(self._colours) % len(_COLOURS)])
        return f"\x1b[{colour}m{text}\x1b[0m"


@dataclass
class _Kept:
    process: ChildProcess
    started: float = 0.0
    pause: float = _FIRST_PAUSE
    restart_at: float | None = None


@dataclass
class Supervisor:
    """The children of one program.

    Args:
        log: gets the children's lines and the supervisor's own, as `rowlock`.
        stop_time: seconds that children get to end in good order.
    """

    log: MergedLog
    stop_time: float = 10.0
    _children: list[_Kept] = field(default_factory=list)
    _hurried: bool = False

    def add(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a child and keep it alive from now on."""
        child = ChildProcess(name, arguments, output=self.log.sink(name), environment=environment)
        kept = _Kept(child)
        self._children.append(kept)
        self._start(kept)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the running children, by name."""
        return {kept.process.name: kept.process.pid for kept in self._children if kept.process.running()}

    def watch(self, seconds: float = 0.2) -> int | None:
        """Look after the children once, for about `seconds`.

        Returns:
            The exit status to end with if a child says that its settings are wrong, otherwise None.
        """
        time.sleep(seconds)
        now = time.monotonic()
        for kept in self._children:
            if kept.restart_at is not None:
                if now >= kept.restart_at:
                    self._start(kept)
            elif not kept.process.running():
                status = kept.process.exit_status
                kept.process.wait(1.0)
                if status == SettingsError.exit_status:
                    return status
                self._schedule_restart(kept, status, now)
        return None

    def stop(self) -> None:
        """Ask every child to end at once, wait, then kill what is left."""
        for kept in self._children:
            kept.restart_at = None
            kept.process.signal(kept.process.stop_signal)
        deadline = time.monotonic() + self.stop_time
        while self.pids and time.monotonic() < deadline and not self._hurried:
            time.sleep(0.05)
        for name in self.pids:
            why = "" if self._hurried else f" did not end in {self.stop_time:.0f} s:"
            self.log("rowlock", f"{name}{why} killed")
        for kept in self._children:
            kept.process.kill()

    def hurry(self) -> None:
        """Make a `stop` under way kill at once. For signal handlers: it only notes the wish."""
        self._hurried = True

    def _start(self, kept: _Kept) -> None:
        kept.restart_at = None
        kept.started = time.monotonic()
        kept.process.start()

    def _schedule_restart(self, kept: _Kept, status: int | None, now: float) -> None:
        if now - kept.started > _HEALTHY_AFTER:
            kept.pause = _FIRST_PAUSE
        kept.restart_at = now + kept.pause
        self.log("rowlock", f"{kept.process.name} {describe(status)}; starting it again in {kept.pause:g} s")
        kept.pause = min(kept.pause * 2, _LONGEST_PAUSE)


def describe(status: int | None) -> str:
    """How a process ended, in words."""
    if status is None:
        return "has not ended"
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"


@contextmanager
def stop_signals() -> Iterator[None]:
    """Within the block SIGTERM acts like Ctrl-C: both raise KeyboardInterrupt in the main thread."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def second_signal(action: Callable[[], None]) -> Iterator[None]:
    """Within the block the next SIGINT or SIGTERM calls `action` instead of interrupting the clean-up."""

    def act(_number: int, _frame: FrameType | None) -> None:
        action()

    before = {number: signal.signal(number, act) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
