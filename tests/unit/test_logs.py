import io
import json
import subprocess
import sys
import threading

import pytest
import structlog
from typer.testing import CliRunner

from server.access_log import AccessLog
from server.config import LogFormat, LogLevel
from server.logs import LineWriter, line_writer


def test_lines_of_many_threads_all_arrive_whole() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)

    def write(name: str) -> None:
        for number in range(500):
            writer(f"{name}-{number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.flush()
    lines = stream.getvalue().splitlines()
    assert sorted(lines) == sorted(f"{name}-{n}" for name in "abcd" for n in range(500))
    assert [line for line in lines if line.startswith("a")] == [f"a-{n}" for n in range(500)]


def test_a_stream_that_takes_nothing_costs_lines_and_says_so() -> None:
    class Full(io.StringIO):
        """Takes nothing until it is told to."""

        open = threading.Event()

        def write(self, text: str) -> int:
            self.open.wait(60)
            return super().write(text)

    stream = Full()
    writer = LineWriter(stream, room=10)
    for number in range(1000):
        writer(str(number))
    stream.open.set()
    writer.flush()
    writer.flush()
    lines = stream.getvalue().splitlines()
    assert len(lines) < 50
    assert any("log lines were dropped" in line for line in lines)


def test_what_a_server_in_a_test_logs_is_no_part_of_what_a_command_prints() -> None:
    with CliRunner().isolation() as (printed, *_):
        print("of the command", flush=True)  # noqa: T201
        structlog.get_logger("of.a.server").warning("a line of a server")
        line_writer()("another")
        line_writer().flush()
        assert printed.getvalue().splitlines() == [b"of the command"]


def test_a_closed_stream_ends_nothing() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    stream.close()
    writer("x")
    writer.flush()


@pytest.mark.parametrize("form", list(LogFormat))
def test_the_access_line_has_every_fact(form: LogFormat) -> None:
    lines: list[str] = []
    log = AccessLog(lines.append, form, LogLevel.INFO)
    log("/rowlock.v1.A/B", "NOT_FOUND", "NOT_FOUND", 0.0123, "users/1", "203.0.113.7", "ab" * 16)
    for fact in ("/rowlock.v1.A/B", "NOT_FOUND", "12.3", "users/1", "203.0.113.7", "ab" * 16, "info"):
        assert fact in lines[0]
    if form is LogFormat.JSON:
        assert json.loads(lines[0])["duration_ms"] == 12.3


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        (LogLevel.DEBUG, ["OK", "NOT_FOUND", "UNAVAILABLE", "INTERNAL"]),
        (LogLevel.WARNING, ["UNAVAILABLE", "INTERNAL"]),
        (LogLevel.ERROR, ["INTERNAL"]),
    ],
)
def test_only_lines_that_matter_enough_are_written(level: LogLevel, kept: list[str]) -> None:
    lines: list[str] = []
    log = AccessLog(lines.append, LogFormat.JSON, level)
    for code in ("OK", "NOT_FOUND", "UNAVAILABLE", "INTERNAL"):
        log("/m", code, "", 0.1, "", "", "")
    assert [json.loads(line)["code"] for line in lines] == kept


_PROGRAM = """
import logging, structlog
from server.call import trace_id
from server.config import LogFormat, LogLevel
from server.logs import configure_logging

def fail(password):
    raise RuntimeError("broken")

configure_logging(LogLevel.INFO, LogFormat("{form}"))
trace_id.set("ab" * 16)
try:
    fail("hunter2")
except RuntimeError as error:
    structlog.get_logger().error("fault", exc_info=error)
logging.getLogger("sqlalchemy").warning("from a %s", "package")
structlog.get_logger().debug("too small to matter")
"""


@pytest.mark.parametrize("form", list(LogFormat))
def test_events_of_ours_and_of_packages_share_one_format_and_show_no_variables(form: LogFormat) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.replace("{form}", form.value)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    for part in ("fault", "RuntimeError: broken", "from a package", "sqlalchemy", "ab" * 16):
        assert part in done.stdout
    assert "hunter2" not in done.stdout
    assert "too small" not in done.stdout
    if form is LogFormat.JSON:
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert [event["level"] for event in events] == ["error", "warning"]
