"""What a gate keeps on its machine to work without a connection: one folder for each performance and name of a gate.

The signed entry list is kept as it came, the whole one first and then what has changed since, and is verified again
when it is read. Whoever could change these files could let people in anyway: they belong to the gate's own user.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self
from uuid import uuid4

from google.protobuf.message import DecodeError, Message

from rowlock.v1.auth_pb2 import GetJwksResponse
from rowlock.v1.performance_pb2 import GetPerformanceSeatMapResponse, Performance
from rowlock.v1.ticket_pb2 import EntryList
from rowlock.v1.ticket_type_pb2 import ListTicketTypesResponse
from rowlock_client.cli.gate_facts import DoorFacts
from rowlock_client.cli.gate_scans import ScanFile, replace_file
from rowlock_client.cli.options import Failure, token_file

try:
    import fcntl
except ImportError:  # pragma: no cover - not a POSIX system; two gates of one name are not told apart there
    fcntl = None  # type: ignore[assignment]

_DOOR: Final = "door"
_LISTS: Final = "lists"
_SIZE_BYTES: Final = 4


def gates_folder(server: str) -> Path:
    """Where the gates at a server keep what they need, beside the tokens."""
    return token_file(server).path.with_name("gates") / hashlib.sha256(server.encode()).hexdigest()[:16]


class GateStore:
    """The folder of one gate, locked as long as it is open.

    Args:
        folder: is made, with mode 700, when it is not there.

    Raises:
        Failure: another process has it open.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        if fcntl is not None:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._lock)
                raise Failure("a gate of this name is open on this machine; give another --gate") from None
        self.scans = ScanFile(folder / "scans.jsonl")

    @classmethod
    def at(cls, server: str, performance: str, gate: str) -> Self:
        """The folder of a gate.

        Args:
            server: as the commands name it.
            performance: `performances/{performance}`.
            gate: how it calls itself.
        """
        name = hashlib.sha256(gate.encode()).hexdigest()[:12]
        return cls(gates_folder(server) / f"{performance.rpartition('/')[2]}-{name}")

    def close(self) -> None:
        """Let others open it."""
        self.scans.close()
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def device(self) -> str:
        """How the server knows this gate's scans: made once, never another one."""
        path = self._folder / "device"
        with contextlib.suppress(FileNotFoundError):
            return path.read_text(encoding="utf-8")
        made = f"gate-{uuid4().hex}"
        replace_file(path, made.encode())
        return made

    @property
    def performance(self) -> str:
        """Which performance the gate is at; empty: nothing was kept yet."""
        facts = self.load()
        return facts.performance.name if facts is not None else ""

    def save(self, facts: DoorFacts) -> None:
        """Keep these facts in the place of others."""
        messages: list[Message] = [facts.performance, facts.ticket_types, facts.drawing, facts.keys]
        head = bytes([facts.staff])
        replace_file(self._folder / _LISTS, b"".join(map(_framed, facts.lists)))
        replace_file(self._folder / _DOOR, head + b"".join(map(_framed, messages)))

    def add_list(self, signed: EntryList) -> None:
        """Keep what has changed since the lists that are kept."""
        with (self._folder / _LISTS).open("ab") as file:
            file.write(_framed(signed))

    def load(self) -> DoorFacts | None:
        """What was kept; None: nothing that can be read."""
        try:
            data = (self._folder / _DOOR).read_bytes()
            performance, types, drawing, keys = _unframed(data[1:])
            return DoorFacts(
                Performance.FromString(performance),
                ListTicketTypesResponse.FromString(types),
                GetPerformanceSeatMapResponse.FromString(drawing),
                GetJwksResponse.FromString(keys),
                [EntryList.FromString(one) for one in _unframed((self._folder / _LISTS).read_bytes())],
                staff=data[:1] == b"\x01",
            )
        except (FileNotFoundError, ValueError, DecodeError):
            return None


def open_stores(server: str) -> Iterator[GateStore]:
    """The folders of all gates at a server that no other process has open, one after the other, each closed after."""
    root = gates_folder(server)
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        with contextlib.suppress(Failure), GateStore(folder) as store:
            yield store


def _framed(message: Message) -> bytes:
    data = message.SerializeToString()
    return len(data).to_bytes(_SIZE_BYTES) + data


def _unframed(data: bytes) -> list[bytes]:
    """The messages of a file; one that was cut off is left out."""
    found = []
    while len(data) >= _SIZE_BYTES:
        end = _SIZE_BYTES + int.from_bytes(data[:_SIZE_BYTES])
        if len(data) >= end:
            found.append(data[_SIZE_BYTES:end])
        data = data[end:]
    return found
