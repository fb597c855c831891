"""Customers who hold and cancel without a pause while something breaks, and who never guess what became of a call.

Each has seats of their own, so every call must succeed in the end: one whose outcome is unknown is made again, with
the same `request_id`, until its answer is definite. Afterwards the database has to hold exactly what was acknowledged.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import grpc.aio
from sqlalchemy import text

from rowlock.v1 import booking_pb2 as pb
from server import resources
from server.db.engine import Database
from server.states import BookingState
from tests.eventually import eventually
from tests.server_processes import Customers, Metadata, ServerProcess
from tests.staging import Staged

UNKNOWN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED}
"""After these a call is made again. ABORTED and some UNAVAILABLE had no effect; the caller need not know."""


class BookingLoad:
    """Callers that never pause.

    Args:
        house: with two seats for each of them.
        customers: signs their tokens.
        server: whom to call now; asked before each call, since servers come and go.
        callers: how many.
    """

    def __init__(
        self, house: Staged, customers: Customers, server: Callable[[], ServerProcess], callers: int = 16
    ) -> None:
        self._house, self._server = house, server
        self._customers = [customers.token() for _ in range(callers)]
        self._stopping = asyncio.Event()
        self._grown = asyncio.Event()
        self.acknowledged: dict[str, BookingState] = {}
        self.answered = 0
        self.interrupted: Counter[str] = Counter()
        self.refused: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["BookingLoad"]:
        """The load is on within the block; at its end every call has got its definite answer."""
        tasks = [asyncio.create_task(self._call_on(n, who)) for n, who in enumerate(self._customers)]
        try:
            yield self
        finally:
            self._stopping.set()
            async with asyncio.timeout(60):
                await asyncio.gather(*tasks)

    async def progress(self, calls: int = 100) -> None:
        """Wait until so many more were answered: a fault without load would show nothing."""
        goal = self.answered + calls
        async with asyncio.timeout(60):
            while self.answered < goal:
                self._grown.clear()
                await self._grown.wait()

    async def is_interrupted(self) -> None:
        """Wait until a call ends without an answer."""
        before = self.interrupted.total()
        await eventually(lambda: self.interrupted.total() > before)

    def differences(self, database: Database) -> list[str]:
        """What the database has and nobody was told, or lacks though it was acknowledged."""
        query = text("SELECT performance_id, id, state FROM bookings WHERE performance_id = :performance")
        rows = database.run_transaction(
            lambda session: session.execute(query, {"performance": self._house.performance_id}).all()
        )
        stored = {resources.booking(row.performance_id, row.id): BookingState(row.state) for row in rows}
        names = stored.keys() | self.acknowledged.keys()
        return [
            f"{name}: acknowledged {self.acknowledged.get(name)}, stored {stored.get(name)}"
            for name in sorted(names)
            if stored.get(name) != self.acknowledged.get(name)
        ]

    async def _call_on(self, number: int, who: Metadata) -> None:
        seats = [pb.SeatClaim(seat=self._house.hall.places[2 * number + n].id) for n in range(2)]
        while not self._stopping.is_set():
            create = pb.CreateBookingRequest(
                parent=resources.performance(self._house.performance_id), seats=seats, request_id=str(uuid4())
            )
            booking = await self._insist(lambda: self._server().bookings.CreateBooking, create, who)
            if booking is None:
                return
            self.acknowledged[booking.name] = BookingState.HELD
            if self._stopping.is_set():
                return
            cancel = pb.CancelBookingRequest(name=booking.name, request_id=str(uuid4()))
            if await self._insist(lambda: self._server().bookings.CancelBooking, cancel, who) is None:
                return
            self.acknowledged[booking.name] = BookingState.CANCELLED

    async def _insist(self, call: Callable[[], object], request: object, who: Metadata) -> pb.Booking | None:
        while True:
            try:
                booking: pb.Booking = await call()(request, metadata=who, timeout=5)  # type: ignore[operator]
            except grpc.aio.AioRpcError as error:
                if error.code() not in UNKNOWN:
                    self.refused.append(f"{error.code().name}: {error.details()}")
                    return None
                self.interrupted[error.code().name] += 1
                await asyncio.sleep(0.05)
            else:
                self.answered += 1
                self._grown.set()
                return booking
