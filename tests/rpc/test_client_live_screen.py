"""`rowlock watch` in a real terminal: it moves, and outlives a restart of the server."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from rowlock_client import Client
from rowlock_client.token_file import TokenFile
from server.config import Settings
from server.db.engine import Database
from tests.staging import stage
from tests.threaded_server import ThreadedServer, threaded_server

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A program in a pseudo-terminal of 100 × 30 characters, and all that it wrote."""

    def __init__(self, *command: str, environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        size = {"COLUMNS": "100", "LINES": "30", "TERM": "xterm-256color"}
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, **environment, **size},
            start_new_session=True,
        )
        os.close(theirs)
        self.text = ""

    def wait_for(self, pattern: str, seconds: float = 60) -> None:
        """Read on until it has written this; then forget what came before."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, ESCAPES.sub("", self.text))):
            assert time.monotonic() < end, ESCAPES.sub("", self.text)[-3000:]
            if select.select([self._ours], [], [], 0.1)[0]:
                self.text += os.read(self._ours, 65536).decode(errors="replace")
        self.text = ESCAPES.sub("", self.text)[found.end() :]

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit status."""
        self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):
            # What it still writes has to be taken; when it has gone, reading fails.
            while select.select([self._ours], [], [], 60)[0] and os.read(self._ours, 65536):
                pass
        return self._process.wait(60)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@pytest.fixture
def server(settings: Settings) -> Iterator[ThreadedServer]:
    with threaded_server(settings) as running:
        yield running


@pytest.mark.promise("1.3", "1.4")
def test_it_shows_each_change_and_outlives_a_restart(
    server: ThreadedServer, database: Database, tmp_path: Path
) -> None:
    house = database.run_transaction(stage)
    performance = f"performances/{house.performance_id}"
    store = TokenFile(tmp_path / "tokens.json", server.address)
    with Client(server.address, store=store, timeout=60) as customer:
        email = f"{uuid4().hex}@example.org"
        customer.sign_up(email, "correct horse battery", "Ada")
        customer.log_in(email, "correct horse battery")
        environment = {"ROWLOCK_TOKEN_FILE": str(tmp_path / "tokens.json"), "ROWLOCK_SERVER": server.address}
        terminal = Terminal(sys.executable, "-m", "server.cli", "watch", performance, environment=environment)
        try:
            terminal.wait_for(r"live +revision 0 +50 free")
            customer.hold(performance, "Stalls-C-7")
            terminal.wait_for(r"49 free +1 held")
            terminal.wait_for(r"Stalls-C-7 +free → held")

            server.stop()
            terminal.wait_for(r"waiting to reconnect")
            server.start()
            customer.hold(performance, "Stalls-D-8")
            terminal.wait_for(r"live +revision 2 .*48 free +2 held")

            assert terminal.interrupt() == 0
        finally:
            terminal.close()
