"""Child processes that end with their parent.

Each child gets a session of its own, so that Ctrl-C in a terminal reaches only the parent, which then stops the
children in its own order. Beside each child waits a guard: a shell that reads from a pipe whose other end only
the parent holds. When the parent is gone, however it went, the pipe closes and the guard ends the child.
(`PR_SET_PDEATHSIG` would do without a guard, but fires when the *thread* that started the child ends.)
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_GUARD = """
while read -r _; do :; done
kill -s "$1" "$2" 2>/dev/null || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 1; kill -0 "$2" 2>/dev/null || exit 0; done
kill -s KILL "$2" 2>/dev/null
"""


@dataclass(frozen=True)
class Account:
    """The system user that a child runs as."""

    uid: int
    gid: int


class ChildProcess:
    """One child. `start` and `stop` may be called in turn any number of times.

    Args:
        name: what people call it.
        arguments: program and arguments.
        output: a file that the output is appended to, or a function that takes each line without its newline
            (called on a thread of its own).
        stop_signal: what asks this program to end in good order.
        account: run as this user; needs root.
        environment: the whole environment of the child; None: ours.
        folder: working directory.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        output: Path | Callable[[str], None],
        stop_signal: signal.Signals = signal.SIGTERM,
        account: Account | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.arguments = list(arguments)
        self.output = output
        self.stop_signal = stop_signal
        self.account = account
        self.environment = environment
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._pump: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """Process id of the child.

        Raises:
            ProcessLookupError: it was never started.
        """
        if self._process is None:
            raise ProcessLookupError(f"{self.name} was not started")
        return self._process.pid

    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs or before it was started."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the program; it is up when this returns, but not necessarily ready."""
        if self.running():
            return
        self._end_guard()
        user = self.account.uid if self.account else None
        group = self.account.gid if self.account else None
        groups: list[int] | None = [] if self.account else None
        with contextlib.ExitStack() as stack:
            target: int | IO[str] = subprocess.PIPE
            if isinstance(self.output, Path):
                target = stack.enter_context(self.output.open("a", encoding="utf-8"))
            self._process = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                user=user,
                group=group,
                extra_groups=groups,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", self.stop_signal.name.removeprefix("SIG"), str(self.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if self._process.stdout is not None and not isinstance(self.output, Path):
            self._pump = threading.Thread(
                target=_pump_lines, args=(self._process.stdout, self.output), name=f"{self.name}-log", daemon=True
            )
            self._pump.start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child, if it still runs."""
        if self._process is not None and self.running():
            self._process.send_signal(number)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds (None: for ever) for the child to end; True if it did."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        if self._pump is not None:
            # What the program printed last says why it ended. A grandchild that kept the pipe must not hold us.
            self._pump.join(1.0)
        return True

    def stop(self, timeout: float = 10.0) -> None:
        """Ask the child to end, wait up to `timeout` seconds, then kill it. Returns when it is gone."""
        self.signal(self.stop_signal)
        if not self.wait(timeout):
            self.kill()
        self._end_guard()

    def kill(self) -> None:
        """Kill -9. Returns when the child is gone."""
        self.signal(signal.SIGKILL)
        self.wait()
        self._end_guard()

    def _end_guard(self) -> None:
        """The child has ended; its number may be given to another process, so the guard must not outlive it."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            if self._guard.stdin is not None:
                self._guard.stdin.close()
            self._guard = None


def _pump_lines(stream: IO[str], sink: Callable[[str], None]) -> None:
    with stream:
        for line in stream:
            sink(line.rstrip("\n"))
