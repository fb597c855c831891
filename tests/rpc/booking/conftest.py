"""A box office: a real server per module with a real worker behind it, and customers who book and pay."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
from sqlalchemy import text

from rowlock.v1 import booking_pb2 as pb
from rowlock.v1 import booking_pb2_grpc, payment_pb2, payment_pb2_grpc
from server.config import Settings
from server.db.engine import Database
from tests.invariants import assert_sound
from tests.rpc.auth.conftest import QUICK, Client, Person, served
from tests.staging import Staged, hall_document, stage
from workers.broker import worker

Metadata = tuple[tuple[str, str], ...]

FAST: dict[str, Any] = {
    **QUICK,
    "simulator_success_rate": 1.0,
    "expiry_sweep_interval": timedelta(milliseconds=200),
    "payment_sweep_interval": timedelta(milliseconds=200),
    "payment_resolve_interval": timedelta(milliseconds=100),
    "stream_heartbeat": timedelta(seconds=1),
}


@dataclass
class BoxOffice:
    """Short ways to book and to pay."""

    client: Client
    database: Database
    staff: Metadata

    def __post_init__(self) -> None:
        channel: grpc.aio.Channel = self.client.channel
        self.bookings: booking_pb2_grpc.BookingServiceAsyncStub = booking_pb2_grpc.BookingServiceStub(channel)
        self.payments: payment_pb2_grpc.PaymentServiceAsyncStub = payment_pb2_grpc.PaymentServiceStub(channel)

    async def customer(self) -> Metadata:
        """Somebody new, signed in."""
        return (await self.client.sign_up()).token

    def stage(self, **performance: Any) -> Staged:
        """A performance on sale: 50 numbered seats and 20 standing places."""
        options = {"ticket_types": ADULT_AND_STANDING} | performance
        document = options.pop("document", None) or hall_document(standing=20)
        return self.database.run_transaction(lambda session: stage(session, document, **options))

    async def book(self, house: Staged, who: Metadata, *seats: str, **fields: Any) -> pb.Booking:
        """Hold named seats."""
        request = pb.CreateBookingRequest(
            parent=f"performances/{house.performance_id}", seats=[pb.SeatClaim(seat=seat) for seat in seats], **fields
        )
        return await self.bookings.CreateBooking(request, metadata=who)

    async def get(self, booking: pb.Booking, who: Metadata) -> pb.Booking:
        """Read a booking."""
        return await self.bookings.GetBooking(pb.GetBookingRequest(name=booking.name), metadata=who)

    def let_time_pass(self, booking: pb.Booking) -> None:
        """Let the hold's own clock run out."""
        run_out = text("UPDATE bookings SET hold_expire_time = clock_timestamp() WHERE id = :id")
        self.database.run_transaction(lambda session: session.execute(run_out, {"id": booking.name.rpartition("/")[2]}))

    async def pay(self, booking: pb.Booking, who: Metadata, **fields: Any) -> payment_pb2.Payment:
        """Begin to pay."""
        request = payment_pb2.CreatePaymentRequest(
            parent=booking.name, payment=payment_pb2.Payment(provider=payment_pb2.Payment.SIMULATOR), **fields
        )
        return await self.payments.CreatePayment(request, metadata=who)

    async def simulate(
        self, payment: payment_pb2.Payment, who: Metadata, outcome: int = payment_pb2.SimulatePaymentRequest.APPROVE
    ) -> payment_pb2.Payment:
        """Play the provider's part."""
        request = payment_pb2.SimulatePaymentRequest(
            name=payment.name, outcome=payment_pb2.SimulatePaymentRequest.Outcome.ValueType(outcome)
        )
        return await self.payments.SimulatePayment(request, metadata=who)

    async def buy(self, house: Staged, who: Metadata, *seats: str) -> tuple[pb.Booking, payment_pb2.Payment]:
        """Hold seats and pay for them."""
        booking = await self.book(house, who, *seats)
        payment = await self.simulate(await self.pay(booking, who), who)
        return await self.get(booking, who), payment


ADULT_AND_STANDING = (
    {"display_name": "Adult", "price": 2500, "zones": ["Stalls"]},
    {"display_name": "Child", "price": 1250, "zones": ["Stalls"]},
    {"display_name": "Standing", "price": 1000, "zones": ["Floor"]},
)


@pytest.fixture(scope="module")
def fast(settings: Settings) -> Settings:
    """The module's settings, with short waits."""
    return settings.model_copy(update=FAST)


@pytest.fixture(scope="module")
def running_worker(fast: Settings) -> Iterator[None]:
    """A real worker: messages from Redis, the schedule from PostgreSQL."""
    running = worker(fast)
    running.start()
    yield
    running.stop(timeout=60_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(fast: Settings, database: Database, running_worker: None) -> AsyncIterator[BoxOffice]:
    """The module's box office."""
    async with served(fast, database) as client:
        staff: Person = await client.staff(await client.admin())
        yield BoxOffice(client, database, staff.token)
    assert_sound(database)


@pytest.fixture
def house(office: BoxOffice) -> Staged:
    """A performance of the test's own."""
    return office.stage()


@pytest.fixture(scope="module")
def another_server(fast: Settings, database: Database) -> Callable[[], Any]:
    """Starts one more server on the same database."""
    return lambda: served(fast, database)
