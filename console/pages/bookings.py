"""Bookings: found, read with all that belongs to them, and changed as the box office has to."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from google.protobuf.field_mask_pb2 import FieldMask
from starlette.requests import Request
from starlette_admin import RequestAction, row_action
from starlette_admin.fields import IntegerField, StringField
from starlette_admin.flash import flash

from console import choices
from console.calling import call
from console.columns import Amount, Moment, Reference, State
from console.customers import find_customer
from console.forms import chosen, entered, ticked
from console.narrowing import Choice, Named, Narrowing, Words, member, words_of
from console.pages import booking_dialogs as dialogs
from console.pages.booking_parts import (
    Parts,
    booking_labels,
    payments_table,
    places_table,
    read_parts,
    refunds_table,
    tickets_table,
    timeline,
)
from console.records import Record, amount
from console.resources import RpcView
from console.tables import Rows, Timeline, short
from rowlock.v1 import booking_pb2, ticket_pb2
from rowlock.v1.booking_pb2_grpc import BookingServiceStub
from rowlock_client.rpc import Rpc

_State: Final = booking_pb2.Booking.State


_SHORT: Final = 12
"""Of so few characters is no id, no code and no reference, but the end of an id as lists show it."""


class Bookings(RpcView[booking_pb2.Booking]):
    """All bookings, newest first."""

    key = "bookings"
    menu_label = "Bookings"
    display_name = "booking"
    icon = "fa fa-chair"
    fields = (
        StringField("short", label="Booking", exclude_from_detail=True),
        Reference("performance", view="performances", text="performance_label"),
        Reference("customer", view="users", text="customer_label"),
        IntegerField("places_count", label="Places"),
        Amount("total"),
        State("state"),
        StringField("method_word", label="Confirmed by", exclude_from_list=True),
        StringField("note", exclude_from_list=True),
        Moment("create_time", label="Made"),
        Moment("hold_expire_time", label="Held until", exclude_from_list=True),
        Moment("confirm_time", label="Confirmed", exclude_from_list=True),
        Moment("cancel_time", label="Cancelled", exclude_from_list=True),
        Moment("expire_time", label="Ran out", exclude_from_list=True),
        StringField("cash_due", label="Cash to fetch at the box office", exclude_from_list=True),
        Reference("replaced_by", view="bookings", exclude_from_list=True),
        Reference("replaces", view="bookings", exclude_from_list=True),
        StringField("name", label="Resource", exclude_from_list=True, copy_to_clipboard=True),
        Rows("places", label="Places"),
        Rows("tickets", label="Tickets"),
        Rows("payments", label="Payments"),
        Rows("refunds", label="Refunds"),
        Timeline("history", label="History"),
    )
    row_actions = (
        *("view", "cancel", "refund_tickets", "confirm", "extend"),
        *("resend_tickets", "add_seats", "remove_seats", "pay_out", "note"),
    )
    narrowing: ClassVar[Sequence[Narrowing]] = (
        Named("performance", "Performance", "performances", choices.performances),
        Words("customer", "Customer", "name or e-mail"),
        Words("text", "Number, ticket or payment", "as it is read"),
        Choice("state", "State", words_of(_State)),
    )

    # -- Reading --------------------------------------------------------------------------------------------

    async def narrow(self, request: Request, narrowed: dict[str, str]) -> Mapping[str, str] | None:
        """The customer by the account that was meant."""
        if narrowed["text"] and not narrowed["performance"] and len(narrowed["text"]) <= _SHORT:
            request.state.hints = [("The end of a number is looked for within a performance: choose that, too.", "")]
        customer = await find_customer(request, narrowed["customer"])
        return None if customer is None else {**narrowed, "customer": customer}

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[booking_pb2.ListBookingsResponse]:
        """By performance, customer, state, and what a customer has in hand."""
        wanted = booking_pb2.ListBookingsRequest(
            parent=narrowed["performance"] or "performances/-",
            customer=narrowed["customer"],
            state=member(_State, narrowed["state"]),
            text=narrowed["text"],
        )
        return Rpc(BookingServiceStub, "ListBookings", wanted)

    def get_rpc(self, name: str) -> Rpc[booking_pb2.Booking]:
        """One booking."""
        return Rpc(BookingServiceStub, "GetBooking", booking_pb2.GetBookingRequest(name=name))

    async def prepare(self, request: Request, messages: Sequence[booking_pb2.Booking]) -> None:
        """What people call their performances and customers."""
        request.state.labels = await booking_labels(request, messages)

    async def record(self, request: Request, message: booking_pb2.Booking) -> Record[booking_pb2.Booking]:
        """A booking; with all that belongs to it on a page of its own."""
        if request.state.action == RequestAction.DETAIL:
            await self.prepare(request, [message])
            parts = await read_parts(request, message)
            return self._record(request, message, **self._shown(request, message, parts))
        return self._record(request, message)

    def _record(self, request: Request, booking: booking_pb2.Booking, **more: Any) -> Record[booking_pb2.Booking]:
        known: Mapping[str, str] = getattr(request.state, "labels", {})
        return Record(
            booking,
            short=short(booking.name),
            performance_label=known.get(booking.performance, booking.performance),
            customer_label=known.get(booking.customer, booking.customer),
            places_count=len(booking.seats),
            method_word=booking_pb2.Booking.Method.Name(booking.method).capitalize() if booking.method else "",
            **{"parts": None, "cash_due": "", "hold_expire_time": _held_until(booking), **more},
        )

    @staticmethod
    def _shown(request: Request, booking: booking_pb2.Booking, parts: Parts) -> dict[str, Any]:
        return {
            "parts": parts,
            "cash_due": parts.cash_due,
            "places": places_table(booking, parts),
            "tickets": tickets_table(request, parts),
            "payments": payments_table(request, parts.payments),
            "refunds": refunds_table(request, parts.refunds),
            "history": timeline(request, parts.history),
        }

    # -- Changing -------------------------------------------------------------------------------------------

    def offers(self, request: Request, name: str, record: Any) -> bool:
        """What the state of a booking allows."""
        state = record.proto.state
        match name:
            case "cancel" | "note":
                return state in {_State.HELD, _State.CONFIRMED}
            case "resend_tickets" | "refund_tickets":
                return bool(state == _State.CONFIRMED and dialogs.valid_tickets(record))
            case "confirm" | "remove_seats":
                return bool(state == _State.HELD and record.proto.seats)
            case "extend" | "add_seats":
                return bool(state == _State.HELD)
            case "pay_out":
                return bool(record.cash_due)
            case _:
                return True

    @row_action(
        name="cancel",
        text="Cancel",
        confirmation="Cancel this booking?",
        submit_btn_text="Cancel the booking",
        submit_btn_class="btn btn-danger",
        exclude_from_list=True,
        form=dialogs.cancel,
    )
    async def cancel(self, request: Request, pk: Any) -> None:
        """Give it up; what was paid goes back."""
        wanted = booking_pb2.CancelBookingRequest(name=pk, reason=await entered(request, "reason"))
        await call(request, Rpc(BookingServiceStub, "CancelBooking", wanted))
        flash(request, "The booking is cancelled.", "success")

    @row_action(
        name="refund_tickets",
        text="Take tickets back",
        confirmation="Take tickets back and refund them?",
        submit_btn_text="Refund",
        submit_btn_class="btn btn-danger",
        exclude_from_list=True,
        form=dialogs.refund_tickets,
    )
    async def refund_tickets(self, request: Request, pk: Any) -> None:
        """Take some of its tickets back; what they cost goes back."""
        tickets = await ticked(request, "tickets", "ticket")
        reason = await entered(request, "reason")
        wanted = booking_pb2.RefundTicketsRequest(name=pk, tickets=tickets, reason=reason)
        await call(request, Rpc(BookingServiceStub, "RefundTickets", wanted))
        flash(request, f"Taken back: {len(tickets)}. What they cost goes back.", "success")

    @row_action(
        name="resend_tickets",
        text="Mail the tickets",
        confirmation="Mail the tickets again?",
        submit_btn_text="Mail them",
        exclude_from_list=True,
        form=dialogs.resend_tickets,
    )
    async def resend_tickets(self, request: Request, pk: Any) -> None:
        """Mail its tickets again, to the address that the customer has now."""
        await call(request, Rpc(BookingServiceStub, "ResendTickets", ticket_pb2.ResendTicketsRequest(name=pk)))
        flash(request, "The tickets are being mailed again.", "success")

    @row_action(
        name="confirm",
        text="Sell at the till",
        confirmation="Confirm this booking?",
        submit_btn_text="Confirm",
        exclude_from_list=True,
        form=dialogs.confirm,
    )
    async def confirm(self, request: Request, pk: Any) -> None:
        """Sell it for cash, or give it for nothing."""
        method: Any = await chosen(request, "method", booking_pb2.Booking.Method)
        wanted = booking_pb2.ConfirmBookingRequest(name=pk, method=method, etag=await entered(request, "etag"))
        booking: booking_pb2.Booking = await call(request, Rpc(BookingServiceStub, "ConfirmBooking", wanted))
        flash(request, f"The booking is confirmed: {amount(booking.total)}.", "success")

    @row_action(
        name="extend",
        text="Hold longer",
        confirmation="Hold its places for longer?",
        submit_btn_text="Hold longer",
        exclude_from_list=True,
        form=dialogs.extend,
    )
    async def extend(self, request: Request, pk: Any) -> None:
        """Give the customer more time."""
        await call(request, Rpc(BookingServiceStub, "ExtendBooking", booking_pb2.ExtendBookingRequest(name=pk)))
        flash(request, "The places are held for longer.", "success")

    @row_action(
        name="add_seats",
        text="Add seats",
        confirmation="Add seats to this booking?",
        submit_btn_text="Add",
        exclude_from_list=True,
        form=dialogs.add_seats,
    )
    async def add_seats(self, request: Request, pk: Any) -> None:
        """Claim more seats."""
        seats = [seat.strip() for seat in (await entered(request, "seats")).split(",") if seat.strip()]
        wanted = booking_pb2.AddSeatsRequest(name=pk, seats=[booking_pb2.SeatClaim(seat=seat) for seat in seats])
        await call(request, Rpc(BookingServiceStub, "AddSeats", wanted))
        flash(request, f"Added: {', '.join(seats)}.", "success")

    @row_action(
        name="remove_seats",
        text="Give places up",
        confirmation="Give places of this booking up?",
        submit_btn_text="Give up",
        exclude_from_list=True,
        form=dialogs.remove_seats,
    )
    async def remove_seats(self, request: Request, pk: Any) -> None:
        """Give some of its places up."""
        seats = await ticked(request, "seats", "place")
        await call(
            request, Rpc(BookingServiceStub, "RemoveSeats", booking_pb2.RemoveSeatsRequest(name=pk, seats=seats))
        )
        flash(request, f"Given up: {', '.join(seats)}.", "success")

    @row_action(
        name="pay_out",
        text="Pay cash out",
        confirmation="Has the customer got the money?",
        submit_btn_text="It is paid out",
        exclude_from_list=True,
        form=dialogs.pay_out,
    )
    async def pay_out(self, request: Request, pk: Any) -> None:
        """Note that the customer fetched what was owed in cash."""
        wanted = booking_pb2.PayOutCashRequest(name=pk)
        answer: booking_pb2.PayOutCashResponse = await call(request, Rpc(BookingServiceStub, "PayOutCash", wanted))
        flash(request, f"Paid out: {amount(answer.amount)}.", "success")

    @row_action(
        name="note",
        text="Note",
        confirmation="The note of this booking, which its customer sees, too:",
        submit_btn_text="Save",
        exclude_from_list=True,
        form=dialogs.note,
    )
    async def note(self, request: Request, pk: Any) -> None:
        """Change its note."""
        booking = booking_pb2.Booking(name=pk, note=await entered(request, "note"), etag=await entered(request, "etag"))
        wanted = booking_pb2.UpdateBookingRequest(booking=booking, update_mask=FieldMask(paths=["note"]))
        await call(request, Rpc(BookingServiceStub, "UpdateBooking", wanted))
        flash(request, "The note is saved.", "success")


def _held_until(booking: booking_pb2.Booking) -> Any:
    return Record(booking).hold_expire_time if booking.state == _State.HELD else None
