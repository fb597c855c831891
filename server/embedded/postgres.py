"""A real PostgreSQL 18 from a wheel, on a unix socket only."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from server.embedded.folders import (
    EmbeddedServerError,
    data_folder,
    own_folder,
    postgresql_programs,
    socket_folder,
    system_account,
)
from server.processes import ChildProcess

SUPERUSER = "postgres"
_START_LIMIT = 60.0

# Sized for a laptop or a small rented machine that also runs everything else. `jit` costs more than it saves on
# statements of a millisecond. The seats of a performance on sale are updated thousands of times a minute, so
# autovacuum comes early and works without pauses.
_CONFIGURATION = """
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 8MB
maintenance_work_mem = 128MB
jit = off
random_page_cost = 1.1
wal_compression = pglz
wal_buffers = 16MB
max_wal_size = 2GB
min_wal_size = 256MB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
autovacuum_naptime = 10s
autovacuum_vacuum_scale_factor = 0.05
autovacuum_vacuum_cost_delay = 0
max_parallel_workers_per_gather = 0
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = ''
log_min_messages = log
log_min_error_statement = panic
log_checkpoints = off
log_lock_waits = on
"""
_SAFE = "fsync = on\nsynchronous_commit = on\nfull_page_writes = on\n"
# For tests: what a power cut would lose does not matter; a killed process still loses nothing.
_QUICK = "fsync = off\nsynchronous_commit = on\nfull_page_writes = off\n"


class PostgresServer:
    """One embedded server. It can be stopped, killed and started again on the same data.

    Args:
        folder: where its data goes; made if absent. Only one server may use it at a time.
        power_safe: whether a commit must survive a power cut. False only for tests.
        output: a function that takes each line of its log; None: `postgres.log` in the folder.
    """

    def __init__(self, folder: Path, *, power_safe: bool = True, output: Callable[[str], None] | None = None) -> None:
        self._account = system_account()
        self.folder = data_folder(folder, self._account)
        self._programs = postgresql_programs(self.folder, self._account)
        self._sockets = socket_folder(self.folder, self._account)
        self.data = self.folder / "postgres"
        self._power_safe = power_safe
        # No variable of ours (PGPORT, PGDATA, LC_*) may change what the server does.
        self._environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        self.process = ChildProcess(
            "postgres",
            [str(self._programs / "postgres"), "-D", str(self.data), "-k", str(self._sockets)],
            output=output or self.folder / "postgres.log",
            stop_signal=signal.SIGINT,  # "fast": ends sessions, writes everything, and goes
            account=self._account,
            environment=self._environment,
            folder=self.folder,
        )

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return self.process.pid

    def url(self, database: str = SUPERUSER) -> str:
        """The URL of one of its databases, for SQLAlchemy."""
        host = quote(str(self._sockets), safe="")
        return f"postgresql+psycopg2://{SUPERUSER}@/{quote(database)}?host={host}&port=5432"

    def start(self) -> None:
        """Make the data folder if it is new, start, and return when connections are accepted.

        Raises:
            EmbeddedServerError: it did not come up; the text holds the end of its log.
        """
        if self.process.running():
            return
        if not self.data.exists():
            self._initialise()
        self._end_orphan()
        configuration = self.data / "rowlock.conf"
        configuration.write_text(_CONFIGURATION + (_SAFE if self._power_safe else _QUICK))
        configuration.chmod(0o644)  # whatever our umask: its reader is another user
        self.process.start()
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop in good order within seconds; sessions are ended."""
        self.process.stop()

    def kill(self) -> None:
        """Kill -9 the postmaster. Its other processes notice and go; `start` recovers the data."""
        self.process.kill()

    @contextlib.contextmanager
    def connect(self, database: str = SUPERUSER) -> Iterator[psycopg2.extensions.connection]:
        """A connection as the superuser, in autocommit, for work on whole databases."""
        connection = psycopg2.connect(
            host=str(self._sockets), port=5432, user=SUPERUSER, dbname=database, connect_timeout=10
        )
        try:
            connection.autocommit = True
            yield connection
        finally:
            connection.close()

    def create_database(self, name: str) -> None:
        """Make a database unless it exists."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def _initialise(self) -> None:
        """Run initdb. The built-in C.UTF-8 sorts the same on every system, whatever its locales."""
        # Under another name until complete: a start that was killed half-way must not leave half a database.
        unfinished = self.folder / "postgres.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        own_folder(unfinished, 0o700, self._account)
        result = subprocess.run(
            [
                str(self._programs / "initdb"),
                "--pgdata",
                str(unfinished),
                "--username",
                SUPERUSER,
                # Only this user can enter the folder of the socket, and there is no other way in.
                "--auth=trust",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
                "--no-sync",
            ],
            check=False,
            capture_output=True,
            text=True,
            user=self._account.uid if self._account else None,
            group=self._account.gid if self._account else None,
            extra_groups=[] if self._account else None,
            env=self._environment,
            cwd=self.folder,
        )
        if result.returncode:
            raise EmbeddedServerError(f"PostgreSQL could not make its data folder:\n{result.stderr.strip()}")
        with (unfinished / "postgresql.conf").open("a") as file:
            file.write("\ninclude_if_exists = 'rowlock.conf'\n")
        unfinished.rename(self.data)

    def _end_orphan(self) -> None:
        """End a server that a killed parent left on this data, and forget a process id that means nothing."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().splitlines()[0])
        except (FileNotFoundError, IndexError, ValueError):
            pid_file.unlink(missing_ok=True)
            return
        if orphan := find_orphan(pid, "postgres", str(self.data)):
            end_orphan(orphan, signal.SIGINT)
        pid_file.unlink(missing_ok=True)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_LIMIT
        pid_file = self.data / "postmaster.pid"
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):
                lines = pid_file.read_text().splitlines()
                if len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready":
                    return
            if not self.process.running():
                raise EmbeddedServerError(f"The embedded PostgreSQL ended at once.\n{self._end_of_log()}")
            time.sleep(0.02)
        self.kill()
        raise EmbeddedServerError(
            f"The embedded PostgreSQL was not ready in {_START_LIMIT:.0f} s.\n{self._end_of_log()}"
        )

    def _end_of_log(self) -> str:
        if isinstance(self.process.output, Path) and self.process.output.exists():
            return "\n".join(self.process.output.read_text(errors="replace").splitlines()[-15:])
        return "Its log lines above say why."


def find_orphan(pid: int, program: str, marker: str) -> psutil.Process | None:
    """The process `pid`, if it is a `program` whose command line names `marker`: numbers are given again."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if program in process.name() and any(marker in part for part in process.cmdline()):
            return process
    return None


def end_orphan(process: psutil.Process, stop_signal: signal.Signals, limit: float = 15.0) -> None:
    """Ask a process that is not our child to end; kill it after `limit` seconds."""
    with contextlib.suppress(psutil.Error):
        process.send_signal(stop_signal)
        try:
            process.wait(limit)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(limit)
