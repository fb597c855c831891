"""BookingService over a socket: what customers may do with bookings, and what they are told when they may not."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import grpc.aio
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import Engine, event

from rowlock.v1 import auth_pb2, stream_pb2, ticket_pb2
from rowlock.v1 import booking_pb2 as pb
from server.config import Settings
from server.db.engine import Database
from server.states import CodePurpose
from tests.rpc.auth.conftest import refusal, served
from tests.rpc.auth.mailbox import code_in_mail
from tests.rpc.booking.conftest import BoxOffice, Metadata
from tests.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="module")


def parent(house: Staged) -> str:
    return f"performances/{house.performance_id}"


def kind(house: Staged, number: int) -> str:
    return f"{parent(house)}/ticketTypes/{house.ticket_type_ids[number]}"


@pytest.mark.promise("0.7")
@pytest.mark.promise("3.2")
@pytest.mark.promise("4.5")
async def test_a_hold_says_what_it_holds_and_what_it_costs(office: BoxOffice, house: Staged) -> None:
    anna = await office.client.sign_up()

    made = await office.book(house, anna.token, "Stalls-A-1", "Stalls-A-2", note="aisle, please")

    assert made.name.startswith(f"{parent(house)}/bookings/")
    assert made.customer == anna.name
    assert made.performance == parent(house)
    assert made.state == pb.Booking.HELD
    assert [(seat.seat, seat.index, seat.ticket_type) for seat in made.seats] == [
        ("Stalls-A-1", 0, kind(house, 0)),
        ("Stalls-A-2", 1, kind(house, 0)),
    ]
    assert (made.seats[0].price.units, made.total.units, made.total.currency_code) == (25, 50, "EUR")
    assert made.hold_expire_time.seconds - made.create_time.seconds == 900
    assert made.note == "aisle, please"
    assert await office.get(made, anna.token) == made


async def test_each_seat_may_have_its_own_ticket_type(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    claims = [
        pb.SeatClaim(seat="Stalls-A-1"),
        pb.SeatClaim(seat="Stalls-A-2", ticket_type=kind(house, 1)),
    ]
    made = await office.bookings.CreateBooking(
        pb.CreateBookingRequest(parent=parent(house), seats=claims), metadata=who
    )
    assert [seat.price.units for seat in made.seats] == [25, 12]
    assert (made.total.units, made.total.nanos) == (37, 500_000_000)


async def test_the_server_finds_the_best_seats(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    made = await office.bookings.CreateBooking(
        pb.CreateBookingRequest(parent=parent(house), best_available=pb.BestAvailable(quantity=3)), metadata=who
    )
    indexes = sorted(seat.index for seat in made.seats)
    assert indexes == list(range(indexes[0], indexes[0] + 3))


async def test_standing_places_and_seats_in_one_booking(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    made = await office.bookings.CreateBooking(
        pb.CreateBookingRequest(
            parent=parent(house),
            seats=[pb.SeatClaim(seat="Stalls-A-1")],
            general_admission=[pb.GeneralAdmissionClaim(ticket_type=kind(house, 2), quantity=3)],
        ),
        metadata=who,
    )
    assert len(made.seats) == 4
    assert made.total.units == 55
    assert sum(seat.seat.startswith("Floor-") for seat in made.seats) == 3


@pytest.mark.promise("1.6")
async def test_a_seat_that_is_taken_is_named_and_nothing_is_held(office: BoxOffice, house: Staged) -> None:
    anna, bert = await office.customer(), await office.customer()
    await office.book(house, anna, "Stalls-A-2")

    refused = await refusal(office.book(house, bert, "Stalls-A-1", "Stalls-A-2"))

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "SEAT_TAKEN")
    assert refused.facts["seats"] == "Stalls-A-2"
    await office.book(house, anna, "Stalls-A-1")


@pytest.mark.promise("0.13")
@pytest.mark.promise("1.5")
async def test_exactly_four_places_for_each_customer_over_all_calls(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    seats = [f"Stalls-{row}-{number}" for row in "AB" for number in range(1, 6)]

    answers = await asyncio.gather(*(office.book(house, who, seat) for seat in seats), return_exceptions=True)

    held = [answer for answer in answers if isinstance(answer, pb.Booking)]
    assert len(held) == 4
    refused = await refusal(office.book(house, who, "Stalls-C-1"))
    assert refused.reason == "CUSTOMER_LIMIT_REACHED"
    assert refused.facts["limit"] == "4"


@pytest.mark.promise("0.13")
async def test_not_enough_tickets_is_said(office: BoxOffice) -> None:
    house = office.stage(ticket_types=({"display_name": "Few", "price": 100, "quantity": 3},))
    who = await office.customer()
    refused = await refusal(office.book(house, who, *(f"Stalls-A-{n}" for n in range(1, 5))))
    assert refused.reason == "TICKET_TYPE_SOLD_OUT"
    assert refused.facts["available"] == "3"
    assert "not enough tickets" in refused.message


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({}, "INVALID_FIELD", "best_available"),
        ({"seats": [{"seat": "Stalls-Z-99"}]}, "SEAT_UNKNOWN", "seats[0].seat"),
        ({"seats": [{"seat": "Stalls-A-1"}, {"seat": "no"}]}, "SEAT_UNKNOWN", "seats[1].seat"),
        ({"seats": [{"seat": "Stalls-A-1"}, {"seat": "Stalls-A-1"}]}, "INVALID_FIELD", "seats[1].seat"),
        ({"seats": [{"seat": "Stalls-A-1"}], "best_available": {"quantity": 1}}, "INVALID_FIELD", "best_available"),
        ({"best_available": {"quantity": 0}}, "INVALID_FIELD", "best_available.quantity"),
        ({"best_available": {"quantity": -1}}, "INVALID_FIELD", "best_available.quantity"),
        ({"best_available": {"quantity": 2**31 - 1}}, "INVALID_FIELD", "best_available.quantity"),
        ({"best_available": {"quantity": 1, "zone": "Moon"}}, "INVALID_FIELD", "best_available.zone"),
        ({"best_available": {"quantity": 1, "section": "Moon"}}, "INVALID_FIELD", "best_available.section"),
        (
            {"seats": [{"seat": "Stalls-A-1", "ticket_type": "performances/999999/ticketTypes/1"}]},
            "INVALID_FIELD",
            "seats[0].ticket_type",
        ),
        ({"seats": [{"seat": f"Stalls-A-{n}"} for n in range(51)]}, "INVALID_FIELD", "seats"),
        ({"seats": [{"seat": "Stalls-A-1"}], "note": "a\u202eb"}, "INVALID_FIELD", "note"),
        ({"seats": [{"seat": "Stalls-A-1"}], "request_id": "no spaces"}, "INVALID_FIELD", "request_id"),
    ],
)
async def test_a_request_that_is_wrong_whatever_the_state_names_its_field(
    office: BoxOffice, house: Staged, fields: dict[str, Any], reason: str, field: str
) -> None:
    who = await office.customer()
    refused = await refusal(
        office.bookings.CreateBooking(pb.CreateBookingRequest(parent=parent(house), **fields), metadata=who)
    )
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", reason)
    assert field in refused.fields
    left = await office.bookings.ListBookings(pb.ListBookingsRequest(parent=parent(house)), metadata=who)
    assert left.total_size == 0


async def test_what_is_absent_is_not_found(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    nowhere = pb.CreateBookingRequest(parent="performances/999999", seats=[pb.SeatClaim(seat="Stalls-A-1")])
    assert (await refusal(office.bookings.CreateBooking(nowhere, metadata=who))).code == "NOT_FOUND"
    absent = pb.Booking(name=f"{parent(house)}/bookings/{uuid4()}")
    assert (await refusal(office.get(absent, who))).code == "NOT_FOUND"
    strange_type = pb.CreateBookingRequest(
        parent=parent(house), seats=[pb.SeatClaim(seat="Stalls-A-1", ticket_type=f"{parent(house)}/ticketTypes/999999")]
    )
    assert (await refusal(office.bookings.CreateBooking(strange_type, metadata=who))).code == "NOT_FOUND"


@pytest.mark.promise("0.7")
async def test_nobody_books_without_signing_in(office: BoxOffice, house: Staged) -> None:
    refused = await refusal(office.book(house, (), "Stalls-A-1"))
    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "TOKEN_MISSING")


async def test_strangers_see_nothing_and_change_nothing(office: BoxOffice, house: Staged) -> None:
    anna, bert = await office.customer(), await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    name = booking.name
    service = office.bookings
    calls: list[Any] = [
        service.GetBooking(pb.GetBookingRequest(name=name), metadata=bert),
        service.UpdateBooking(pb.UpdateBookingRequest(booking=pb.Booking(name=name, note="mine")), metadata=bert),
        service.AddSeats(pb.AddSeatsRequest(name=name, seats=[pb.SeatClaim(seat="Stalls-A-2")]), metadata=bert),
        service.RemoveSeats(pb.RemoveSeatsRequest(name=name, seats=["Stalls-A-1"]), metadata=bert),
        service.ExtendBooking(pb.ExtendBookingRequest(name=name), metadata=bert),
        service.CancelBooking(pb.CancelBookingRequest(name=name), metadata=bert),
        service.ListTickets(ticket_pb2.ListTicketsRequest(parent=name), metadata=bert),
    ]
    for call in calls:
        assert (await refusal(call)).code == "NOT_FOUND"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in service.WatchBooking(pb.WatchBookingRequest(name=name), metadata=bert):
            pass
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    confirm = pb.ConfirmBookingRequest(name=name, method=pb.Booking.CASH)
    assert (await refusal(service.ConfirmBooking(confirm, metadata=bert))).code == "PERMISSION_DENIED"
    assert await office.get(booking, anna) == booking


async def test_the_customer_is_who_calls_and_only_staff_book_for_others(office: BoxOffice, house: Staged) -> None:
    anna, bert = await office.client.sign_up(), await office.customer()
    refused = await refusal(office.book(house, bert, "Stalls-A-1", customer=anna.name))
    assert refused.code == "PERMISSION_DENIED"

    sold = await office.book(house, office.staff, *(f"Stalls-A-{n}" for n in range(1, 7)), customer=anna.name)
    assert sold.customer == anna.name
    assert (await office.get(sold, anna.token)).name == sold.name
    absent = f"users/{uuid4()}"
    assert (await refusal(office.book(house, office.staff, "Stalls-B-1", customer=absent))).code == "NOT_FOUND"


@pytest.mark.promise("1.4")
async def test_select_and_unselect_seats_while_the_clock_goes_on(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    booking = await office.book(house, who, "Stalls-A-1")

    more = await office.bookings.AddSeats(
        pb.AddSeatsRequest(name=booking.name, seats=[pb.SeatClaim(seat="Stalls-A-2")]), metadata=who
    )
    less = await office.bookings.RemoveSeats(
        pb.RemoveSeatsRequest(name=booking.name, seats=["Stalls-A-1"]), metadata=who
    )

    assert [seat.seat for seat in more.seats] == ["Stalls-A-1", "Stalls-A-2"]
    assert [seat.seat for seat in less.seats] == ["Stalls-A-2"]
    assert less.hold_expire_time == booking.hold_expire_time
    await office.book(house, await office.customer(), "Stalls-A-1")
    again = await refusal(
        office.bookings.RemoveSeats(pb.RemoveSeatsRequest(name=booking.name, seats=["Stalls-A-1"]), metadata=who)
    )
    assert again.reason == "SEAT_NOT_IN_BOOKING"


async def test_a_hold_is_extended_to_half_an_hour_at_most(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    booking = await office.book(house, who, "Stalls-A-1")
    request = pb.ExtendBookingRequest(name=booking.name)
    longer = await office.bookings.ExtendBooking(request, metadata=who)
    assert longer.hold_expire_time.ToNanoseconds() > booking.hold_expire_time.ToNanoseconds()
    assert longer.hold_expire_time.seconds - booking.create_time.seconds <= 1800


@pytest.mark.promise("4.2")
async def test_a_note_is_changed_and_an_outdated_etag_is_noticed(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    booking = await office.book(house, who, "Stalls-A-1")

    async def update(mask: FieldMask | None = None, **fields: Any) -> pb.Booking:
        request = pb.UpdateBookingRequest(booking=pb.Booking(name=booking.name, **fields), update_mask=mask)
        return await office.bookings.UpdateBooking(request, metadata=who)

    noted = await update(note="by the door", etag=booking.etag)
    assert noted.note == "by the door"
    assert (await refusal(update(note="lost", etag=booking.etag))).reason == "ETAG_MISMATCH"
    assert (await update(note="")).note == "by the door"
    assert (await update(FieldMask(paths=["note"]), note="")).note == ""
    old = pb.CancelBookingRequest(name=booking.name, etag=booking.etag)
    assert (await refusal(office.bookings.CancelBooking(old, metadata=who))).reason == "ETAG_MISMATCH"
    assert (await refusal(update(FieldMask(paths=["state"])))).code == "INVALID_ARGUMENT"


@pytest.mark.promise("0.8")
async def test_customers_cancel_their_own_and_staff_cancel_any(office: BoxOffice, house: Staged) -> None:
    anna, bert = await office.customer(), await office.customer()
    first, second = await office.book(house, anna, "Stalls-A-1"), await office.book(house, bert, "Stalls-A-2")

    mine = await office.bookings.CancelBooking(pb.CancelBookingRequest(name=first.name), metadata=anna)
    any_ = await office.bookings.CancelBooking(pb.CancelBookingRequest(name=second.name), metadata=office.staff)

    for ended in (mine, any_):
        assert ended.state == pb.Booking.CANCELLED
        assert ended.HasField("cancel_time")
    await office.book(house, anna, "Stalls-A-1", "Stalls-A-2")
    again = await refusal(office.bookings.CancelBooking(pb.CancelBookingRequest(name=first.name), metadata=anna))
    assert again.reason == "BOOKING_STATE"


async def test_a_repeated_request_gives_the_first_answer(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    first = await office.book(house, who, "Stalls-A-1", request_id="one")
    assert await office.book(house, who, "Stalls-A-1", request_id="one") == first
    other = await refusal(office.book(house, who, "Stalls-A-2", request_id="one"))
    assert (other.code, other.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    cancel = pb.CancelBookingRequest(name=first.name, request_id="two")
    ended = await office.bookings.CancelBooking(cancel, metadata=who)
    assert await office.bookings.CancelBooking(cancel, metadata=who) == ended


@pytest.mark.promise("2.3")
@pytest.mark.promise("3.2")
async def test_customers_list_their_own_and_staff_list_all(office: BoxOffice, house: Staged) -> None:
    anna, bert = await office.client.sign_up(), await office.customer()
    other_house = office.stage()
    names = [(await office.book(house, anna.token, f"Stalls-A-{n}")).name for n in range(1, 4)]
    elsewhere = await office.book(other_house, anna.token, "Stalls-A-1")
    await office.book(house, bert, "Stalls-B-1")
    await office.bookings.CancelBooking(pb.CancelBookingRequest(name=names[0]), metadata=anna.token)

    async def listed(who: Any, where: str = parent(house), **fields: Any) -> list[str]:
        request = pb.ListBookingsRequest(parent=where, **fields)
        found: list[str] = []
        while True:
            page = await office.bookings.ListBookings(request, metadata=who)
            found += [booking.name for booking in page.bookings]
            if not page.next_page_token:
                assert page.total_size == len(found)
                return found
            request.page_token = page.next_page_token

    assert await listed(anna.token) == names[::-1]
    assert await listed(anna.token, page_size=1) == names[::-1]
    assert await listed(anna.token, "performances/-") == [elsewhere.name, *names[::-1]]
    assert await listed(anna.token, state=pb.Booking.CANCELLED) == [names[0]]
    assert len(await listed(office.staff)) == 4
    assert await listed(office.staff, customer=anna.name) == names[::-1]
    assert (await refusal(listed(anna.token, "performances/999999"))).code == "NOT_FOUND"


async def test_a_page_token_belongs_to_its_query(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    for n in (1, 2):
        await office.book(house, who, f"Stalls-A-{n}")
    request = pb.ListBookingsRequest(parent=parent(house), page_size=1)
    token = (await office.bookings.ListBookings(request, metadata=who)).next_page_token
    for other in (
        pb.ListBookingsRequest(parent="performances/-", page_size=1, page_token=token),
        pb.ListBookingsRequest(parent=parent(house), page_size=1, page_token=token + "x"),
    ):
        assert (await refusal(office.bookings.ListBookings(other, metadata=who))).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.promise("3.7")
async def test_a_list_over_many_performances_is_no_query_per_performance(
    office: BoxOffice, another_server: Callable[[], Any]
) -> None:
    anna = await office.customer()
    bookings = [await office.book(office.stage(), anna, "Stalls-A-1") for _ in range(6)]
    for booking in bookings:
        request = pb.ConfirmBookingRequest(name=booking.name, method=pb.Booking.CASH)
        await office.bookings.ConfirmBooking(request, metadata=office.staff)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    async with another_server() as client:  # which has no hall in memory
        event.listen(Engine, "before_cursor_execute", note)
        try:
            everywhere = pb.ListBookingsRequest(parent="performances/-")
            cold = BoxOffice(client, office.database, office.staff).bookings
            page = await cold.ListBookings(everywhere, metadata=anna)
            tickets = ticket_pb2.ListTicketsRequest(parent="performances/-/bookings/-")
            listed = await cold.ListTickets(tickets, metadata=anna)
        finally:
            event.remove(Engine, "before_cursor_execute", note)

    assert [seat.seat for booking in page.bookings for seat in booking.seats] == ["Stalls-A-1"] * 6
    assert [ticket.seat for ticket in listed.tickets] == ["Stalls-A-1"] * 6
    assert len([statement for statement in statements if "seat_map_version" in statement]) == 3


async def test_the_box_office_sells_for_cash_and_the_tickets_are_there(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-2", "Stalls-A-1")
    request = pb.ConfirmBookingRequest(name=booking.name, method=pb.Booking.CASH)
    sold = await office.bookings.ConfirmBooking(request, metadata=office.staff)

    assert (sold.state, sold.method) == (pb.Booking.CONFIRMED, pb.Booking.CASH)
    assert sold.HasField("confirm_time")
    for where in (booking.name, f"{parent(house)}/bookings/-", "performances/-/bookings/-"):
        page = await office.bookings.ListTickets(ticket_pb2.ListTicketsRequest(parent=where), metadata=anna)
        assert [ticket.seat for ticket in page.tickets] == ["Stalls-A-1", "Stalls-A-2"]
        assert all(len(ticket.code) >= 22 and ticket.state == ticket_pb2.Ticket.VALID for ticket in page.tickets)
    ticket = (
        await office.bookings.ListTickets(ticket_pb2.ListTicketsRequest(parent=booking.name), metadata=anna)
    ).tickets[0]
    read = ticket_pb2.GetTicketRequest(name=ticket.name)
    assert await office.bookings.GetTicket(read, metadata=anna) == ticket
    stranger = await office.customer()
    assert (await refusal(office.bookings.GetTicket(read, metadata=stranger))).code == "NOT_FOUND"
    page = await office.bookings.ListTickets(
        ticket_pb2.ListTicketsRequest(parent="performances/-/bookings/-"), metadata=stranger
    )
    assert page.total_size == 0


@pytest.mark.promise("0.12")
@pytest.mark.promise("3.3")
@pytest.mark.mistake("holds never end")
async def test_an_unpaid_hold_ends_and_frees_its_seats(office: BoxOffice) -> None:
    house = office.stage()
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")

    office.let_time_pass(booking)

    shown = await office.get(booking, anna)
    assert shown.state == pb.Booking.EXPIRED
    await office.book(house, await office.customer(), "Stalls-A-1")
    late = await refusal(office.pay(booking, anna))
    assert (late.code, late.reason) == ("FAILED_PRECONDITION", "HOLD_EXPIRED")


async def test_a_stream_shows_a_booking_at_once_and_after_each_change(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    booking = await office.book(house, who, "Stalls-A-1")
    stream = office.bookings.WatchBooking(pb.WatchBookingRequest(name=booking.name), metadata=who)
    seen: list[pb.WatchBookingResponse] = []

    async def read_until(last: str) -> None:
        async with asyncio.timeout(60):
            async for message in stream:
                seen.append(message)
                if message.WhichOneof("event") == last:
                    return

    await read_until("booking")
    assert seen[-1].booking == booking
    await read_until("heartbeat")
    changed = await office.bookings.AddSeats(
        pb.AddSeatsRequest(name=booking.name, seats=[pb.SeatClaim(seat="Stalls-A-2")]), metadata=who
    )
    await read_until("booking")
    assert seen[-1].booking == changed
    await office.bookings.CancelBooking(pb.CancelBookingRequest(name=booking.name), metadata=who)
    await read_until("reconnect")
    assert seen[-2].booking.state == pb.Booking.CANCELLED
    assert seen[-1].reconnect.reason == stream_pb2.Reconnect.FINISHED


async def test_a_stream_of_an_ended_booking_says_so_and_ends(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    booking = await office.book(house, who, "Stalls-A-1")
    await office.bookings.CancelBooking(pb.CancelBookingRequest(name=booking.name), metadata=who)
    stream = office.bookings.WatchBooking(pb.WatchBookingRequest(name=booking.name), metadata=who)
    kinds = [message.WhichOneof("event") async for message in stream]
    assert kinds == ["booking", "reconnect"]


@pytest.mark.promise("1.6")
@pytest.mark.promise("2.4")
async def test_of_many_customers_at_two_servers_one_gets_the_seat(
    office: BoxOffice, house: Staged, another_server: Callable[[], Any]
) -> None:
    customers = [await office.customer() for _ in range(12)]
    async with another_server() as client:
        second = BoxOffice(client, office.database, office.staff)
        answers = await asyncio.gather(
            *(
                (office, second)[n % 2].book(house, who, "Stalls-A-1", f"Stalls-B-{n % 10 + 1}")
                for n, who in enumerate(customers)
            ),
            return_exceptions=True,
        )
    assert sum(isinstance(answer, pb.Booking) for answer in answers) == 1
    page = await office.bookings.ListBookings(pb.ListBookingsRequest(parent=parent(house)), metadata=office.staff)
    assert page.total_size == 1, "those who were refused left nothing behind"


@pytest.mark.promise("1.5")
async def test_the_limit_holds_over_two_servers(
    office: BoxOffice, house: Staged, another_server: Callable[[], Any]
) -> None:
    who = await office.customer()
    async with another_server() as client:
        second = BoxOffice(client, office.database, office.staff)
        answers = await asyncio.gather(
            *((office, second)[n % 2].book(house, who, f"Stalls-A-{n + 1}") for n in range(10)), return_exceptions=True
        )
    assert sum(isinstance(answer, pb.Booking) for answer in answers) == 4


async def test_a_caller_who_goes_away_may_ask_again_with_the_same_request_id(office: BoxOffice, house: Staged) -> None:
    who = await office.customer()
    call = office.book(house, who, "Stalls-A-1", request_id="gone")
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0.003)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    again = await office.book(house, who, "Stalls-A-1", request_id="gone")

    page = await office.bookings.ListBookings(pb.ListBookingsRequest(parent=parent(house)), metadata=who)
    assert [booking.name for booking in page.bookings] == [again.name]


@pytest.mark.promise("2.2")
async def test_where_it_is_asked_for_only_verified_addresses_hold_seats(
    fast: Settings, database: Database, house: Staged
) -> None:
    async with served(fast.model_copy(update={"require_verified_email": True}), database) as client:
        office = BoxOffice(client, database, ())
        anna = await client.sign_up()
        refused = await refusal(office.book(house, anna.token, "Stalls-A-1"))
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "EMAIL_NOT_VERIFIED")
        code = await code_in_mail(database, anna.email, CodePurpose.VERIFY_EMAIL)
        await client.auth.VerifyEmail(auth_pb2.VerifyEmailRequest(code=code))
        booking = await office.book(house, anna.token, "Stalls-A-1")

        # With a new address it is the same again: what is held stays held, and nothing is added.
        moved = auth_pb2.User(name="users/me", email=f"new-{anna.email}")
        await client.auth.UpdateUser(auth_pb2.UpdateUserRequest(user=moved), metadata=anna.token)
        more = pb.AddSeatsRequest(name=booking.name, seats=[pb.SeatClaim(seat="Stalls-A-2")])
        for call in (office.book(house, anna.token, "Stalls-A-3"), office.bookings.AddSeats(more, metadata=anna.token)):
            assert (await refusal(call)).reason == "EMAIL_NOT_VERIFIED"


async def test_a_partners_key_books_where_it_was_made_for_and_a_kiosks_only_looks(
    office: BoxOffice, house: Staged
) -> None:
    admin = await office.client.admin()
    elsewhere = office.stage()

    async def key(role: auth_pb2.Role.ValueType, *scopes: str) -> Metadata:
        made = await office.client.auth.CreateApiKey(
            auth_pb2.CreateApiKeyRequest(
                parent="users/me", api_key=auth_pb2.ApiKey(display_name="Key", role=role, scopes=scopes)
            ),
            metadata=admin.token,
        )
        answer = await office.client.auth.ExchangeApiKey(auth_pb2.ExchangeApiKeyRequest(api_key=made.secret))
        return (("authorization", f"Bearer {answer.access_token}"),)

    partner = await key(auth_pb2.ROLE_PARTNER, f"venues/{house.venue_id}")
    booking = await office.book(house, partner, "Stalls-A-1")
    assert (await office.get(booking, partner)).customer == admin.name
    await office.simulate(await office.pay(booking, partner), partner)
    assert (await refusal(office.book(elsewhere, partner, "Stalls-A-1"))).code == "PERMISSION_DENIED"
    everywhere = pb.ListBookingsRequest(parent="performances/-")
    assert (await refusal(office.bookings.ListBookings(everywhere, metadata=partner))).code == "PERMISSION_DENIED"
    kiosk = await key(auth_pb2.ROLE_KIOSK)
    assert (await refusal(office.book(house, kiosk, "Stalls-A-2"))).code == "PERMISSION_DENIED"


async def test_a_stream_says_goodbye_when_its_token_ends(
    office: BoxOffice, house: Staged, another_server: Callable[[], Any]
) -> None:
    anna = await office.client.sign_up()
    booking = await office.book(house, anna.token, "Stalls-A-1")
    stream = office.bookings.WatchBooking(pb.WatchBookingRequest(name=booking.name), metadata=anna.token)
    seen: list[pb.WatchBookingResponse] = []
    async with asyncio.timeout(60):
        async for message in stream:
            if not seen:
                await office.client.auth.LogOut(auth_pb2.LogOutRequest(refresh_token=anna.refresh))
            seen.append(message)
    assert seen[-1].reconnect.reason == stream_pb2.Reconnect.TOKEN
