"""A real PostgreSQL and a real Valkey from Python wheels, for trying, developing and testing.

`EmbeddedServers` is what `rowlock up` uses: it takes the data folder for itself, starts what has no URL of its
own in the settings, and stops it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

from server.config import Settings
from server.embedded.folders import EmbeddedServerError, own_folder
from server.embedded.postgres import PostgresServer
from server.embedded.valkey import ValkeyServer

__all__ = ["EmbeddedServerError", "EmbeddedServers", "PostgresServer", "ValkeyServer", "running_settings"]

DATABASE = "rowlock"
_ADDRESSES = "running.json"


class EmbeddedServers:
    """The servers that the settings ask to embed, from entering to leaving the `with` block.

    Args:
        settings: an empty `database_url` or `redis_url` means "embedded".
        output: a function that takes the name of a server and one line of its log; None: log files.
    """

    def __init__(self, settings: Settings, output: Callable[[str, str], None] | None = None) -> None:
        self._given = settings
        self._output = output
        self._lock: IO[str] | None = None
        self.postgres: PostgresServer | None = None
        self.valkey: ValkeyServer | None = None

    @property
    def settings(self) -> Settings:
        """The settings with the URLs of the embedded servers filled in."""
        found = {}
        if self.postgres is not None:
            found["database_url"] = self.postgres.url(DATABASE)
        if self.valkey is not None:
            found["redis_url"] = self.valkey.url()
        return self._given.model_copy(update=found)

    def __enter__(self) -> Self:
        """Start them.

        Raises:
            EmbeddedServerError: the folder is in use, or a server did not start.
        """
        if self._given.database_url and self._given.redis_url:
            return self
        self._take_folder()
        try:
            if not self._given.database_url:
                self.postgres = PostgresServer(self._given.data_dir, output=self._sink("postgres"))
                self.postgres.start()
                self.postgres.create_database(DATABASE)
            if not self._given.redis_url:
                self.valkey = ValkeyServer(self._given.data_dir, output=self._sink("valkey"))
                self.valkey.start()
            self._publish_addresses()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop them and give the folder back."""
        self.stop()

    def revive(self) -> list[str]:
        """Start again what ended by itself; returns the names of those servers.

        Raises:
            EmbeddedServerError: one did not start any more.
        """
        revived = []
        for server in (self.postgres, self.valkey):
            if server is not None and not server.process.running():
                server.start()
                revived.append(server.process.name)
        return revived

    def stop(self) -> None:
        """Stop what runs; may be called again."""
        for server in (self.valkey, self.postgres):
            if server is not None:
                server.stop()
        if self._lock is not None:
            (self._given.data_dir / _ADDRESSES).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def _publish_addresses(self) -> None:
        """Let other commands on this machine find the servers: see `running_settings`."""
        found = self.settings
        file = self._given.data_dir / _ADDRESSES
        file.touch(mode=0o600)
        file.write_text(json.dumps({"database_url": found.database_url, "redis_url": found.redis_url}))

    def _sink(self, name: str) -> Callable[[str], None] | None:
        output = self._output
        return None if output is None else lambda line: output(name, line)

    def _take_folder(self) -> None:
        """One owner per folder. The lock is the kernel's: it goes with the process, however that ends."""
        folder = own_folder(self._given.data_dir.resolve(), 0o711)
        self._lock = (folder / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            owner = self._lock.read().strip()
            self._lock.close()
            self._lock = None
            raise EmbeddedServerError(
                f"Another Rowlock{f' (process {owner})' if owner else ''} uses {folder}. Stop it, or give this one "
                "a folder of its own in ROWLOCK_DATA_DIR."
            ) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        with contextlib.suppress(OSError):
            # Databases do not belong into somebody's repository or backup by accident.
            (folder / ".gitignore").write_text("*\n")


def running_settings(settings: Settings) -> Settings | None:
    """The settings with the URLs of servers that a `rowlock up` on the same folder embeds now; None if there is none.

    Settings that name both servers come back as they are.
    """
    if settings.database_url and settings.redis_url:
        return settings
    folder = settings.data_dir.resolve()
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((folder / _ADDRESSES).read_text())
            return settings.model_copy(update=found)
    return None
