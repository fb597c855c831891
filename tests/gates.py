"""Gates in tests: keys of devices, tickets that were sold, and programs in a pseudo-terminal."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from typing import Final

from rowlock.v1.auth_pb2 import ROLE_GATE, ApiKey, CreateApiKeyRequest, CreateApiKeyResponse
from rowlock.v1.auth_pb2_grpc import AuthServiceStub
from rowlock.v1.booking_pb2 import Booking, ConfirmBookingRequest
from rowlock.v1.booking_pb2_grpc import BookingServiceStub
from rowlock.v1.ticket_pb2 import Ticket
from rowlock_client import Client, Rpc
from tests.staging import Staged

ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
PATIENCE: Final = 90.0
"""Seconds after which a test that hangs ends; nothing is measured by it."""


def sold(staff: Client, house: Staged, *seats: str) -> list[Ticket]:
    """Tickets of these seats, given for nothing, in the order of their places."""
    held = staff.hold(f"performances/{house.performance_id}", *seats)
    request = ConfirmBookingRequest(name=held.name, method=Booking.COMP)
    staff.call(Rpc(BookingServiceStub, "ConfirmBooking", request))
    return list(staff.tickets(held.name).tickets)


def gate_key(staff: Client) -> str:
    """The secret of a new key for a gate."""
    key = ApiKey(display_name="Door", role=ROLE_GATE)
    request = CreateApiKeyRequest(parent="users/me", api_key=key)
    made = staff.call(Rpc[CreateApiKeyResponse](AuthServiceStub, "CreateApiKey", request))
    return made.secret


class Terminal:
    """A program in a pseudo-terminal, and what it wrote there.

    Args:
        arguments: of `rowlock`.
        environment: in addition to this process's.
        size: columns and lines.
    """

    def __init__(self, *arguments: str, environment: Mapping[str, str], size: tuple[int, int] = (100, 30)) -> None:
        self._ours, self._theirs = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(self._theirs)
        wanted = {**os.environ, **environment, "TERM": "xterm-256color"}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "ROWLOCK_API_KEY"):
            if name not in environment:
                wanted.pop(name, None)
        self.process = subprocess.Popen(
            (sys.executable, "-m", "server.cli", *arguments),
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            env=wanted,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one thread, one call
        )
        self.raw = ""
        """What was written since it was last waited for, with its escapes."""
        self.whole = ""
        """All that was written."""

    def resize(self, columns: int, lines: int) -> None:
        """Another size of the window."""
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text: str) -> None:
        """Type this, as a scanner does."""
        os.write(self._ours, text.encode())

    def wait_for(self, pattern: str) -> str:
        """Read on until it has written this; then forget what came before. Returns what was found."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, ESCAPES.sub("", self.raw))):
            assert time.monotonic() < end, f"{pattern!r} did not come:\n{ESCAPES.sub('', self.raw)[-5000:]}"
            if not self._read():
                assert self.process.poll() is None, f"ended:\n{ESCAPES.sub('', self.raw)[-5000:]}"
        self.raw = ESCAPES.sub("", self.raw)[found.end() :]
        return found[0]

    def end(self, number: int = signal.SIGINT, *, key: str = "") -> tuple[int, str]:
        """Send a signal, or type a key, and read on to the end. Returns exit status and the last that was written."""
        if key:
            self.type(key)
        else:
            self.process.send_signal(number)
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, "it does not end"
            self._read()
        while self._read(0.0):
            pass
        return self.process.returncode, self.raw

    def left_as_found(self) -> bool:
        """Whether the terminal's modes are those of before."""
        return termios.tcgetattr(self._theirs) == self.before

    def close(self) -> None:
        """Kill what is left."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def _read(self, seconds: float = 0.1) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        with contextlib.suppress(OSError):
            read = os.read(self._ours, 65536).decode(errors="replace")
            self.raw += read
            self.whole += read
        return True
