"""The control: the same hold as one ORM transaction per call, as one would write it first.

Everything that a hold must keep is kept: row locks, the limit per customer, the request's result, the revision and
the change log. It is let off what the real server also does: no token is verified, no rule of the contract is
checked (the customer is believed as named in the request), no log line is written and nothing is published. So what
is measured is more than such a server would do.
"""

import argparse
import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from uuid import UUID

import grpc.aio
import uvloop
from google.type import money_pb2
from sqlalchemy import create_engine, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, undefer

from rowlock.v1 import booking_pb2, seat_feed_pb2, seat_map_pb2
from server import clock, resources
from server.db.ids import new_id
from server.db.models.catalogue import Performance, SeatMapVersion, TicketType
from server.db.models.inventory import Booking, CommandLog, Inventory, Quota, Seat, SeatChange
from server.seats.hall import Hall
from server.states import BookingState, SeatState

_THREADS = 16


class NaiveHolds:
    """Holds seats, a transaction per call."""

    def __init__(self, database_url: str) -> None:
        self._engine = create_engine(database_url, pool_size=_THREADS, connect_args={"options": "-c jit=off"})
        self._threads = ThreadPoolExecutor(_THREADS)
        self._hall = cache(self._load_hall)

    async def call(self, raw: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Handle CreateBooking."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._hold, raw)
        except LookupError as refused:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(refused))

    def _hold(self, raw: bytes) -> bytes:
        request = booking_pb2.CreateBookingRequest.FromString(raw)
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            booking = self._book(session, request)
        return booking.SerializeToString()

    def _book(self, session: Session, request: booking_pb2.CreateBookingRequest) -> booking_pb2.Booking:
        performance_id = int(request.parent.rpartition("/")[2])
        hall = self._hall(performance_id)
        places = sorted(hall.index_of[claim.seat] for claim in request.seats)
        customer = UUID(request.customer.rpartition("/")[2])
        now = clock.now()

        repeated = session.scalar(
            select(CommandLog).where(
                CommandLog.performance_id == performance_id,
                CommandLog.actor_id == customer,
                CommandLog.request_id == request.request_id,
            )
        )
        if repeated is not None:
            raise LookupError("the same request again")
        performance = session.get_one(Performance, performance_id)
        if not performance.sale_start_time <= now < performance.sale_end_time:
            raise LookupError("not on sale")
        kind = session.scalars(select(TicketType).where(TicketType.performance_id == performance_id)).first()
        if kind is None:
            raise LookupError("no ticket types")

        seats = session.scalars(
            select(Seat)
            .where(Seat.performance_id == performance_id, Seat.place.in_(places))
            .order_by(Seat.place)
            .with_for_update()
        ).all()
        if any(seat.state is not SeatState.AVAILABLE for seat in seats):
            raise LookupError("a seat is taken")
        booking = Booking(
            performance_id=performance_id,
            id=new_id(),
            customer_id=customer,
            state=BookingState.HELD,
            places=places,
            ticket_type_ids=[kind.id] * len(places),
            prices=[kind.price] * len(places),
            currency=kind.currency,
            hold_start_time=now,
            hold_expire_time=now + timedelta(minutes=15),
            create_time=now,
            update_time=now,
        )
        session.add(booking)
        for seat in seats:
            seat.state, seat.booking_id = SeatState.HELD, booking.id
        self._count(session, booking, performance.customer_limit)
        session.add(
            CommandLog(
                performance_id=performance_id,
                subject_id=booking.id,
                version=1,
                command="hold",
                to_state=BookingState.HELD,
                actor_id=customer,
                time=now,
                request_id=request.request_id,
                fingerprint=hashlib.sha256(request.SerializeToString(deterministic=True)).digest(),
                answer={"places": places},
            )
        )
        # Last, because everybody waits for it.
        inventory = session.scalars(
            select(Inventory).where(Inventory.performance_id == performance_id).with_for_update()
        ).one()
        inventory.revision += 1
        inventory.available -= len(places)
        inventory.held += len(places)
        session.add(SeatChange(performance_id=performance_id, revision=inventory.revision, body=_changes(places)))
        return _message(booking, hall, kind.id)

    def _count(self, session: Session, booking: Booking, limit: int) -> None:
        key = f"c{booking.customer_id.hex}"
        first = insert(Quota).values(performance_id=booking.performance_id, key=key, used=0, ceiling=limit)
        session.execute(first.on_conflict_do_nothing())
        quota = session.get_one(Quota, (booking.performance_id, key), with_for_update=True)
        if quota.used + len(booking.places) > limit:
            raise LookupError("the limit is reached")
        quota.used += len(booking.places)

    def _load_hall(self, performance_id: int) -> Hall:
        with Session(self._engine) as session:
            wanted = (
                select(SeatMapVersion)
                .join(Performance, Performance.seat_map_id == SeatMapVersion.seat_map_id)
                .where(Performance.id == performance_id)
                .options(undefer(SeatMapVersion.document))
            )
            return Hall.from_document(session.scalars(wanted).one().document)


def _changes(places: list[int]) -> bytes:
    changes = [seat_feed_pb2.SeatChange(index=place, state=seat_map_pb2.SEAT_STATE_HELD) for place in places]
    return seat_feed_pb2.WatchSeatsResponse(changes=seat_feed_pb2.SeatChanges(changes=changes)).SerializeToString()


def _message(booking: Booking, hall: Hall, ticket_type_id: int) -> booking_pb2.Booking:
    kind = resources.ticket_type(booking.performance_id, ticket_type_id)
    message = booking_pb2.Booking(
        name=resources.booking(booking.performance_id, booking.id),
        customer=resources.user(booking.customer_id),
        performance=resources.performance(booking.performance_id),
        state=booking_pb2.Booking.State.HELD,
        seats=[
            booking_pb2.BookedSeat(
                seat=hall.places[place].id,
                index=place,
                ticket_type=kind,
                price=money_pb2.Money(currency_code=booking.currency, units=price // 100),
            )
            for place, price in zip(booking.places, booking.prices, strict=True)
        ],
        total=money_pb2.Money(currency_code=booking.currency, units=sum(booking.prices) // 100),
        etag="1",
    )
    message.hold_expire_time.FromDatetime(booking.hold_expire_time)
    message.create_time.FromDatetime(booking.create_time)
    message.update_time.FromDatetime(booking.update_time)
    return message


async def serve(address: str, database_url: str) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    handlers = {"CreateBooking": grpc.unary_unary_rpc_method_handler(NaiveHolds(database_url).call)}
    server.add_registered_method_handlers("rowlock.v1.BookingService", handlers)  # type: ignore[attr-defined]
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    """`python bench/naive.py ADDRESS DATABASE_URL`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("database_url")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given.address, given.database_url))


if __name__ == "__main__":
    main()
