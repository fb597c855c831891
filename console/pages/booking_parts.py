"""What belongs to a booking: its places, tickets, money and history, read at once and put into tables."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from console.calling import call, session_of
from console.columns import time_text
from console.known import labels
from console.narrowing import worded
from console.records import Record, amount
from console.tables import Cell, Happening, Table, short, state_cell
from rowlock.v1 import booking_pb2, operations_pb2, payment_pb2, ticket_pb2, ticket_type_pb2
from rowlock.v1.booking_pb2_grpc import BookingServiceStub
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock.v1.operations_pb2_grpc import OperationsServiceStub
from rowlock.v1.payment_pb2_grpc import PaymentServiceStub
from rowlock_client.rpc import Rpc

_MOST: Final = 1000
"""Rows of one part; a booking has far fewer."""

_WHAT: Final = {
    "hold": "Places held",
    "add": "Places added",
    "remove": "Places given up",
    "extend": "Held for longer",
    "confirm": "Confirmed",
    "cancel": "Cancelled",
    "return": "Tickets taken back",
    "expire": "Ran out",
    "take_back": "Places taken back for a late payment",
}
_KIND: Final = operations_pb2.BookingHistoryEntry.Kind


@dataclass(frozen=True, slots=True)
class Parts:
    """What belongs to one booking."""

    tickets: Sequence[ticket_pb2.Ticket]
    types: Mapping[str, str]
    payments: Sequence[payment_pb2.Payment]
    refunds: Sequence[payment_pb2.Refund]
    history: Sequence[operations_pb2.BookingHistoryEntry]
    cash_due: str


async def read_parts(request: Request, booking: booking_pb2.Booking) -> Parts:
    """Read all of them."""
    tickets, types, payments, refunds, history = await asyncio.gather(
        call(request, _tickets(booking)),
        call(request, _types(booking)),
        call(request, _payments(booking)),
        call(request, _refunds(booking)),
        call(request, _history(booking)),
    )
    return Parts(
        tickets.tickets,
        {one.name: one.display_name for one in types.ticket_types},
        payments.payments,
        refunds.refunds,
        history.entries,
        await _cash_due(request, booking),
    )


def places_table(booking: booking_pb2.Booking, parts: Parts) -> Table:
    """Each place with what it is sold as and for how much."""
    rows = [
        [Cell(seat.seat), Cell(parts.types.get(seat.ticket_type, seat.ticket_type)), Cell(amount(seat.price))]
        for seat in booking.seats
    ]
    return Table(("Place", "Ticket type", "Price"), rows)


def tickets_table(request: Request, parts: Parts) -> Table:
    """Each ticket, when it let somebody in, and its documents."""
    return Table(
        ("Place", "Ticket type", "State", "Let in", "At", "Document"),
        [
            [
                Cell(ticket.seat),
                Cell(parts.types.get(ticket.ticket_type, ticket.ticket_type)),
                state_cell(ticket_pb2.Ticket.State.Name(ticket.state)),
                Cell(time_text(Record(ticket).check_in_time)),
                Cell(ticket.check_in_place),
                Cell("PDF", _document(request, ticket.name)) if ticket.state != ticket_pb2.Ticket.VOID else Cell(""),
            ]
            for ticket in parts.tickets
        ],
    )


def payments_table(request: Request, payments: Sequence[payment_pb2.Payment]) -> Table:
    """Each payment, which leads to its page."""
    return Table(
        ("Payment", "Provider", "State", "Amount", "Given back", "Made", "What is wrong"),
        [
            [
                Cell(short(payment.name), detail_url(request, "payments", payment.name)),
                Cell(worded(payment_pb2.Payment.Provider.Name(payment.provider))),
                state_cell(payment_pb2.Payment.State.Name(payment.state)),
                Cell(amount(payment.amount)),
                Cell(amount(payment.refunded)),
                Cell(time_text(Record(payment).create_time)),
                Cell(payment.discrepancy or payment.error_reason),
            ]
            for payment in payments
        ],
    )


def refunds_table(request: Request, refunds: Sequence[payment_pb2.Refund]) -> Table:
    """Each refund, which leads to its page."""
    return Table(
        ("Refund", "State", "Amount", "Why", "Asked for", "What is wrong"),
        [
            [
                Cell(short(refund.name), detail_url(request, "refunds", refund.name)),
                state_cell(payment_pb2.Refund.State.Name(refund.state)),
                Cell(amount(refund.amount)),
                Cell(refund.reason),
                Cell(time_text(Record(refund).create_time)),
                Cell(refund.discrepancy or refund.error_reason),
            ]
            for refund in refunds
        ],
    )


def timeline(request: Request, entries: Sequence[operations_pb2.BookingHistoryEntry]) -> list[Happening]:
    """What happened, the oldest first."""
    return [
        Happening(
            time=time_text(Record(entry).entry_time),
            title=_title(entry),
            who=_who(entry),
            states=_states(entry),
            facts=[fact for fact in _facts(entry) if fact],
            about=_about(request, entry),
        )
        for entry in entries
    ]


def detail_url(request: Request, view: str, name: str) -> str:
    """The page of a resource."""
    return str(request.url_for("console:detail", key=view).include_query_params(pk=name))


async def booking_labels(request: Request, bookings: Sequence[Any]) -> Mapping[str, str]:
    """What people call the performances and customers of these."""
    return await labels(request, [name for one in bookings for name in (one.performance, one.customer)])


def _title(entry: operations_pb2.BookingHistoryEntry) -> str:
    if entry.kind == _KIND.BOOKING:
        return _WHAT.get(entry.what, worded(entry.what))
    if entry.kind == _KIND.STAFF_ACTION:
        return entry.what
    return f"{worded(_KIND.Name(entry.kind))}: {entry.what.replace('_', ' ')}"


def _states(entry: operations_pb2.BookingHistoryEntry) -> tuple[Cell, Cell]:
    """The one before only where it was another."""
    before = entry.from_state if entry.from_state != entry.to_state else ""
    return state_cell(before), state_cell(entry.to_state)


def _who(entry: operations_pb2.BookingHistoryEntry) -> str:
    if entry.actor:
        role = " (staff)" if entry.staff_action else ""
        return f"by {entry.actor_display_name or entry.actor}{role}"
    return "" if entry.kind == _KIND.PAYMENT else "by itself"


def _facts(entry: operations_pb2.BookingHistoryEntry) -> Sequence[str]:
    places = f"{entry.place_count} place{'' if entry.place_count == 1 else 's'}" if entry.kind == _KIND.BOOKING else ""
    return places, amount(entry.amount), entry.detail


def _about(request: Request, entry: operations_pb2.BookingHistoryEntry) -> Cell:
    if entry.kind in {_KIND.PAYMENT, _KIND.REFUND}:
        view = "refunds" if entry.kind == _KIND.REFUND else "payments"
        return Cell(short(entry.resource), detail_url(request, view, entry.resource))
    return Cell("")


def _document(request: Request, ticket: str) -> str:
    return str(request.url_for("console:ticket-document").include_query_params(name=ticket))


async def _cash_due(request: Request, booking: booking_pb2.Booking) -> str:
    """What the customer can fetch at the box office; empty: nothing."""
    if booking.method != booking_pb2.Booking.CASH:
        return ""
    wanted = booking_pb2.ListCashDueRequest(parent=booking.performance, page_size=_MOST)
    due: Rpc[booking_pb2.ListCashDueResponse] = Rpc(BookingServiceStub, "ListCashDue", wanted)
    async for page in session_of(request).client.pages(due):
        for one in page.cash_due:
            if one.booking == booking.name:
                return amount(one.amount)
    return ""


def _tickets(booking: booking_pb2.Booking) -> Rpc[ticket_pb2.ListTicketsResponse]:
    return Rpc(BookingServiceStub, "ListTickets", ticket_pb2.ListTicketsRequest(parent=booking.name, page_size=_MOST))


def _types(booking: booking_pb2.Booking) -> Rpc[ticket_type_pb2.ListTicketTypesResponse]:
    wanted = ticket_type_pb2.ListTicketTypesRequest(parent=booking.performance, page_size=_MOST)
    return Rpc(EventServiceStub, "ListTicketTypes", wanted)


def _payments(booking: booking_pb2.Booking) -> Rpc[payment_pb2.ListPaymentsResponse]:
    wanted = payment_pb2.ListPaymentsRequest(parent=booking.name, page_size=_MOST)
    return Rpc(PaymentServiceStub, "ListPayments", wanted)


def _refunds(booking: booking_pb2.Booking) -> Rpc[payment_pb2.ListRefundsResponse]:
    wanted = payment_pb2.ListRefundsRequest(parent=f"{booking.name}/payments/-", page_size=_MOST)
    return Rpc(PaymentServiceStub, "ListRefunds", wanted)


def _history(booking: booking_pb2.Booking) -> Rpc[operations_pb2.ListBookingHistoryResponse]:
    wanted = operations_pb2.ListBookingHistoryRequest(parent=booking.name, page_size=_MOST)
    return Rpc(OperationsServiceStub, "ListBookingHistory", wanted)
