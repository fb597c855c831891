"""The calls that the clients offer, each made ready by one function.

`client.hold(…)` is short for `client.call(calls.hold(…))`; the long form also takes a `timeout` and a `request_id`.
An RPC without a function here is called by an `Rpc` of one's own:
`client.call(Rpc(EventServiceStub, "CreateVenue", CreateVenueRequest(…)))`.

Names are resource names as the server gives them: `performances/1`, `performances/1/bookings/…`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from google.api import httpbody_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from rowlock.v1 import (
    auth_pb2,
    auth_pb2_grpc,
    booking_pb2,
    booking_pb2_grpc,
    event_pb2,
    event_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    payment_pb2,
    payment_pb2_grpc,
    performance_pb2,
    seat_map_pb2,
    ticket_pb2,
    ticket_type_pb2,
    waiting_room_pb2,
    waiting_room_pb2_grpc,
)
from rowlock_client.rpc import Rpc

_Auth = auth_pb2_grpc.AuthServiceStub
_Events = event_pb2_grpc.EventServiceStub
_Bookings = booking_pb2_grpc.BookingServiceStub
_Payments = payment_pb2_grpc.PaymentServiceStub
_Queue = waiting_room_pb2_grpc.WaitingRoomServiceStub
_Operations = operations_pb2_grpc.OperationsServiceStub

PDF = ticket_pb2.GetTicketDocumentRequest.PDF
ICALENDAR = ticket_pb2.GetTicketDocumentRequest.ICALENDAR
SIMULATOR = payment_pb2.Payment.SIMULATOR
APPROVE = payment_pb2.SimulatePaymentRequest.APPROVE
ANY_STATE = seat_map_pb2.SEAT_STATE_UNSPECIFIED
ANY_WEBHOOK = operations_pb2.ProviderWebhook.STATE_UNSPECIFIED


# -- Accounts ------------------------------------------------------------------------------------------------


def sign_up(email: str, password: str, display_name: str, *, locale: str = "") -> Rpc[auth_pb2.SignUpResponse]:
    """Open an account. The answer does not say whether the address had one already; then log in."""
    request = auth_pb2.SignUpRequest(email=email, password=password, display_name=display_name, locale=locale)
    return Rpc(_Auth, "SignUp", request, sends_token=False)


def log_in(email: str, password: str) -> Rpc[auth_pb2.LogInResponse]:
    """Begin a session."""
    request = auth_pb2.LogInRequest(email=email, password=password)
    return Rpc(_Auth, "LogIn", request, sends_token=False, repeatable=True)


def refresh_token(refresh_token: str) -> Rpc[auth_pb2.RefreshTokenResponse]:
    """Get a session's next tokens. Repeated within 10 s, it gives the same ones."""
    request = auth_pb2.RefreshTokenRequest(refresh_token=refresh_token)
    return Rpc(_Auth, "RefreshToken", request, sends_token=False, repeatable=True)


def exchange_api_key(api_key: str) -> Rpc[auth_pb2.ExchangeApiKeyResponse]:
    """Get a token for an API key."""
    request = auth_pb2.ExchangeApiKeyRequest(api_key=api_key)
    return Rpc(_Auth, "ExchangeApiKey", request, sends_token=False, repeatable=True)


def log_out(refresh_token: str) -> Rpc[auth_pb2.LogOutResponse]:
    """End a session."""
    request = auth_pb2.LogOutRequest(refresh_token=refresh_token)
    return Rpc(_Auth, "LogOut", request, sends_token=False, repeatable=True)


def log_out_everywhere(name: str = "users/me") -> Rpc[auth_pb2.LogOutEverywhereResponse]:
    """End every session of a user, this one included; administrators those of anybody."""
    return Rpc(_Auth, "LogOutEverywhere", auth_pb2.LogOutEverywhereRequest(name=name))


def verify_email(code: str) -> Rpc[auth_pb2.VerifyEmailResponse]:
    """Show that an address is one's own, by the code that was mailed to it."""
    return Rpc(_Auth, "VerifyEmail", auth_pb2.VerifyEmailRequest(code=code), sends_token=False)


def resend_verification(email: str) -> Rpc[auth_pb2.ResendVerificationResponse]:
    """Have another verification code mailed. The answer does not say whether there is an account to verify."""
    request = auth_pb2.ResendVerificationRequest(email=email)
    return Rpc(_Auth, "ResendVerification", request, sends_token=False)


def request_password_reset(email: str) -> Rpc[auth_pb2.RequestPasswordResetResponse]:
    """Have a code mailed by which a new password can be set. The answer does not say whether there is an account."""
    request = auth_pb2.RequestPasswordResetRequest(email=email)
    return Rpc(_Auth, "RequestPasswordReset", request, sends_token=False)


def confirm_password_reset(code: str, new_password: str) -> Rpc[auth_pb2.ConfirmPasswordResetResponse]:
    """Set a new password by a mailed code. Every session ends; then log in."""
    request = auth_pb2.ConfirmPasswordResetRequest(code=code, new_password=new_password)
    return Rpc(_Auth, "ConfirmPasswordReset", request, sends_token=False)


def change_password(current_password: str, new_password: str) -> Rpc[auth_pb2.ChangePasswordResponse]:
    """Replace one's password. Every session ends, this one included; then log in again."""
    request = auth_pb2.ChangePasswordRequest(
        name="users/me", current_password=current_password, new_password=new_password
    )
    return Rpc(_Auth, "ChangePassword", request)


def me() -> Rpc[auth_pb2.User]:
    """Read who is logged in."""
    return Rpc(_Auth, "GetUser", auth_pb2.GetUserRequest(name="users/me"))


def jwks() -> Rpc[auth_pb2.GetJwksResponse]:
    """Read the public keys by which tokens, tickets and entry lists are verified."""
    return Rpc(_Auth, "GetJwks", auth_pb2.GetJwksRequest(), sends_token=False)


# -- The catalogue -------------------------------------------------------------------------------------------


def events(
    *,
    text: str = "",
    category: str = "",
    venue: str = "",
    start: datetime | None = None,
    before: datetime | None = None,
    only_available: bool = False,
    page_size: int = 0,
    page_token: str = "",
) -> Rpc[event_pb2.ListEventsResponse]:
    """List events, by the time of their next performance.

    Args:
        text: words of title or description.
        category: `categories/{category}`.
        venue: `venues/{venue}`.
        start: only with a performance that begins then or later, aware.
        before: only with one that begins earlier, aware.
        only_available: only with places left.
        page_size: at most so many; 0: 50.
        page_token: of the page before.
    """
    request = event_pb2.ListEventsRequest(
        text=text,
        category=category,
        venue=venue,
        start_time_from=_timestamp(start),
        start_time_before=_timestamp(before),
        only_available=only_available,
        page_size=page_size,
        page_token=page_token,
    )
    return Rpc(_Events, "ListEvents", request)


def event(name: str) -> Rpc[event_pb2.Event]:
    """Read an event."""
    return Rpc(_Events, "GetEvent", event_pb2.GetEventRequest(name=name))


def performances(
    *,
    event: str = "",
    text: str = "",
    category: str = "",
    venue: str = "",
    start: datetime | None = None,
    before: datetime | None = None,
    only_available: bool = False,
    page_size: int = 0,
    page_token: str = "",
) -> Rpc[performance_pb2.ListPerformancesResponse]:
    """List performances by start time. The arguments are those of `events`, and `event`: `events/{event}`."""
    request = performance_pb2.ListPerformancesRequest(
        event=event,
        text=text,
        category=category,
        venue=venue,
        start_time_from=_timestamp(start),
        start_time_before=_timestamp(before),
        only_available=only_available,
        page_size=page_size,
        page_token=page_token,
    )
    return Rpc(_Events, "ListPerformances", request)


def performance(name: str) -> Rpc[performance_pb2.Performance]:
    """Read a performance with its counts of the moment."""
    return Rpc(_Events, "GetPerformance", performance_pb2.GetPerformanceRequest(name=name))


def ticket_types(performance: str) -> Rpc[ticket_type_pb2.ListTicketTypesResponse]:
    """List what can be bought, by position."""
    request = ticket_type_pb2.ListTicketTypesRequest(parent=performance, page_size=1000)
    return Rpc(_Events, "ListTicketTypes", request)


def availability(performance: str) -> Rpc[performance_pb2.GetAvailabilityResponse]:
    """Count what is left, by price zone and ticket type."""
    request = performance_pb2.GetAvailabilityRequest(performance=performance)
    return Rpc(_Events, "GetAvailability", request)


def seats(
    performance: str,
    *,
    state: seat_map_pb2.SeatState.ValueType = ANY_STATE,
    zone: str = "",
    section: str = "",
    page_size: int = 0,
    page_token: str = "",
) -> Rpc[performance_pb2.ListSeatsResponse]:
    """List places with their states and what can buy them, in the order of their index."""
    request = performance_pb2.ListSeatsRequest(
        parent=performance, state=state, zone=zone, section=section, page_size=page_size, page_token=page_token
    )
    return Rpc(_Events, "ListSeats", request)


def seat_map(performance: str, *, page_token: str = "") -> Rpc[performance_pb2.GetPerformanceSeatMapResponse]:
    """Read a page of a performance's drawing, of 20,000 seats; `client.seat_map` puts the pages together."""
    request = performance_pb2.GetPerformanceSeatMapRequest(performance=performance, page_token=page_token)
    return Rpc(_Events, "GetPerformanceSeatMap", request)


def block(performance: str, *seats: str, reason: str = "") -> Rpc[performance_pb2.BlockSeatsResponse]:
    """Take free places out of the sale. Staff."""
    request = performance_pb2.BlockSeatsRequest(performance=performance, seats=seats, reason=reason)
    return Rpc(_Events, "BlockSeats", request)


def unblock(performance: str, *seats: str, reason: str = "") -> Rpc[performance_pb2.UnblockSeatsResponse]:
    """Put blocked places back on sale. Staff."""
    request = performance_pb2.UnblockSeatsRequest(performance=performance, seats=seats, reason=reason)
    return Rpc(_Events, "UnblockSeats", request)


# -- Waiting rooms -------------------------------------------------------------------------------------------


def join_queue(performance: str, *, entry_token: str = "", customer: str = "") -> Rpc[waiting_room_pb2.QueueEntry]:
    """Take a place in line, or get back the one that one has.

    Args:
        performance: `performances/{performance}`.
        entry_token: of an earlier answer, to restore a place that was lost.
        customer: for whom, by staff: `users/{user}`.
    """
    request = waiting_room_pb2.JoinQueueRequest(parent=performance, entry_token=entry_token, customer=customer)
    return Rpc(_Queue, "JoinQueue", request)


def queue_entry(name: str) -> Rpc[waiting_room_pb2.QueueEntry]:
    """Read a place in line; once admitted, it has the `admission_token` that `hold` takes."""
    return Rpc(_Queue, "GetQueueEntry", waiting_room_pb2.GetQueueEntryRequest(name=name))


def leave_queue(name: str) -> Rpc[waiting_room_pb2.QueueEntry]:
    """Give a place in line up, or an admission that was not used."""
    return Rpc(_Queue, "LeaveQueue", waiting_room_pb2.LeaveQueueRequest(name=name))


def waiting_room(performance: str) -> Rpc[waiting_room_pb2.WaitingRoom]:
    """Read a performance's waiting room."""
    request = waiting_room_pb2.GetWaitingRoomRequest(name=f"{performance}/waitingRoom")
    return Rpc(_Queue, "GetWaitingRoom", request)


def update_waiting_room(room: waiting_room_pb2.WaitingRoom, *paths: str) -> Rpc[waiting_room_pb2.WaitingRoom]:
    """Change a waiting room: the fields in `paths`; none: those that are not empty. Staff."""
    request = waiting_room_pb2.UpdateWaitingRoomRequest(waiting_room=room)
    request.update_mask.paths.extend(paths)
    return Rpc(_Queue, "UpdateWaitingRoom", request)


# -- Bookings ------------------------------------------------------------------------------------------------


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
    """List one's own bookings, newest first; staff: all, or those of `customer`.

    With `text` only the booking that it names: by its id or, of one performance, the end of that; by the code of a
    ticket; or by what a payment provider calls a payment.
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


# -- The doors -----------------------------------------------------------------------------------------------


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
    """List the scans of a performance's doors, newest first. Staff."""
    request = ticket_pb2.ListCheckInsRequest(
        parent=performance, only_conflicts=only_conflicts, ticket=ticket, page_size=page_size, page_token=page_token
    )
    return Rpc(_Bookings, "ListCheckIns", request)


# -- Payments ------------------------------------------------------------------------------------------------


def pay(
    booking: str,
    *,
    provider: payment_pb2.Payment.Provider.ValueType = SIMULATOR,
    return_uri: str = "",
    cancel_uri: str = "",
) -> Rpc[payment_pb2.Payment]:
    """Begin to pay a held booking. Nothing is charged until the customer approves: see `approval_uri`, `simulate`."""
    request = payment_pb2.CreatePaymentRequest(
        parent=booking,
        payment=payment_pb2.Payment(provider=provider),
        return_uri=return_uri,
        cancel_uri=cancel_uri,
    )
    return Rpc(_Payments, "CreatePayment", request)


def simulate(
    payment: str, outcome: payment_pb2.SimulatePaymentRequest.Outcome.ValueType = APPROVE
) -> Rpc[payment_pb2.Payment]:
    """Play the provider's and the customer's part for a payment with the simulator."""
    request = payment_pb2.SimulatePaymentRequest(name=payment, outcome=outcome)
    return Rpc(_Payments, "SimulatePayment", request)


def capture(payment: str) -> Rpc[payment_pb2.Payment]:
    """Take the money after the customer approved."""
    return Rpc(_Payments, "CapturePayment", payment_pb2.CapturePaymentRequest(name=payment))


def cancel_payment(payment: str) -> Rpc[payment_pb2.Payment]:
    """Give a payment up before money was taken; the booking stays held."""
    return Rpc(_Payments, "CancelPayment", payment_pb2.CancelPaymentRequest(name=payment))


def payment(name: str) -> Rpc[payment_pb2.Payment]:
    """Read a payment."""
    return Rpc(_Payments, "GetPayment", payment_pb2.GetPaymentRequest(name=name))


def payments(
    booking: str = "performances/-/bookings/-", *, page_size: int = 0, page_token: str = ""
) -> Rpc[payment_pb2.ListPaymentsResponse]:
    """List the payments of a booking, or of all bookings, newest first."""
    request = payment_pb2.ListPaymentsRequest(parent=booking, page_size=page_size, page_token=page_token)
    return Rpc(_Payments, "ListPayments", request)


# -- Operations ----------------------------------------------------------------------------------------------


def staff_actions(
    *,
    actor: str = "",
    method: str = "",
    about: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    page_size: int = 0,
    page_token: str = "",
) -> Rpc[operations_pb2.ListStaffActionsResponse]:
    """List what staff changed, newest first. Staff.

    Args:
        actor: only what this user did: `users/…`, or `users/me`.
        method: only this RPC, `EventService.CreateEvent`, or all RPCs of a service, `EventService`.
        about: only what was about this resource, or about something in it: `performances/1`.
        start: only at this time or later; with a time zone.
        end: only before this time; with a time zone.
        page_size: how many at most; 0: 50.
        page_token: of the page before.
    """
    request = operations_pb2.ListStaffActionsRequest(
        actor=actor,
        method=method,
        resource=about,
        start_time=_timestamp(start),
        end_time=_timestamp(end),
        page_size=page_size,
        page_token=page_token,
    )
    return Rpc(_Operations, "ListStaffActions", request)


def booking_history(
    booking: str, *, page_size: int = 0, page_token: str = ""
) -> Rpc[operations_pb2.ListBookingHistoryResponse]:
    """List what became of a booking, oldest first. Staff."""
    request = operations_pb2.ListBookingHistoryRequest(parent=booking, page_size=page_size, page_token=page_token)
    return Rpc(_Operations, "ListBookingHistory", request)


def backlog() -> Rpc[operations_pb2.ListBacklogResponse]:
    """List the kinds of work that is done later, with how much of each waits, and for whom. Staff."""
    return Rpc(_Operations, "ListBacklog", operations_pb2.ListBacklogRequest())


def provider_webhooks(
    state: operations_pb2.ProviderWebhook.State.ValueType = ANY_WEBHOOK, *, page_size: int = 0, page_token: str = ""
) -> Rpc[operations_pb2.ListProviderWebhooksResponse]:
    """List messages of payment providers, newest first. Staff."""
    request = operations_pb2.ListProviderWebhooksRequest(state=state, page_size=page_size, page_token=page_token)
    return Rpc(_Operations, "ListProviderWebhooks", request)


def retry_provider_webhooks(*names: str) -> Rpc[operations_pb2.RetryProviderWebhooksResponse]:
    """Have messages of payment providers acted on once more; without names: all that wait for people. Staff."""
    request = operations_pb2.RetryProviderWebhooksRequest(names=names, all=not names)
    return Rpc(_Operations, "RetryProviderWebhooks", request)


def _claims(seats: Iterable[str], ticket_type: str) -> list[booking_pb2.SeatClaim]:
    return [booking_pb2.SeatClaim(seat=seat, ticket_type=ticket_type) for seat in seats]


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp
