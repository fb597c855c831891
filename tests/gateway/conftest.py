"""A real server, the built gateway in front of it, and a hall to book in: one of each per module."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio
import httpx
import pytest
import pytest_asyncio

from server import resources
from server.app import start
from server.config import Settings
from server.db.engine import Database
from server.runtime import runtime
from tests.gateway_process import Gateway, gateway_process
from tests.invariants import assert_sound
from tests.paying import desk_on
from tests.rpc.auth.conftest import QUICK, Client, Person
from tests.rpc.good_requests import WEBHOOK_SECRET, Maker
from tests.staging import Staged, stage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The first test waits until the gateway is built, which a machine without any of it yet takes minutes for.
    for item in items:
        if "tests/gateway/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(300, func_only=True))


@dataclass
class Door:
    """A server with its gateway.

    Args:
        client: calls the server directly.
        address: the server's.
        gateway: the process.
        http: calls the gateway.
        hall: a performance on sale.
        anna: a customer.
        staff: somebody of the house.
    """

    client: Client
    address: str
    gateway: Gateway
    http: httpx.AsyncClient
    hall: Staged
    anna: Person
    staff: Person

    @property
    def performance(self) -> str:
        """Its resource name."""
        return resources.performance(self.hall.performance_id)

    async def book(self, who: Person, *seats: int, **headers: str) -> httpx.Response:
        """Hold places of the hall by their index."""
        claims = [{"seat": self.hall.hall.places[index].id} for index in seats]
        return await self.http.post(
            f"/v1/{self.performance}/bookings", json={"seats": claims}, headers={**bearer(who), **headers}
        )


def bearer(person: Person) -> dict[str, str]:
    """The header to call with."""
    return {"Authorization": f"Bearer {person.access}"}


@asynccontextmanager
async def serving(settings: Settings, database: Database, **changed: Any) -> AsyncIterator[tuple[Client, str]]:
    """A server that believes its gateway, and where it is."""
    trusting = {**QUICK, "trusted_proxies": frozenset({"127.0.0.1/32"}), **changed}
    async with runtime(settings.model_copy(update=trusting)) as running:
        server, port = await start(running)
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield Client(channel, database), f"127.0.0.1:{port}"
        finally:
            await server.stop(None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(settings: Settings, database: Database) -> AsyncIterator[Door]:
    """The module's."""
    async with (
        serving(settings, database, stripe_webhook_secrets=(WEBHOOK_SECRET,)) as (client, address),
        gateway_process([address], "-cors-origins=https://tickets.example.org", "-drain-time=4s") as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=60) as http,
    ):
        admin = await client.admin()
        hall = database.run_transaction(stage)
        yield Door(client, address, gateway, http, hall, await client.sign_up(), await client.staff(admin))
    assert_sound(database)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def maker(door: Door, database: Database) -> AsyncIterator[Maker]:
    """Makes what requests can name."""
    async with desk_on(database) as desk:
        maker = Maker(door.client, database, desk)
        await maker.begin()
        yield maker
