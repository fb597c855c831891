"""Measures empty calls: the same requests in number and size, answered by `bench/echo.py`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from google.type import money_pb2

from bench import generator
from bench.echo import METHOD
from bench.programs import Program, running
from rowlock.v1 import booking_pb2
from server import clock, resources
from server.db.ids import new_id


@contextmanager
def echo(folder: Path) -> Iterator[Program]:
    """The bare server; its answers are as large as those to CreateBooking."""
    size = len(_typical_answer().SerializeToString())
    with running(Program("echo", folder, ["bench/echo.py", "{address}", str(size)])) as program:
        yield program


def empty_calls(server: Program, folder: Path, *, seconds: float, tokens: Path | None = None) -> generator.Calls:
    """Call it for so long; with tokens, each call carries one as real calls do."""
    chains = folder / "echo-chains"
    if not chains.exists():
        generator.write_chains(chains, ((number, [typical_request()]) for number in range(1000)))
    found = generator.calls(server.address, METHOD, chains, tokens=tokens, seconds=seconds, pids={"server": server.pid})
    found.require_success()
    return found


def typical_request() -> bytes:
    """A hold of two seats."""
    claims = [booking_pb2.SeatClaim(seat=f"S12-10-{number}") for number in (24, 25)]
    return booking_pb2.CreateBookingRequest(
        parent="performances/12", seats=claims, request_id=str(uuid4())
    ).SerializeToString()


def _typical_answer() -> booking_pb2.Booking:
    price = money_pb2.Money(currency_code="EUR", units=25)
    kind = resources.ticket_type(12, 12)
    booking = booking_pb2.Booking(
        name=resources.booking(12, new_id()),
        customer=resources.user(new_id()),
        performance=resources.performance(12),
        state=booking_pb2.Booking.State.HELD,
        seats=[
            booking_pb2.BookedSeat(seat=f"S12-10-{number}", index=12_000 + number, ticket_type=kind, price=price)
            for number in (24, 25)
        ],
        total=price,
        etag="1",
    )
    for field in (booking.hold_expire_time, booking.create_time, booking.update_time):
        field.FromDatetime(clock.now())
    return booking
