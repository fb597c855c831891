"""Children of `rowlock up`: kept alive, under one log, and gone when their parent is."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from server.config import SettingsError
from server.processes import ChildProcess
from server.supervisor import MergedLog, Supervisor

SLEEPER = "import time; print('ready', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)

PARENT = f"""
import os, sys, time
from server.supervisor import MergedLog, Supervisor
supervisor = Supervisor(MergedLog(sys.stderr))
supervisor.add("child", [sys.executable, "-c", {SLEEPER!r}], os.environ)
print(supervisor.pids["child"], flush=True)
time.sleep(600)
"""


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(output: io.StringIO) -> Iterator[Supervisor]:
    made = Supervisor(MergedLog(output), stop_time=1.0)
    yield made
    made.hurry()
    made.stop()


def add(supervisor: Supervisor, name: str, program: str) -> None:
    supervisor.add(name, [sys.executable, "-c", program], os.environ)


def test_a_killed_child_is_started_again(supervisor: Supervisor, output: io.StringIO) -> None:
    add(supervisor, "child", SLEEPER)
    first = supervisor.pids["child"]
    os.kill(first, signal.SIGKILL)

    until(lambda: supervisor.watch(0.05) is None and supervisor.pids.get("child", first) != first)

    assert "child was killed by SIGKILL; starting it again in 0.5 s" in output.getvalue()


def test_the_pause_doubles_while_a_child_keeps_failing(supervisor: Supervisor, output: io.StringIO) -> None:
    add(supervisor, "child", "raise SystemExit(3)")
    until(lambda: supervisor.watch(0.05) is None and "again in 1 s" in output.getvalue())
    assert "child ended with status 3; starting it again in 0.5 s" in output.getvalue()


def test_a_child_with_wrong_settings_ends_everything(supervisor: Supervisor) -> None:
    add(supervisor, "child", f"raise SystemExit({SettingsError.exit_status})")
    deadline = time.monotonic() + 60
    while (status := supervisor.watch(0.05)) is None:
        assert time.monotonic() < deadline
    assert status == SettingsError.exit_status


def test_lines_carry_the_name_of_their_child(supervisor: Supervisor, output: io.StringIO) -> None:
    add(supervisor, "one", "print('from one')")
    add(supervisor, "two", "import sys; print('from two', file=sys.stderr)")
    until(lambda: "from one" in output.getvalue() and "from two" in output.getvalue())
    lines = output.getvalue().splitlines()
    assert "one        │ from one" in lines
    assert "two        │ from two" in lines


def test_a_child_that_ignores_the_request_is_killed(supervisor: Supervisor, output: io.StringIO) -> None:
    add(supervisor, "child", STUBBORN)
    until(lambda: "ready" in output.getvalue())
    pid = supervisor.pids["child"]
    supervisor.stop()
    assert not psutil.pid_exists(pid)
    assert "did not end in 1 s" in output.getvalue()


def test_hurrying_a_stop_kills_at_once(output: io.StringIO) -> None:
    supervisor = Supervisor(MergedLog(output), stop_time=3600.0)
    add(supervisor, "child", STUBBORN)
    until(lambda: "ready" in output.getvalue())
    supervisor.hurry()
    supervisor.stop()


def test_children_end_when_their_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs([child], timeout=60)
    assert not alive


def test_a_process_can_be_stopped_and_started_again(tmp_path: Path) -> None:
    process = ChildProcess("sleeper", [sys.executable, "-c", SLEEPER], output=tmp_path / "log")
    process.start()
    first = process.pid
    until(lambda: "ready" in (tmp_path / "log").read_text())
    process.stop()
    assert not process.running()
    process.start()
    assert process.running()
    assert process.pid != first
    process.kill()
    assert process.exit_status == -signal.SIGKILL
