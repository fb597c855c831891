"""A gate that writes down scans and is killed: at each line of its code in turn, each time from the beginning.

    python -m tests.unit.client.dying_gate FOLDER

Prints, for each time, how many steps it had been told were done and what the file says then, as JSON.
"""

import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from rowlock_client.cli import gate_scans
from rowlock_client.cli.gate_scans import Asked, Entrance, KeptScan, ScanFile

NOW = datetime(2030, 1, 1, 19, tzinfo=UTC)


def scan(number: int, *, admitted: bool = True, request_id: str = "") -> KeptScan:
    return KeptScan(f"scan-{number}", f"CODE{number}", NOW, "North", admitted, bytes([number]) * 12, request_id)


class Steps:
    """What a gate does in an evening, one step after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = ScanFile(path)
        self._asked: Asked | None = None
        self.all = (
            self._ask,
            self._answer,
            self._ask,
            lambda: self._file.keep(scan(1, request_id="first")),
            lambda: self._file.keep(scan(2)),
            self._open_again,
            lambda: self._file.keep(scan(3, admitted=False)),
            lambda: self._file.undo(scan(2).digest),
            lambda: self._file.handed_in([scan(1), scan(3)]),
            self._open_again,
            lambda: self._file.keep(scan(4)),
        )

    def _ask(self) -> None:
        self._asked = self._file.question("CODE9", "North")

    def _answer(self) -> None:
        assert self._asked is not None
        self._file.answered(self._asked, entered=(b"\x09" * 12, Entrance(NOW, "North")))

    def _open_again(self) -> None:
        self._file.close()
        self._file = ScanFile(self._path)


def summary(path: Path) -> dict[str, Any]:
    """What a gate that opens the file next knows."""
    file = ScanFile(path)
    try:
        asked_twice = file.question("CODE9", "North").request_id == file.question("CODE9", "North").request_id
        return {
            "waiting": [[one.scan_id, one.admitted, one.request_id] for one in file.waiting],
            "entrances": sorted(digest.hex() for digest in file.entrances),
            "asks the same": asked_twice,
        }
    finally:
        file.close()


def run(path: Path, done: int, line: int | None) -> None:
    """Do the steps; tell `done` after each. At the given line of the code this process is killed."""
    seen = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal seen
        if frame.f_code.co_filename != gate_scans.__file__:
            return None
        if event == "line":
            seen += 1
            if seen == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    for step in Steps(path).all:
        step()
        os.write(done, b".")
    sys.settrace(None)


def main(folder: Path) -> None:
    """Kill it at its first line, then at its second, until it has come to the end."""
    # What a killed process has written is there without; that it is forced to the disk is tested elsewhere.
    os.fsync = lambda _: None  # type: ignore[assignment]
    line, killed = 0, True
    while killed:
        line += 1
        path = folder / f"scans-{line}"
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            run(path, writing, line)
            os._exit(0)
        os.close(writing)
        steps = 0
        while told := os.read(reading, 64):
            steps += len(told)
        os.close(reading)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        sys.stdout.write(json.dumps({"line": line, "steps": steps, "file": summary(path)}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
