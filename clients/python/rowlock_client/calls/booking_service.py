"""Bookings, their tickets, and the doors where those are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.api import httpbody_pb2

from rowlock.v1 import booking_pb2, booking_pb2_grpc, ticket_pb2
from rowlock_client.rpc import Rpc

_Bookings = booking_pb2_grpc.BookingServiceStub

PDF = ticket_pb2.GetTicketDocumentRequest.PDF
ICALENDAR = ticket_pb2.GetTicketDocumentRequest.ICALENDAR


def hold(
    performance: str,
    *seats: str,
    best: int = 0,
    zone: str = "",
    section: str = "",
    ticket_type: str = "",
    general_admission: Mapping[str, int] | None = None,
    admission_token: str = "",
    customer: str = "",
    note: str = "",
) -> Rpc[booking_pb2.Booking]:
    """Claim places, all or none, and hold them until `hold_expire_time`.

    Either name what is wanted (`seats`, `general_admission`, or both), or let the server choose (`best`).

    Args:
        performance: `performances/{performance}`.
        seats: ids of numbered seats, such as "Stalls-A-12".
        best: so many seats of the server's choice, side by side if it can be done.
        zone: the price zone that `best` chooses in.
        section: the section that `best` chooses in.
        ticket_type: for `seats` and `best`; empty: the first that can buy them.
        general_admission: how many standing places of which ticket type.
        admission_token: of the waiting room, where the performance has one.
        customer: for whom, by staff: `users/{user}`.
        note: the customer's own words.
    """
    standing = [
        booking_pb2.GeneralAdmissionClaim(ticket_type=name, quantity=quantity)
        for name, quantity in (general_admission or {}).items()
    ]
    wish = booking_pb2.BestAvailable(quantity=best, zone=zone, section=section, ticket_type=ticket_type)
    request = booking_pb2.CreateBookingRequest(
        parent=performance,
        seats=_claims(seats, ticket_type),
        best_available=wish if best or zone or section else None,
        general_admission=standing,
        admission_token=admission_token,
        customer=customer,
        note=note,
    )
    return Rpc(_Bookings, "CreateBooking", request)


def add(booking: str, *seats: str, ticket_type: str = "", etag: str = "") -> Rpc[booking_pb2.Booking]:
    """Add seats to a held booking, all or none; its clock goes on."""
    request = booking_pb2.AddSeatsRequest(name=booking, seats=_claims(seats, ticket_type), etag=etag)
    return Rpc(_Bookings, "AddSeats", request)


def remove(booking: str, *seats: str, etag: str = "") -> Rpc[booking_pb2.Booking]:
    """Give places of a held booking back, all or none."""
    return Rpc(_Bookings, "RemoveSeats", booking_pb2.RemoveSeatsRequest(name=booking, seats=seats, etag=etag))


def extend(booking: str, *, etag: str = "") -> Rpc[booking_pb2.Booking]:
    """Hold a booking for longer, for 30 minutes in all at most."""
    return Rpc(_Bookings, "ExtendBooking", booking_pb2.ExtendBookingRequest(name=booking, etag=etag))


def cancel(booking: str, *, reason: str = "", etag: str = "") -> Rpc[booking_pb2.Booking]:
    """Give a booking up; a confirmed one is refunded, until its refund deadline."""
    request = booking_pb2.CancelBookingRequest(name=booking, reason=reason, etag=etag)
    return Rpc(_Bookings, "CancelBooking", request)


def booking(name: str) -> Rpc[booking_pb2.Booking]:
    """Read a booking."""
    return Rpc(_Bookings, "GetBooking", booking_pb2.GetBookingRequest(name=name))


def bookings(
    performance: str = "performances/-",
    *,
    state: booking_pb2.Booking.State.ValueType = booking_pb2.Booking.STATE_UNSPECIFIED,
    customer: str = "",
    text: str = "",
    page_size: int = 0,
    page_token: str = "",
) -> Rpc[booking_pb2.ListBookingsResponse]:
    """List one's own bookings, newest first; staff: all.

    Args:
        performance: `performances/{performance}`; by default of all.
        state: only those in this state.
        customer: only this customer's, by staff: `users/{user}`.
        text: only the booking that it names: by its id or, of one performance, the end of that; by the code of a
            ticket; or by what a payment provider calls a payment.
        page_size: at most so many; 0: 50.
        page_token: of the page before.
    """
    request = booking_pb2.ListBookingsRequest(
        parent=performance, state=state, customer=customer, text=text, page_size=page_size, page_token=page_token
    )
    return Rpc(_Bookings, "ListBookings", request)


def tickets(
    booking: str = "performances/-/bookings/-", *, page_size: int = 0, page_token: str = ""
) -> Rpc[ticket_pb2.ListTicketsResponse]:
    """List the tickets of a booking, or of all bookings."""
    request = ticket_pb2.ListTicketsRequest(parent=booking, page_size=page_size, page_token=page_token)
    return Rpc(_Bookings, "ListTickets", request)


def ticket(name: str) -> Rpc[ticket_pb2.Ticket]:
    """Read a ticket with its code."""
    return Rpc(_Bookings, "GetTicket", ticket_pb2.GetTicketRequest(name=name))


def ticket_document(name: str, *, calendar: bool = False) -> Rpc[httpbody_pb2.HttpBody]:
    """A ticket as a PDF to print, or as an entry for a calendar with all places of its booking."""
    request = ticket_pb2.GetTicketDocumentRequest(name=name, format=ICALENDAR if calendar else PDF)
    return Rpc(_Bookings, "GetTicketDocument", request)


def resend_tickets(booking: str) -> Rpc[ticket_pb2.ResendTicketsResponse]:
    """Mail a booking's tickets again, to the address that the customer's account has now."""
    return Rpc(_Bookings, "ResendTickets", ticket_pb2.ResendTicketsRequest(name=booking))


def check_in(performance: str, code: str = "", *, ticket: str = "", place: str = "") -> Rpc[ticket_pb2.Ticket]:
    """Let the bearer of a ticket in, once. Gates and staff.

    Args:
        performance: the one that is being let in.
        code: what was scanned.
        ticket: instead of a code, the name of a ticket that staff looked up.
        place: how the gate calls itself.
    """
    request = ticket_pb2.CheckInTicketRequest(performance=performance, place=place)
    if ticket:
        request.name = ticket
    else:
        request.code = code
    return Rpc(_Bookings, "CheckInTicket", request)


def undo_check_in(ticket: str, *, reason: str) -> Rpc[ticket_pb2.Ticket]:
    """Take a check-in back, so that the ticket lets in again. Staff."""
    return Rpc(_Bookings, "UndoCheckIn", ticket_pb2.UndoCheckInRequest(name=ticket, reason=reason))


def entry_list(performance: str, *, since_revision: int = 0) -> Rpc[ticket_pb2.EntryList]:
    """What a door needs without a connection; see `rowlock_client.doors`. Gates and staff."""
    request = ticket_pb2.GetEntryListRequest(performance=performance, since_revision=since_revision)
    return Rpc(_Bookings, "GetEntryList", request)


def upload_scans(
    performance: str, scans: Iterable[ticket_pb2.OfflineScan], *, device: str
) -> Rpc[ticket_pb2.UploadOfflineScansResponse]:
    """Hand in what a door scanned without a connection, at most 500 scans at once. Gates and staff."""
    request = ticket_pb2.UploadOfflineScansRequest(performance=performance, device=device, scans=scans)
    return Rpc(_Bookings, "UploadOfflineScans", request)


def check_ins(
    performance: str, *, only_conflicts: bool = False, ticket: str = "", page_size: int = 0, page_token: str = ""
) -> Rpc[ticket_pb2.ListCheckInsResponse]:
    """List the scans of a performance's doors, newest first. Staff.

    Args:
        performance: `performances/{performance}`.
        only_conflicts: only people who were let in and should not have been.
        ticket: only those of this ticket, by its name.
        page_size: at most so many; 0: 50.
        page_token: of the page before.
    """
    request = ticket_pb2.ListCheckInsRequest(
        parent=performance, only_conflicts=only_conflicts, ticket=ticket, page_size=page_size, page_token=page_token
    )
    return Rpc(_Bookings, "ListCheckIns", request)


def _claims(seats: Iterable[str], ticket_type: str) -> list[booking_pb2.SeatClaim]:
    return [booking_pb2.SeatClaim(seat=seat, ticket_type=ticket_type) for seat in seats]
