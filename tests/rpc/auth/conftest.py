"""A real server for the tests of AuthService: one per module, in the module's event loop, over a socket."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from rowlock.v1 import auth_pb2 as pb
from rowlock.v1 import auth_pb2_grpc
from server.app import start
from server.config import Settings
from server.db.engine import Database
from server.domain import accounts
from server.domain.passwords import PasswordHasher
from server.runtime import runtime

PASSWORD = "correct horse battery"
QUICK = {"password_memory": 64 * 1024, "password_passes": 1}

_numbers = count(1)


@dataclass(frozen=True)
class Refusal:
    """How a call ended that was refused."""

    code: str
    reason: str
    message: str
    fields: tuple[str, ...]
    facts: Mapping[str, str]


@dataclass
class Person:
    """Somebody with an account, logged in."""

    name: str
    email: str
    access: str
    refresh: str

    @property
    def token(self) -> tuple[tuple[str, str], ...]:
        """The metadata to call with."""
        return (("authorization", f"Bearer {self.access}"),)


async def refusal(call: Awaitable[Any]) -> Refusal:
    """Make a call that must be refused."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    error = refused.value
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None, f"{error.code()} without details: {error.details()}"
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return Refusal(
        error.code().name,
        info.reason,
        error.details() or "",
        tuple(violation.field for violation in bad.field_violations),
        dict(info.metadata),
    )


class Client:
    """Calls one server."""

    def __init__(self, channel: grpc.aio.Channel, database: Database) -> None:
        self.channel = channel
        self.database = database
        self.auth: auth_pb2_grpc.AuthServiceAsyncStub = auth_pb2_grpc.AuthServiceStub(channel)

    async def sign_up(self, email: str = "", name: str = "Ada", password: str = PASSWORD) -> Person:
        """Open an account and log in."""
        email = email or f"person{next(_numbers)}@example.com"
        await self.auth.SignUp(pb.SignUpRequest(display_name=name, email=email, password=password))
        return await self.log_in(email, password)

    async def log_in(self, email: str, password: str = PASSWORD) -> Person:
        """Begin a session."""
        answer = await self.auth.LogIn(pb.LogInRequest(email=email, password=password))
        return Person(answer.user.name, answer.user.email, answer.access_token, answer.refresh_token)

    async def admin(self) -> Person:
        """An administrator, made as the command line makes one."""
        email = f"admin{next(_numbers)}@example.com"
        password_hash = PasswordHasher(memory_kib=64, passes=1).hash(PASSWORD)
        await self.database.transaction(
            lambda session: accounts.ensure_admin(
                session, email=email, display_name="Admin", password_hash=password_hash
            )
        )
        return await self.log_in(email)

    async def staff(self, admin: Person) -> Person:
        """Somebody of the house."""
        person = await self.sign_up(name="Staff")
        await self.auth.SetUserRole(pb.SetUserRoleRequest(name=person.name, role=pb.ROLE_STAFF), metadata=admin.token)
        return await self.log_in(person.email)


@asynccontextmanager
async def served(settings: Settings, database: Database) -> AsyncIterator[Client]:
    """A server, and a client of it, within the block."""
    async with runtime(settings) as running:
        server, port = await start(running)
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield Client(channel, database)
        finally:
            await server.stop(None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(settings: Settings, database: Database) -> AsyncIterator[Client]:
    """A client of the module's server."""
    async with served(settings.model_copy(update=QUICK), database) as client:
        yield client


@pytest.fixture(scope="module")
def another_server(settings: Settings, database: Database) -> Callable[[], Any]:
    """Starts one more server on the same database, as a second process would be."""
    quick = settings.model_copy(update={**QUICK, "revocation_poll_interval": timedelta(seconds=0.2)})
    return lambda: served(quick, database)
