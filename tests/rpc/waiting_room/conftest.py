"""Lines before sales: a real server per module with a real worker behind it, staff, and customers who wait."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio

from rowlock.v1 import booking_pb2, booking_pb2_grpc, waiting_room_pb2_grpc
from rowlock.v1 import waiting_room_pb2 as pb
from server.config import Settings
from server.db.engine import Database
from tests.invariants import assert_sound
from tests.rpc.auth.conftest import QUICK, Client, Person, served
from tests.staging import Staged, hall_document, stage
from workers.broker import worker

FAST: dict[str, Any] = {
    **QUICK,
    "admission_sweep_interval": timedelta(milliseconds=200),
    "stream_poll_interval": timedelta(milliseconds=200),
    "stream_heartbeat": timedelta(seconds=1),
    "revocation_poll_interval": timedelta(milliseconds=200),
}
LONG = timedelta(hours=1)


@dataclass
class WaitingHouse:
    """Short ways to wait."""

    client: Client
    database: Database
    staff: Person

    def __post_init__(self) -> None:
        channel: grpc.aio.Channel = self.client.channel
        self.queue: waiting_room_pb2_grpc.WaitingRoomServiceAsyncStub = waiting_room_pb2_grpc.WaitingRoomServiceStub(
            channel
        )
        self.bookings: booking_pb2_grpc.BookingServiceAsyncStub = booking_pb2_grpc.BookingServiceStub(channel)

    async def customer(self) -> Person:
        """Somebody new, signed in."""
        return await self.client.sign_up()

    def stage(self, **performance: Any) -> Staged:
        """A performance on sale."""
        return self.database.run_transaction(lambda session: stage(session, hall_document(), **performance))

    async def change(self, house: Staged, *paths: str, **fields: Any) -> pb.WaitingRoom:
        """Have staff change a waiting room: the fields named, or those that are also to be emptied by ``paths``."""
        for name in ("admit_interval", "admission_duration"):
            if isinstance(fields.get(name), timedelta):
                length = fields.pop(name)
                fields[name] = {"seconds": int(length.total_seconds()), "nanos": length.microseconds * 1000}
        room = pb.WaitingRoom(name=f"performances/{house.performance_id}/waitingRoom", **fields)
        request = pb.UpdateWaitingRoomRequest(waiting_room=room)
        request.update_mask.paths.extend({*fields, *paths} - {"etag"})
        return await self.queue.UpdateWaitingRoom(request, metadata=self.staff.token)

    async def open(self, house: Staged, count: int = 10, interval: timedelta = LONG, **fields: Any) -> pb.WaitingRoom:
        """Switch a waiting room on."""
        return await self.change(house, enabled=True, admit_count=count, admit_interval=interval, **fields)

    async def room(self, house: Staged) -> pb.WaitingRoom:
        """Read a waiting room."""
        request = pb.GetWaitingRoomRequest(name=f"performances/{house.performance_id}/waitingRoom")
        return await self.queue.GetWaitingRoom(request)

    async def join(self, house: Staged, who: Person, **fields: Any) -> pb.QueueEntry:
        """Join a line."""
        request = pb.JoinQueueRequest(parent=f"performances/{house.performance_id}", **fields)
        return await self.queue.JoinQueue(request, metadata=who.token)

    async def get(self, entry: pb.QueueEntry, who: Person) -> pb.QueueEntry:
        """Read a place in line."""
        return await self.queue.GetQueueEntry(pb.GetQueueEntryRequest(name=entry.name), metadata=who.token)

    async def leave(self, entry: pb.QueueEntry, who: Person) -> pb.QueueEntry:
        """Leave a line."""
        return await self.queue.LeaveQueue(pb.LeaveQueueRequest(name=entry.name), metadata=who.token)

    async def book(self, house: Staged, who: Person, seat: str, token: str = "", **fields: Any) -> booking_pb2.Booking:
        """Hold a seat."""
        request = booking_pb2.CreateBookingRequest(
            parent=f"performances/{house.performance_id}",
            seats=[booking_pb2.SeatClaim(seat=seat)],
            admission_token=token,
            **fields,
        )
        return await self.bookings.CreateBooking(request, metadata=who.token)

    async def becomes(self, entry: pb.QueueEntry, who: Person, state: int) -> pb.QueueEntry:
        """Wait until a place in line is in a state."""
        async with asyncio.timeout(60):
            while (found := await self.get(entry, who)).state != state:  # noqa: ASYNC110 - a worker does it
                await asyncio.sleep(0.05)
        return found

    async def admitted(self, house: Staged, who: Person) -> pb.QueueEntry:
        """Join, and wait to be admitted."""
        return await self.becomes(await self.join(house, who), who, pb.QueueEntry.ADMITTED)


@pytest.fixture(scope="module")
def fast(settings: Settings) -> Settings:
    """The module's settings, with short waits."""
    return settings.model_copy(update=FAST)


@pytest.fixture(scope="module")
def running_worker(fast: Settings) -> Iterator[None]:
    """A real worker."""
    running = worker(fast)
    running.start()
    yield
    running.stop(timeout=60_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def waiting(fast: Settings, database: Database, running_worker: None) -> AsyncIterator[WaitingHouse]:
    """The module's server, with a worker that moves lines."""
    async with served(fast, database) as client:
        yield WaitingHouse(client, database, await client.staff(await client.admin()))
    assert_sound(database)


@pytest.fixture
def house(waiting: WaitingHouse) -> Staged:
    """A performance of the test's own."""
    return waiting.stage()


@pytest.fixture(scope="module")
def another_server(fast: Settings, database: Database) -> Callable[[], Any]:
    """Starts one more server on the same database."""
    return lambda: served(fast, database)
