"""What is asked before something is done to a booking. Each takes the browser's request and the booking's record."""

from starlette.requests import Request

from console.forms import boxes, choice, dialog, hidden, said, words
from console.narrowing import words_of
from console.records import Record, amount
from rowlock.v1 import booking_pb2, ticket_pb2

_Booking = Record[booking_pb2.Booking]

_AFTER_DEADLINE = "Staff may do this at any time; after the refund deadline it takes a reason."


def cancel(_: Request, booking: _Booking) -> str:
    """Whether, and why."""
    if booking.proto.state == booking_pb2.Booking.HELD:
        return dialog(said("Its places are free at once."), words("reason", "Reason"))
    return dialog(
        said("Its places are free at once, its tickets void, and all that is left of its payment goes back."),
        words("reason", "Reason", required=True, hint=_AFTER_DEADLINE),
    )


def refund_tickets(_: Request, booking: _Booking) -> str:
    """Which tickets, and why."""
    prices = {seat.seat: amount(seat.price) for seat in booking.proto.seats}
    return dialog(
        boxes(
            "tickets",
            "Tickets to take back",
            [(ticket.name, f"{ticket.seat}, {prices.get(ticket.seat, '')}") for ticket in valid_tickets(booking)],
        ),
        words("reason", "Reason", required=True, hint=_AFTER_DEADLINE),
    )


def resend_tickets(_: Request, __: _Booking) -> str:
    """Whether."""
    return dialog(said("They go to the address that the customer's account has now. Those printed before stay good."))


def confirm(_: Request, booking: _Booking) -> str:
    """How it is paid. The booking must still be what is shown, so that the amount is."""
    methods = [(name, label) for name, label in words_of(booking_pb2.Booking.Method) if name != "PROVIDER"]
    return dialog(
        said(f"{booking.places_count} places for {booking.total}."),
        hidden("etag", booking.etag),
        choice("method", "Paid by", methods, hint="Cash is counted in your open shift. Comp is given for nothing."),
    )


def add_seats(_: Request, __: _Booking) -> str:
    """Which seats."""
    return dialog(words("seats", "Seats", required=True, hint="Their ids in the seat map, with commas between them."))


def remove_seats(_: Request, booking: _Booking) -> str:
    """Which places."""
    return dialog(boxes("seats", "Places to give up", [(seat.seat, seat.seat) for seat in booking.proto.seats]))


def extend(_: Request, __: _Booking) -> str:
    """Whether."""
    return dialog(said("From now on, for as long as a new hold; at most half an hour since it was made."))


def pay_out(_: Request, booking: _Booking) -> str:
    """Whether the customer has the money."""
    return dialog(said(f"Hand the customer {booking.cash_due}. It is counted in your open shift."))


def note(_: Request, booking: _Booking) -> str:
    """The new note."""
    return dialog(hidden("etag", booking.etag), words("note", "Note", value=booking.note))


def valid_tickets(booking: _Booking) -> list[ticket_pb2.Ticket]:
    """Those that can still be taken back."""
    parts = booking.parts
    return [ticket for ticket in parts.tickets if ticket.state == ticket_pb2.Ticket.VALID] if parts else []
