"""`rowlock up` as a newcomer meets it: one command, and Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from server.cli import build
from tests.ports import free_port

# Several programs start, on a machine that is busy with other tests.
pytestmark = pytest.mark.timeout(300)


@dataclass
class Up:
    """A running `rowlock up` and its log."""

    process: subprocess.Popen[bytes]
    log: Path
    environment: dict[str, str]

    def text(self) -> str:
        return self.log.read_text()

    def wait_for(self, pattern: str, seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text()):
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.1)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def running(folder: Path, **changed: str) -> Iterator[Up]:
    environment = {
        **os.environ,
        "ROWLOCK_DATA_DIR": str(folder / ".rowlock"),
        "ROWLOCK_GRPC_ADDRESS": f"127.0.0.1:{free_port()}",
        "ROWLOCK_ADMIN_ADDRESS": "off",
        "ROWLOCK_GATEWAY_ADDRESS": "off",
        "ROWLOCK_CONSOLE_ADDRESS": f"127.0.0.1:{free_port()}",
        "ROWLOCK_METRICS_ADDRESS": "off",
        "PYTHONUNBUFFERED": "1",
        **changed,
    }
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "up"], stdout=output, stderr=output, env=environment
        )
    up = Up(process, log, environment)
    try:
        up.wait_for("Rowlock is up at ")
        yield up
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


@pytest.fixture(scope="module")
def shared_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running(tmp_path_factory.mktemp("up")) as up:
        yield up


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with running(tmp_path) as started:
        yield started


def health(up: Up, *parts: str) -> Result:
    """What the check says; it is made again while something does not answer, as whoever uses it does."""
    deadline = time.monotonic() + 60
    while True:
        result = CliRunner(env=up.environment).invoke(build("health"), ["health", *parts])
        if result.exit_code == 0 or time.monotonic() > deadline:
            return result


@pytest.mark.promise("0.1")
def test_one_command_starts_everything(shared_up: Up) -> None:
    assert health(shared_up).output.split() == ["server:", "ok", "database:", "ok", "redis:", "ok"]
    assert "performances on sale" in shared_up.text()
    assert "Traceback" not in shared_up.text(), shared_up.text()


@pytest.mark.promise("4.3")
def test_mails_are_shown_in_the_log_and_kept_as_files(shared_up: Up, tmp_path: Path) -> None:
    environment = {
        "ROWLOCK_SERVER": shared_up.environment["ROWLOCK_GRPC_ADDRESS"],
        "ROWLOCK_TOKEN_FILE": str(tmp_path / "tokens.json"),
    }
    signed_up = CliRunner(env=environment).invoke(
        build("sign-up"), ["sign-up", "--email", "ada@example.org", "--name", "Ada"], input="correct horse battery\n"
    )
    assert signed_up.exit_code == 0, signed_up.output
    shared_up.wait_for(r"mail.caught.*subject='Please confirm your e-mail address' to=ada@example.org")

    kept = list((Path(shared_up.environment["ROWLOCK_DATA_DIR"]) / "mail").glob("*-please-confirm-*.eml"))

    assert len(kept) == 1
    assert b"Subject: Please confirm your e-mail address" in kept[0].read_bytes()


@pytest.mark.fault
def test_a_killed_server_process_is_started_again(shared_up: Up) -> None:
    server = next(child for child in shared_up.children() if "serve" in child.cmdline())
    server.kill()
    shared_up.wait_for(r"server was killed by SIGKILL; starting it again(?s:.*)serving address")


@pytest.mark.fault
@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_a_killed_embedded_server_is_started_again(shared_up: Up, name: str) -> None:
    parent = psutil.Process(shared_up.process.pid)
    next(child for child in parent.children() if name in child.name()).kill()
    shared_up.wait_for(f"{name} had ended and was started again")
    assert health(shared_up, "database", "redis").exit_code == 0


def test_ctrl_c_stops_everything_within_seconds(up: Up) -> None:
    children = up.children()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0

    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    assert "did not end in" not in up.text()
    assert "Traceback" not in up.text(), up.text()


@pytest.mark.fault
def test_when_it_is_killed_nobody_stays_behind_and_it_starts_again(up: Up) -> None:
    children = up.children()
    up.process.kill()
    up.process.wait()

    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    again = CliRunner(env=up.environment).invoke(build("migrate"), ["migrate"])
    assert again.exit_code == 0


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = subprocess.run(
            [sys.executable, "-m", "server.cli", "up", "--address", address],
            env={**os.environ, "ROWLOCK_DATA_DIR": str(tmp_path / ".rowlock")},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert result.returncode == 78
    assert "another program uses the port" in result.stderr
    assert not (tmp_path / ".rowlock").exists()
