"""The places in line that commands have taken, so that the next command finds them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rowlock_client.cli.options import token_file


@dataclass(frozen=True, slots=True)
class Kept:
    """A place in line: its name, and the ticket that restores it."""

    name: str
    entry_token: str


class EntryFile:
    """The places of one customer in one server's lines, in a file beside the tokens.

    Args:
        server: as the commands name it.
        user: whose places.
    """

    def __init__(self, server: str, user: str) -> None:
        self._path = token_file(server).path.with_name("queue.json")
        self._owner = f"{user} at {server}"

    def find(self, performance: str) -> Kept | None:
        """The place for a performance; None: none was taken."""
        found = self._read().get(self._owner, {}).get(performance)
        return None if found is None else Kept(found["name"], found["entry_token"])

    def keep(self, performance: str, kept: Kept) -> None:
        """Remember a place."""
        places = self._read()
        places.setdefault(self._owner, {})[performance] = {"name": kept.name, "entry_token": kept.entry_token}
        self._write(places)

    def forget(self, performance: str) -> None:
        """Remember it no longer."""
        places = self._read()
        places.get(self._owner, {}).pop(performance, None)
        self._write(places)

    def _read(self) -> dict[str, dict[str, dict[str, str]]]:
        try:
            found: dict[str, dict[str, dict[str, str]]] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def _write(self, places: dict[str, dict[str, dict[str, str]]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        self._path.write_text(json.dumps(places, indent=1))
