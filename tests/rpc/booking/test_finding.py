"""Finding a booking by what people have in their hand."""

import pytest

from rowlock.v1 import booking_pb2 as pb
from rowlock.v1 import ticket_pb2
from tests.rpc.auth.conftest import refusal
from tests.rpc.booking.conftest import BoxOffice, Metadata
from tests.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def found(office: BoxOffice, text: str, who: Metadata, parent: str = "performances/-") -> list[str]:
    """The names of the bookings that a text finds."""
    wanted = pb.ListBookingsRequest(parent=parent, text=text)
    answer = await office.bookings.ListBookings(wanted, metadata=who)
    assert answer.total_size == len(answer.bookings)
    return [booking.name for booking in answer.bookings]


async def test_a_booking_is_found_by_its_id_a_ticket_or_the_reference_of_a_payment(
    office: BoxOffice, house: Staged
) -> None:
    anna = await office.customer()
    booking, payment = await office.buy(house, anna, "Stalls-A-1")
    await office.buy(house, anna, "Stalls-A-2")
    tickets = await office.bookings.ListTickets(ticket_pb2.ListTicketsRequest(parent=booking.name), metadata=anna)
    code = tickets.tickets[0].code
    id_ = booking.name.rpartition("/")[2]
    for text in (booking.name, id_, id_.upper(), f" {id_} ", code, code.lower(), payment.provider_reference):
        assert await found(office, text, office.staff) == [booking.name], text
        assert await found(office, text, office.staff, booking.performance) == [booking.name], text
    assert await found(office, id_[-8:], office.staff, booking.performance) == [booking.name]


async def test_what_names_nothing_finds_nothing(office: BoxOffice, house: Staged) -> None:
    anna, bob = await office.customer(), await office.customer()
    booking, payment = await office.buy(house, anna, "Stalls-A-1")
    id_ = booking.name.rpartition("/")[2]
    elsewhere = f"performances/{office.stage().performance_id}"
    for text in (id_, id_[-8:], payment.provider_reference):
        assert await found(office, text, office.staff, elsewhere) == [], text
        assert await found(office, text, bob, booking.performance) == [], "somebody else's"
    beyond_time = "ffffffff-ffff-7fff-bfff-ffffffffffff"
    for text in ("%", "_" * 8, id_[-5:], "nonsense", " ", id_[:-1] + "x", beyond_time):
        assert await found(office, text, office.staff) == [], text
        assert await found(office, text, office.staff, booking.performance) == [], text


@pytest.mark.parametrize("text", ["\x00", "\n", "x" * 301])
async def test_no_nonsense_is_searched_for(office: BoxOffice, text: str) -> None:
    wanted = pb.ListBookingsRequest(parent="performances/-", text=text)
    assert (await refusal(office.bookings.ListBookings(wanted, metadata=office.staff))).code == "INVALID_ARGUMENT"
