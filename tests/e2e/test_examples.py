"""The examples in Python and Go, run as they are against what `rowlock up` serves."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_up import Up, running

pytestmark = pytest.mark.timeout(300, func_only=True)

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running(tmp_path_factory.mktemp("up")) as started:
        yield started


@pytest.fixture(scope="module")
def go_example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("go") / "example"
    go = shutil.which("go") or str(Path(sys.executable).parent / "go")
    subprocess.run([go, "build", "-buildvcs=false", "-o", program, "."], cwd=EXAMPLES / "go", check=True)
    return program


def python(example: str, *arguments: str) -> "subprocess.Popen[str]":
    path = os.pathsep.join([str(ROOT / "clients" / "python"), str(ROOT / "gen" / "python")])
    return subprocess.Popen(
        [sys.executable, EXAMPLES / "python" / example, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_who_watches_sees_what_another_one_books(up: Up) -> None:
    address = up.environment["ROWLOCK_GRPC_ADDRESS"]
    with python("watch.py", address, "2") as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline().startswith("free ")
        with python("book.py", address) as booking:
            told, _ = booking.communicate()
        assert booking.returncode == 0
        assert told.count("ticket ") == 2
        assert watching.stdout.read().count(" is now in state ") >= 2
    assert watching.returncode == 0


def test_the_go_example_sees_what_it_books(up: Up, go_example: Path) -> None:
    done = subprocess.run(
        [go_example, up.environment["ROWLOCK_GRPC_ADDRESS"]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "held performances/" in done.stdout
    assert done.stdout.count("is now SEAT_STATE_HELD") == 2
