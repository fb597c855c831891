"""The scans of one gate in a file that outlives it: killed at any line, it loses none and does none twice.

Each line is a fact, as JSON, written and forced to the disk before anybody is told what follows from it:

- `asked`: the server is about to be asked about a code, by this request id. A question without an answer is asked
  again by the same id when the ticket is scanned again, so its first answer comes, whoever was killed in between.
- `answered`: the answer has come, and whether the bearer went in.
- `scan`: decided here, without the server.
- `undone`: somebody who was let in did not go in after all.
- `handed_in`: the server has these scans; each has its id there, so that handing it in again does nothing.

A last line that was cut off was not told to anybody, and is left out. Opening the file writes it anew, without what
is over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to the server.

    Attributes:
        request_id: by which it is known there.
        code: what was scanned.
        place: how the gate called itself then; the same question has the same words.
    """

    request_id: str
    code: str
    place: str


@dataclass(frozen=True, slots=True)
class KeptScan:
    """A scan that was decided without the server.

    Attributes:
        scan_id: by which the server knows it again.
        code: what was scanned.
        time: when, by this machine's clock; aware.
        place: how the gate called itself.
        admitted: whether the bearer went in.
        digest: how entry lists name the ticket.
        request_id: of a question about it that was never answered; empty: there was none.
    """

    scan_id: str
    code: str
    time: datetime
    place: str
    admitted: bool
    digest: bytes
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Entrance:
    """When and where a ticket let somebody in here."""

    time: datetime
    place: str


class ScanFile:
    """One gate's scans. For one process at a time.

    Args:
        path: is made, with mode 600, when it is not there.

    Raises:
        OSError: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._questions: dict[str, Asked] = {}
        self._scans: dict[str, KeptScan] = {}
        self._entrances: dict[bytes, Entrance] = {}
        for line in _lines(path):
            self._apply(line)
        self._write_anew()
        self._number = os.open(path, os.O_WRONLY | os.O_APPEND)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._number)

    @property
    def waiting(self) -> list[KeptScan]:
        """What is to be handed in, oldest first."""
        return list(self._scans.values())

    @property
    def entrances(self) -> dict[bytes, Entrance]:
        """Which tickets have let somebody in here, by digest."""
        return self._entrances

    def unanswered(self, code: str) -> Asked | None:
        """The question about a code whose answer never came, if there is one."""
        return self._questions.get(code)

    def question(self, code: str, place: str) -> Asked:
        """What to ask the server about a code: a question that was not answered yet, or a new one."""
        unanswered = self.unanswered(code)
        if unanswered is not None:
            return unanswered
        asked = Asked(uuid4().hex, code, place)
        self._append({"asked": asdict(asked)})
        return asked

    def answered(self, asked: Asked, *, entered: tuple[bytes, Entrance] | None = None) -> None:
        """The server has answered.

        Args:
            asked: the question.
            entered: the digest of the ticket, and when and where its bearer went in; None: the bearer did not.
        """
        fact: dict[str, Any] = {"answered": asked.code}
        if entered is not None:
            fact["entered"] = _entrance_as_json(*entered)
        self._append(fact)

    def keep(self, scan: KeptScan) -> None:
        """A scan was decided without the server."""
        self._append({"scan": _scan_as_json(scan)})

    def undo(self, digest: bytes) -> None:
        """Whoever was let in with this ticket did not go in."""
        self._append({"undone": digest.hex()})

    def handed_in(self, scans: Iterable[KeptScan]) -> None:
        """The server has these scans."""
        self._append({"handed_in": [scan.scan_id for scan in scans]})

    def _apply(self, fact: dict[str, Any]) -> None:
        if "asked" in fact:
            asked = Asked(**fact["asked"])
            self._questions[asked.code] = asked
        elif "answered" in fact:
            self._questions.pop(fact["answered"], None)
        elif "scan" in fact:
            self._keep(_scan(fact["scan"]))
        elif "undone" in fact:
            digest = bytes.fromhex(fact["undone"])
            self._entrances.pop(digest, None)
            for scan in [one for one in self._scans.values() if one.digest == digest and one.admitted]:
                if scan.request_id:
                    # Nobody knows how the server took the question: it is open again.
                    self._questions[scan.code] = Asked(scan.request_id, scan.code, scan.place)
                self._scans[scan.scan_id] = replace(scan, admitted=False, request_id="")
        elif "handed_in" in fact:
            for scan_id in fact["handed_in"]:
                self._scans.pop(scan_id, None)
        if "entered" in fact:
            entrance = Entrance(datetime.fromisoformat(fact["entered"]["time"]), fact["entered"]["place"])
            self._entrances[bytes.fromhex(fact["entered"]["digest"])] = entrance

    def _keep(self, scan: KeptScan) -> None:
        self._scans[scan.scan_id] = scan
        if scan.admitted:
            self._entrances[scan.digest] = Entrance(scan.time, scan.place)
            if scan.request_id:
                # Handing the scan in settles the question, too.
                self._questions.pop(scan.code, None)

    def _append(self, fact: dict[str, Any]) -> None:
        """Write a fact, so that it is there whatever happens next; only then believe it."""
        _write(self._number, _encoded(fact))
        self._apply(fact)

    def _write_anew(self) -> None:
        """Put a file with what still matters in the place of the old one, in one step."""
        facts: list[dict[str, Any]] = [{"entered": _entrance_as_json(*entered)} for entered in self._entrances.items()]
        facts += [{"scan": _scan_as_json(scan)} for scan in self._scans.values()]
        facts += [{"asked": asdict(asked)} for asked in self._questions.values()]
        replace_file(self._path, b"".join(_encoded(fact) for fact in facts))


def replace_file(path: Path, data: bytes) -> None:
    """Write a file in one step, as its owner's only, and force it to the disk."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    for line in data.splitlines(keepends=True):
        try:
            fact = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            fact = None
        if isinstance(fact, dict):
            yield fact


def _write(number: int, data: bytes) -> None:
    """Append a line and force it to the disk; where that fails, half a line must not spoil the next one."""
    size = os.fstat(number).st_size
    try:
        while data:
            data = data[os.write(number, data) :]
        os.fsync(number)
    except OSError:
        os.ftruncate(number, size)
        raise


def _encoded(fact: dict[str, Any]) -> bytes:
    return json.dumps(fact, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _entrance_as_json(digest: bytes, entrance: Entrance) -> dict[str, str]:
    return {"digest": digest.hex(), "time": entrance.time.isoformat(), "place": entrance.place}


def _scan_as_json(scan: KeptScan) -> dict[str, Any]:
    return asdict(scan) | {"time": scan.time.isoformat(), "digest": scan.digest.hex()}


def _scan(values: dict[str, Any]) -> KeptScan:
    return KeptScan(
        **values | {"time": datetime.fromisoformat(values["time"]), "digest": bytes.fromhex(values["digest"])}
    )
