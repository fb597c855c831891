"""Bookings and tickets as callers see them."""

from rowlock.v1 import booking_pb2, ticket_pb2
from server import resources
from server.db.models.inventory import Ticket
from server.domain.etags import etag_of
from server.domain.signing_keys import Keys
from server.seats.booking import Booking
from server.seats.hall import Hall
from server.services.wire import money, shared_timestamp, timestamp
from server.states import BookingState
from server.tickets.codes import ticket_code


def booking_message(booking: Booking, hall: Hall) -> booking_pb2.Booking:
    """A booking; ``hall`` is that of its performance and gives the places their ids."""
    performance_id, currency, places = booking.performance_id, booking.currency, hall.places
    message = booking_pb2.Booking(
        name=resources.booking(performance_id, booking.id),
        customer=resources.user(booking.customer_id),
        performance=resources.performance(performance_id),
        state=booking_pb2.Booking.State.ValueType(booking.state),
        seats=[
            booking_pb2.BookedSeat(
                seat=places[place].id,
                index=place,
                ticket_type=resources.ticket_type(performance_id, kind),
                price=money(price, currency),
            )
            for place, kind, price in zip(booking.places, booking.ticket_type_ids, booking.prices, strict=True)
        ],
        total=money(booking.total, currency),
        hold_expire_time=shared_timestamp(booking.hold_expire_time),
        note=booking.note,
        etag=etag_of(booking.version),
        create_time=shared_timestamp(booking.create_time),
        update_time=shared_timestamp(booking.update_time),
    )
    # A fresh hold, which is what is asked for most, has nothing of the rest.
    if booking.payment_id is not None:
        # Late money: the payment was made for the booking that this one replaces.
        payer = booking.replaces or booking.id
        message.payment = resources.payment(performance_id, payer, booking.payment_id)
    if booking.confirmed_by is not None:
        message.method = booking_pb2.Booking.Method.ValueType(booking.confirmed_by)
    if booking.confirm_time is not None:
        message.confirm_time.CopyFrom(shared_timestamp(booking.confirm_time))
    if booking.end_time is not None and booking.state is BookingState.CANCELLED:
        message.cancel_time.CopyFrom(shared_timestamp(booking.end_time))
    if booking.end_time is not None and booking.state is BookingState.EXPIRED:
        message.expire_time.CopyFrom(shared_timestamp(booking.end_time))
    if booking.replaced_by is not None:
        message.replaced_by = resources.booking(performance_id, booking.replaced_by)
    if booking.replaces is not None:
        message.replaces = resources.booking(performance_id, booking.replaces)
    return message


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
