"""The servers of the demo: as `rowlock up` would start them, on data and ports of their own."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from rowlock_client import aio
from server import demo_venue
from server.commands.children import add_copy, child_environment
from server.config import Settings, StartError, load_settings
from server.db.engine import Database
from server.db.migrate import upgrade
from server.embedded import EmbeddedServers
from server.supervisor import MergedLog, Supervisor

SERVERS: Final = 2
HOLD: Final = timedelta(seconds=8)
CUSTOMER_LIMIT: Final = 6
_STOP_SECONDS: Final = 5.0
_READY_SECONDS: Final = 60.0


@dataclass(frozen=True)
class House:
    """A theatre on sale, served.

    Attributes:
        servers: where each server process answers.
        performance: what is on sale.
        database: to look behind the scenes.
    """

    servers: tuple[str, ...]
    performance: str
    database: Database


@contextlib.contextmanager
def data_folder() -> Iterator[Path]:
    """A folder for one demo. It stays, with its log, if the demo fails."""
    folder = Path(tempfile.mkdtemp(prefix="rowlock-demo-"))
    # The system user of PostgreSQL has to get through.
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def open_house(folder: Path) -> Iterator[House]:
    """A theatre and everything that sells it, within the block."""
    settings = load_settings(
        {
            "database_url": "",
            "redis_url": "",
            "data_dir": folder / "data",
            "hold_duration": HOLD,
            "customer_limit": CUSTOMER_LIMIT,
        },
        env_file=None,
    )
    with (folder / "log").open("w", encoding="utf-8") as file:
        log = MergedLog(file)
        supervisor = Supervisor(log, stop_time=_STOP_SECONDS)
        with EmbeddedServers(settings, log) as embedded:
            database = Database(embedded.settings.database_url, threads=2)
            try:
                upgrade(embedded.settings.database_url)
                venue = database.run_transaction(lambda session: demo_venue.load(session, settings))
                addresses = _free_addresses(SERVERS)
                _start(supervisor, embedded.settings, addresses)
                with _looked_after(supervisor):
                    yield House(addresses, venue.performances[0][0], database)
            finally:
                supervisor.stop()
                database.close()


def _start(supervisor: Supervisor, settings: Settings, addresses: tuple[str, ...]) -> None:
    shared: dict[str, object] = {
        "admin_address": "off",
        "metrics_address": "off",
        "drain_time": "2s",
        # All customers come from one address, and their passwords guard nothing.
        "rate_limits": False,
        "password_memory": "64KiB",
        "password_passes": 1,
        "payment_resolve_interval": "1s",
        "payment_sweep_interval": "1s",
    }
    for index, address in enumerate(addresses):
        environment = child_environment(settings, process_index=index, **(shared | {"grpc_address": address}))
        add_copy(supervisor, "server", "serve", index, environment)
    add_copy(supervisor, "worker", "worker", 0, child_environment(settings, **shared))
    add_copy(supervisor, "scheduler", "scheduler", 0, child_environment(settings, **shared))


@contextlib.contextmanager
def _looked_after(supervisor: Supervisor) -> Iterator[None]:
    """Within the block what dies is started again."""
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            supervisor.watch()

    thread = threading.Thread(target=look, name="supervisor")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def wait_until_open(house: House) -> None:
    """Return when every server sells.

    Raises:
        StartError: one does not within a minute.
    """
    async with asyncio.TaskGroup() as group:
        for address in house.servers:
            group.create_task(_wait_for(address, house.performance))


async def _wait_for(address: str, performance: str) -> None:
    async with _client(address) as client:
        try:
            await client.performance(performance)
        except Exception as error:
            raise StartError(f"the server at {address} does not answer: {error}") from error


@contextlib.asynccontextmanager
async def _client(address: str) -> AsyncIterator[aio.Client]:
    async with aio.Client(address, timeout=_READY_SECONDS) as client:
        yield client


def _free_addresses(count: int) -> tuple[str, ...]:
    """Ports that nobody uses at this moment."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes)
