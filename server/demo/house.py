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

from sqlalchemy.orm import Session

from rowlock_client import aio
from server import demo_venue
from server.commands.children import add_copy, child_environment, command_line
from server.config import Settings, StartError, load_settings
from server.db.engine import Database
from server.db.migrate import upgrade
from server.demo_venue import DemoVenue
from server.domain.accounts import ensure_admin
from server.domain.passwords import PasswordHasher
from server.embedded import EmbeddedServers
from server.fake_provider.provider import Identity
from server.supervisor import MergedLog, Supervisor

SERVERS: Final = 2
HOLD: Final = timedelta(seconds=8)
CUSTOMER_LIMIT: Final = 6
MANAGER: Final = "manager@example.org"
MANAGERS_PASSWORD: Final = "the manager of a house that stands for a minute"  # noqa: S105
_PAYPAL: Final = ("paypal_mode", "paypal_base_url", "paypal_client_id", "paypal_client_secret")
_FAULT_RATE: Final = 0.06
_DECLINE_RATE: Final = 0.06
_STOP_SECONDS: Final = 5.0
_READY_SECONDS: Final = 180.0


@dataclass(frozen=True)
class House:
    """A theatre and a cinema on sale, served.

    Attributes:
        servers: where each server process answers.
        performance: what everybody wants to see, in the theatre.
        premiere: a film that many want to see, too: the one with a waiting room.
        matinee: a film that will be cancelled.
        database: to look behind the scenes.
        settings: of the servers.
        paypal: where the fake provider is.
        mails: the folder with every mail that was sent.
    """

    servers: tuple[str, ...]
    performance: str
    premiere: str
    matinee: str
    database: Database
    settings: Settings
    paypal: str
    mails: Path


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
    mail, paypal = _free_addresses(2)
    identity = Identity()
    settings = load_settings(
        {
            "database_url": "",
            "redis_url": "",
            "data_dir": folder / "data",
            "hold_duration": HOLD,
            "customer_limit": CUSTOMER_LIMIT,
            "smtp_url": f"smtp://{mail}",
            "paypal_mode": "sandbox",
            "paypal_base_url": f"http://{paypal}",
            "paypal_client_id": identity.client_id,
            "paypal_client_secret": identity.client_secret,
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
                database.run_transaction(_add_manager)
                addresses = _free_addresses(SERVERS)
                mails = folder / "mails"
                _start_others(supervisor, embedded.settings, mail=mail, mails=mails, paypal=paypal)
                _start(supervisor, embedded.settings, addresses)
                theatre, (premiere, matinee) = _on_sale(venue)
                with _looked_after(supervisor):
                    yield House(
                        servers=addresses,
                        performance=theatre,
                        premiere=premiere,
                        matinee=matinee,
                        database=database,
                        settings=embedded.settings,
                        paypal=settings.paypal_base_url,
                        mails=mails,
                    )
            finally:
                supervisor.stop()
                database.close()


def _on_sale(venue: DemoVenue) -> tuple[str, list[str]]:
    """The theatre's first performance, and two of the cinema's."""
    theatre, title = venue.performances[0]
    films = [name for name, other in venue.performances if other != title]
    return theatre, films[:2]


def _add_manager(session: Session) -> None:
    """Somebody who may cancel a performance."""
    hasher = PasswordHasher(memory_kib=64, passes=1)
    ensure_admin(session, email=MANAGER, display_name="Manager", password_hash=hasher.hash(MANAGERS_PASSWORD))


def _start_others(supervisor: Supervisor, settings: Settings, *, mail: str, mails: Path, paypal: str) -> None:
    """Those whom real installations have elsewhere: a mail server, and a payment provider with bad days."""
    environment = child_environment(settings)
    supervisor.add("mail", command_line("mail", "catch", mail, str(mails)), environment)
    chances = ("--fault-rate", str(_FAULT_RATE), "--decline-rate", str(_DECLINE_RATE))
    supervisor.add("paypal", command_line("fake-provider", "--address", paypal, *chances), environment)


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
        # So that a hold runs out while its provider is silent.
        "payment_max_time": "2s",
        "payment_call_timeout": "1s",
        **{name: getattr(settings, name) for name in _PAYPAL},
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
        StartError: one does not within three minutes.
    """
    await asyncio.gather(*(_wait_for(address, house.performance) for address in house.servers))


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
