"""The scans of a gate survive it, whenever it is killed."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rowlock_client.cli.gate_scans import Entrance, ScanFile
from tests.unit.client.dying_gate import NOW, Steps, scan, summary

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scans.jsonl"


@pytest.mark.promise("2.10")
def test_killed_at_any_line_it_has_done_what_it_told_and_at_most_the_next_step(tmp_path: Path) -> None:
    steps = len(Steps(tmp_path / "whole").all)
    after = []
    for count in range(steps + 1):
        for step in Steps(tmp_path / f"only-{count}").all[:count]:
            step()
        after.append(summary(tmp_path / f"only-{count}"))
    # From here on in a process of its own, which may die without taking the tests along.
    folder = tmp_path / "killed"
    folder.mkdir()
    command = (sys.executable, "-m", "tests.unit.client.dying_gate", str(folder))
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    deaths = [json.loads(line) for line in told.splitlines()]
    assert len(deaths) > 300
    assert {death["steps"] for death in deaths} == set(range(steps + 1))
    for death in deaths:
        done = death["steps"]
        assert death["file"] in after[done : done + 2], death


def test_what_is_kept_is_forced_to_the_disk_before_it_is_believed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ScanFile(path)
    forced: list[str] = []

    def fsync(number: int) -> None:
        forced.append(path.read_text())

    monkeypatch.setattr(os, "fsync", fsync)
    file.keep(scan(1))
    assert "scan-1" in forced[-1]
    file.answered(file.question("CODE9", "North"), entered=(b"\x09" * 12, Entrance(NOW, "North")))
    assert "entered" in forced[-1]


def test_a_full_disk_is_told_and_spoils_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ScanFile(path)
    file.keep(scan(1))
    write = os.write

    def half(number: int, data: bytes) -> int:
        if len(data) > 20:
            return write(number, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space"):
            file.keep(scan(2))
    assert [one.scan_id for one in file.waiting] == ["scan-1"]
    file.keep(scan(3))
    file.close()

    assert [one.scan_id for one in ScanFile(path).waiting] == ["scan-1", "scan-3"]


def test_a_line_that_was_cut_off_is_left_out_and_gone(path: Path) -> None:
    file = ScanFile(path)
    file.keep(scan(1))
    file.keep(scan(2))
    file.close()
    path.write_bytes(path.read_bytes()[:-9] + b"")

    again = ScanFile(path)
    again.keep(scan(3))
    again.close()

    assert [one.scan_id for one in ScanFile(path).waiting] == ["scan-1", "scan-3"]


def test_a_question_without_an_answer_is_asked_again_by_the_same_name(path: Path) -> None:
    file = ScanFile(path)
    asked = file.question("CODE1", "North")
    file.close()

    again = ScanFile(path)
    assert again.question("CODE1", "another name by now") == asked
    again.answered(asked)
    assert again.question("CODE1", "North") != asked


def test_an_undone_admission_opens_its_question_again(path: Path) -> None:
    file = ScanFile(path)
    asked = file.question("CODE1", "North")
    file.keep(scan(1, request_id=asked.request_id))
    assert file.question("CODE1", "North") != asked, "handing the scan in settles it"

    file.undo(scan(1).digest)

    assert file.question("CODE1", "North") == asked
    assert [(one.admitted, one.request_id) for one in file.waiting] == [(False, "")]
    assert file.entrances == {}


def test_only_its_owner_reads_it(path: Path) -> None:
    ScanFile(path).close()

    assert path.stat().st_mode & 0o077 == 0
