"""Real `rowlock serve` processes for tests, to be called over sockets and to be killed."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import grpc.aio

from rowlock.v1 import booking_pb2_grpc, event_pb2_grpc
from server.db.engine import Database
from server.domain.signing_keys import shared_keys
from server.domain.tokens import Tokens
from server.states import Role

ROOT = Path(__file__).parents[1]
SERVE = ("-m", "server.cli", "serve")

Metadata = tuple[tuple[str, str], ...]


@dataclass
class ServerProcess:
    """A server process that answers.

    Args:
        process: to send signals to.
        address: where it listens.
        channel: a connection to it alone.
    """

    process: asyncio.subprocess.Process
    address: str
    channel: grpc.aio.Channel

    def __post_init__(self) -> None:
        self.bookings: booking_pb2_grpc.BookingServiceAsyncStub = booking_pb2_grpc.BookingServiceStub(self.channel)
        self.events: event_pb2_grpc.EventServiceAsyncStub = event_pb2_grpc.EventServiceStub(self.channel)

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def server_process(
    database_url: str, redis_url: str, *, address: str = "127.0.0.1:0", program: Sequence[str] = SERVE
) -> AsyncIterator[ServerProcess]:
    """A server process of one's own within the block.

    Args:
        database_url: migrated.
        redis_url: of its Redis.
        address: where to listen; port 0: any.
        program: arguments of Python that serve.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        "ROWLOCK_DATABASE_URL": database_url,
        "ROWLOCK_REDIS_URL": redis_url,
        "ROWLOCK_GRPC_ADDRESS": address,
        "ROWLOCK_ADMIN_ADDRESS": "off",
        "ROWLOCK_METRICS_ADDRESS": "off",
        "ROWLOCK_RATE_LIMITS": "false",
        "ROWLOCK_LOG_FORMAT": "json",
        "ROWLOCK_LOG_LEVEL": "info",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, env=environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE, limit=2**20
    )
    assert process.stdout is not None
    line: dict[str, str] = {}
    reading: asyncio.Task[bytes] | None = None
    # Connections of their own: gRPC would share one among channels to the same address.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
    try:
        async with asyncio.timeout(120):
            while line.get("event") != "serving":
                said = await process.stdout.readline()
                assert said, "it ended before it served"
                line = json.loads(said)
        reading = asyncio.create_task(process.stdout.read())
        async with grpc.aio.insecure_channel(line["address"], options=options) as channel:
            server = ServerProcess(process, line["address"], channel)
            yield server
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if reading is not None:
            await reading


class Customers:
    """Signs tokens as the servers on a database do, so that many customers need not log in."""

    def __init__(self, database: Database) -> None:
        keys = database.run_transaction(shared_keys)
        self._tokens = Tokens(keys, issuer="https://rowlock.dev", audience="rowlock", ttl=timedelta(minutes=15))

    def token(self, user_id: UUID | None = None, role: Role = Role.CUSTOMER) -> Metadata:
        """The metadata of a customer, by default of somebody new; or of somebody else."""
        text = self._tokens.issue(user_id or uuid4(), role, session_id=uuid4()).text
        return (("authorization", f"Bearer {text}"),)
