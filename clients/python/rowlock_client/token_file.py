"""Tokens in a file of the user's own, so that one log-in serves many commands."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from rowlock_client.tokens import Tokens


class TokenFile:
    """The tokens for one server, in a file that only its owner can read and that other servers' tokens share.

    A token is never sent to another server than the one that gave it, so each server's are kept apart. What is not
    readable as such a file counts as empty.

    Args:
        path: is made when first written, with mode 600, in a folder of mode 700.
        server: as the user names it.
    """

    def __init__(self, path: Path, server: str) -> None:
        self._path = path
        self._server = server

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def load(self) -> Tokens | None:
        """The tokens kept for the server."""
        with contextlib.suppress(KeyError, TypeError, ValueError):
            kept = self._read()[self._server]
            return Tokens(
                access_token=str(kept["access_token"]),
                expire_time=datetime.fromisoformat(kept["expire_time"]),
                receive_time=datetime.fromisoformat(kept["receive_time"]),
                refresh_token=str(kept["refresh_token"]),
                user=str(kept["user"]),
            )
        return None

    def save(self, tokens: Tokens | None) -> None:
        """Keep these tokens for the server; None: forget them."""
        kept = self._read()
        if tokens is None:
            if self._server not in kept:
                return
            del kept[self._server]
        else:
            kept[self._server] = {
                "access_token": tokens.access_token,
                "expire_time": tokens.expire_time.isoformat(),
                "receive_time": tokens.receive_time.isoformat(),
                "refresh_token": tokens.refresh_token,
                "user": tokens.user,
            }
        self._write(kept)

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _write(self, kept: dict[str, Any]) -> None:
        """Replace the file in one step, so that nobody reads half of it."""
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes files of mode 600.
        number, name = tempfile.mkstemp(prefix=self._path.name, dir=folder)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(kept, file, indent=2)
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
