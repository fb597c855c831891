"""A house that can be asked: a real server per module, somebody of its staff, and a customer."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio

from rowlock.v1 import contact_pb2_grpc
from server.config import Settings
from server.db.engine import Database
from tests.rpc.auth.conftest import QUICK, Client, Person, served


@dataclass
class Office:
    """Where inquiries come in."""

    client: Client
    contact: "contact_pb2_grpc.ContactServiceAsyncStub"
    staff: Person
    customer: Person


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(settings: Settings, database: Database) -> AsyncIterator[Office]:
    """The module's server."""
    async with served(settings.model_copy(update=QUICK), database) as client:
        stub: contact_pb2_grpc.ContactServiceAsyncStub = contact_pb2_grpc.ContactServiceStub(client.channel)
        yield Office(client, stub, await client.staff(await client.admin()), await client.sign_up())
