"""Bookings and tickets as callers see them."""

from uuid import UUID

from rowlock.v1 import booking_pb2, ticket_pb2
from server import resources
from server.db.models.inventory import Ticket
from server.domain.etags import etag_of
from server.domain.signing_keys import Keys
from server.seats.booking import Booking
from server.seats.hall import Hall
from server.services.wire import money, timestamp
from server.states import BookingState
from server.tickets.codes import ticket_code


def booking_message(booking: Booking, hall: Hall) -> booking_pb2.Booking:
    """A booking; ``hall`` is that of its performance and gives the places their ids."""
    performance = resources.performance(booking.performance_id)
    places = hall.places
    ended = timestamp(booking.end_time)
    return booking_pb2.Booking(
        name=resources.booking(booking.performance_id, booking.id),
        customer=resources.user(booking.customer_id),
        performance=performance,
        state=booking_pb2.Booking.State.ValueType(booking.state),
        seats=[
            booking_pb2.BookedSeat(
                seat=places[place].id,
                index=place,
                ticket_type=resources.ticket_type(booking.performance_id, kind),
                price=money(price, booking.currency),
            )
            for place, kind, price in zip(booking.places, booking.ticket_type_ids, booking.prices, strict=True)
        ],
        total=money(booking.total, booking.currency),
        hold_expire_time=timestamp(booking.hold_expire_time),
        payment=""
        if booking.payment_id is None
        # Late money: the payment was made for the booking that this one replaces.
        else resources.payment(booking.performance_id, booking.replaces or booking.id, booking.payment_id),
        method=booking_pb2.Booking.Method.ValueType(booking.confirmed_by or 0),
        note=booking.note,
        etag=etag_of(booking.version),
        create_time=timestamp(booking.create_time),
        update_time=timestamp(booking.update_time),
        confirm_time=timestamp(booking.confirm_time),
        cancel_time=ended if booking.state is BookingState.CANCELLED else None,
        expire_time=ended if booking.state is BookingState.EXPIRED else None,
        replaced_by=_other(booking, booking.replaced_by),
        replaces=_other(booking, booking.replaces),
    )


def _other(booking: Booking, other: UUID | None) -> str:
    return "" if other is None else resources.booking(booking.performance_id, other)


def ticket_message(ticket: Ticket, hall: Hall, keys: Keys) -> ticket_pb2.Ticket:
    """A ticket for its owner or for staff, with its code; ``hall`` is that of its performance, ``keys`` sign."""
    return ticket_pb2.Ticket(
        name=resources.ticket(ticket.performance_id, ticket.booking_id, ticket.id),
        booking=resources.booking(ticket.performance_id, ticket.booking_id),
        seat=hall.places[ticket.place].id,
        index=ticket.place,
        ticket_type=resources.ticket_type(ticket.performance_id, ticket.ticket_type_id),
        code=ticket_code(keys, ticket.performance_id, ticket.id, ticket.nonce),
        state=ticket_pb2.Ticket.State.ValueType(ticket.state),
        check_in_time=timestamp(ticket.check_in_time),
        check_in_place=ticket.check_in_place or "",
        create_time=timestamp(ticket.create_time),
    )
