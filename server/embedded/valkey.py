"""A real Valkey from a wheel, on a unix socket only. It keeps nothing on disk: Redis is never the truth."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from server.embedded.folders import EmbeddedServerError, own_folder, socket_folder, valkey_program
from server.embedded.postgres import end_orphan, find_orphan
from server.processes import ChildProcess

_START_LIMIT = 20.0


class ValkeyServer:
    """One embedded server. It can be stopped, killed and started again under the same URL, then empty.

    Args:
        folder: where its socket and its log go; made if absent.
        output: a function that takes each line of its log; None: `valkey.log` in the folder.
    """

    def __init__(self, folder: Path, *, output: Callable[[str], None] | None = None) -> None:
        # Valkey runs as ourselves, root too: it listens only where nobody else can reach it.
        self.folder = own_folder(folder.resolve(), 0o711)
        self.socket = socket_folder(self.folder / "valkey", None) / "valkey.sock"
        self._pid_file = self.folder / "valkey.pid"
        self.process = ChildProcess(
            "valkey",
            [
                str(valkey_program()),
                *("--port", "0"),
                *("--unixsocket", str(self.socket)),
                *("--unixsocketperm", "700"),
                *("--dir", str(self.folder)),
                *("--save", ""),
                *("--appendonly", "no"),
                *("--maxmemory-policy", "noeviction"),
                *("--loglevel", "warning"),
                *("--daemonize", "no"),
            ],
            output=_without_advice(output) if output else self.folder / "valkey.log",
            stop_signal=signal.SIGTERM,
        )

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self.process.pid

    def url(self, database: int = 0) -> str:
        """The URL of one of its sixteen databases, for redis-py."""
        return f"unix://{quote(str(self.socket))}?db={database}"

    def start(self) -> None:
        """Start, and return when it answers.

        Raises:
            EmbeddedServerError: it did not come up.
        """
        if self.process.running():
            return
        self._end_orphan()
        self.process.start()
        self._pid_file.write_text(str(self.pid))
        deadline = time.monotonic() + _START_LIMIT
        while time.monotonic() < deadline:
            if self._answers():
                return
            if not self.process.running():
                raise EmbeddedServerError(f"The embedded Valkey ended at once; see {self.folder / 'valkey.log'}.")
            time.sleep(0.01)
        self.kill()
        raise EmbeddedServerError(f"The embedded Valkey did not answer in {_START_LIMIT:.0f} s.")

    def stop(self) -> None:
        """Stop in good order."""
        self.process.stop()

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()

    def _end_orphan(self) -> None:
        """End a server that a killed parent left: when it ends later, it would remove the new one's socket."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            pid = int(self._pid_file.read_text())
            if orphan := find_orphan(pid, "valkey-server", str(self.socket)):
                end_orphan(orphan, signal.SIGTERM, limit=5.0)
        self._pid_file.unlink(missing_ok=True)
        self.socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            connection.connect(str(self.socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        return False


def _without_advice(output: Callable[[str], None]) -> Callable[[str], None]:
    """Leave out its advice on memory overcommit: that is for servers that save by forking, which this never does."""

    def write(line: str) -> None:
        if "overcommit" not in line:
            output(line)

    return write
