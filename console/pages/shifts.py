"""The box office: one's shifts at the tills, and customers who are owed cash."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette_admin import RequestAction, row_action
from starlette_admin.fields import StringField
from starlette_admin.flash import flash

from console import choices
from console.calling import call
from console.columns import Amount, Moment, Reference, State
from console.form_fields import price
from console.forms import dialog, entered, money_of, said, words
from console.known import labels
from console.narrowing import Choice, Named, Narrowing, member, words_of
from console.records import Record, amount
from console.resources import RpcView
from console.tables import Cell, Rows, Table, performance_of, short
from rowlock.v1 import booking_pb2, box_office_pb2
from rowlock.v1.booking_pb2_grpc import BookingServiceStub
from rowlock.v1.box_office_pb2_grpc import BoxOfficeServiceStub
from rowlock_client.rpc import Rpc

_State: Final = box_office_pb2.Shift.State
_LONGEST_NOTE: Final = 1000


def _close_dialog(_: Request, shift: Record[box_office_pb2.Shift]) -> str:
    return dialog(
        said(f"There should be {shift.expected_cash} in the drawer of {shift.till}."),
        words("counted", "Counted", required=True, hint="Such as 150.00."),
        words("note", "Note", most=_LONGEST_NOTE, hint="Why it differs, for example."),
    )


def _pay_out_dialog(_: Request, due: Record[booking_pb2.CashDue]) -> str:
    return dialog(said(f"Hand {due.customer_label} {due.amount}. It is counted in your open shift."))


class Shifts(RpcView[box_office_pb2.Shift]):
    """Shifts, newest first: one's own; administrators see all."""

    key = "shifts"
    menu_label = "Shifts"
    display_name = "shift"
    icon = "fa fa-cash-register"
    fields = (
        StringField("name", exclude_from_list=True, exclude_from_detail=True, exclude_from_create=True),
        StringField("till", required=True, maxlength=100),
        StringField(
            "opening",
            label="Cash in the drawer at first",
            required=True,
            placeholder="150.00 EUR",
            exclude_from_list=True,
            exclude_from_detail=True,
            exclude_from_export=True,
        ),
        Reference("staff", label="Whose", view="users", text="staff_label", exclude_from_create=True),
        State("state", exclude_from_create=True),
        Amount("opening_cash", label="At first", exclude_from_create=True),
        Amount("expected_cash", label="Should be in the drawer", exclude_from_create=True),
        Amount("counted_cash", label="Counted", exclude_from_create=True),
        Amount("difference", exclude_from_create=True),
        StringField("note", exclude_from_list=True, exclude_from_create=True),
        Moment("open_time", label="Opened", exclude_from_create=True),
        Moment("close_time", label="Closed", exclude_from_create=True),
        Rows("totals_table", label="Sold and given back"),
    )
    row_actions = ("view", "close")
    narrowing: ClassVar[Sequence[Narrowing]] = (Choice("state", "State", words_of(_State)),)

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[box_office_pb2.ListShiftsResponse]:
        """By state."""
        wanted = box_office_pb2.ListShiftsRequest(state=member(_State, narrowed["state"]))
        return Rpc(BoxOfficeServiceStub, "ListShifts", wanted)

    def get_rpc(self, name: str) -> Rpc[box_office_pb2.Shift]:
        """One shift, with its totals."""
        return Rpc(BoxOfficeServiceStub, "GetShift", box_office_pb2.GetShiftRequest(name=name))

    async def prepare(self, request: Request, messages: Sequence[box_office_pb2.Shift]) -> None:
        """What people call those whose shifts they are, and the performances."""
        names = [name for one in messages for name in (one.staff, *(part.performance for part in one.performances))]
        request.state.labels = await labels(request, names)

    async def record(self, request: Request, message: box_office_pb2.Shift) -> Record[box_office_pb2.Shift]:
        """A shift."""
        if request.state.action == RequestAction.DETAIL:
            await self.prepare(request, [message])
        known: Mapping[str, str] = getattr(request.state, "labels", {})
        return Record(
            message,
            opening="",
            staff_label=known.get(message.staff, message.staff),
            totals_table=_totals_table(message, known),
        )

    async def make(self, request: Request, data: dict[str, Any]) -> box_office_pb2.Shift:
        """Open one's own."""
        shift = box_office_pb2.Shift(till=data["till"], opening_cash=price(data["opening"] or "", "opening"))
        wanted = box_office_pb2.OpenShiftRequest(shift=shift)
        opened: box_office_pb2.Shift = await call(request, Rpc(BoxOfficeServiceStub, "OpenShift", wanted))
        return opened

    def offers(self, request: Request, name: str, record: Any) -> bool:
        """An open one can be closed."""
        return name != "close" or bool(record.proto.state == _State.OPEN)

    @row_action(
        name="close",
        text="Close",
        confirmation="Close this shift?",
        submit_btn_text="Close the shift",
        exclude_from_list=True,
        form=_close_dialog,
    )
    async def close(self, request: Request, pk: Any) -> None:
        """Count the drawer, and close it."""
        shift: box_office_pb2.Shift = await call(request, self.get_rpc(pk))
        counted = money_of(await entered(request, "counted"), shift.opening_cash.currency_code)
        wanted = box_office_pb2.CloseShiftRequest(name=pk, counted_cash=counted, note=await entered(request, "note"))
        closed: box_office_pb2.Shift = await call(request, Rpc(BoxOfficeServiceStub, "CloseShift", wanted))
        flash(request, f"The shift is closed. Difference: {amount(closed.difference)}.", "success")


class CashDue(RpcView[booking_pb2.CashDue]):
    """Who is owed cash, the longest owed first."""

    key = "cash-due"
    menu_label = "Cash to pay out"
    display_name = "customer"
    icon = "fa fa-hand-holding-dollar"
    pk_attr = "booking"
    fields = (
        Reference("booking", view="bookings", text="booking_label"),
        Reference("performance", view="performances", text="performance_label"),
        Reference("customer", view="users", text="customer_label"),
        Amount("amount"),
        Moment("due_time", label="Owed since"),
    )
    row_actions = ("pay_out",)
    narrowing: ClassVar[Sequence[Narrowing]] = (
        Named("performance", "Performance", "performances", choices.performances),
    )

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[booking_pb2.ListCashDueResponse]:
        """By performance."""
        parent = narrowed["performance"] or "performances/-"
        return Rpc(BookingServiceStub, "ListCashDue", booking_pb2.ListCashDueRequest(parent=parent))

    async def find_by_pk(self, request: Request, pk: Any) -> Any:
        """None can be read by itself: see its booking."""
        return

    async def prepare(self, request: Request, messages: Sequence[booking_pb2.CashDue]) -> None:
        """What people call the performances and customers."""
        request.state.labels = await labels(
            request, [name for one in messages for name in (performance_of(one.booking), one.customer)]
        )

    async def record(self, request: Request, message: booking_pb2.CashDue) -> Record[booking_pb2.CashDue]:
        """One booking for which cash is owed."""
        known: Mapping[str, str] = request.state.labels
        performance = performance_of(message.booking)
        return Record(
            message,
            booking_label=short(message.booking),
            performance=performance,
            performance_label=known.get(performance, performance),
            customer_label=known.get(message.customer, message.customer),
        )

    @row_action(
        name="pay_out",
        text="Pay out",
        icon_class="fa fa-hand-holding-dollar",
        confirmation="Has the customer got the money?",
        submit_btn_text="It is paid out",
        form=_pay_out_dialog,
    )
    async def pay_out(self, request: Request, pk: Any) -> None:
        """Note that it was fetched."""
        wanted = booking_pb2.PayOutCashRequest(name=pk)
        answer: booking_pb2.PayOutCashResponse = await call(request, Rpc(BookingServiceStub, "PayOutCash", wanted))
        flash(request, f"Paid out: {amount(answer.amount)}.", "success")


def _totals_table(shift: box_office_pb2.Shift, known: Mapping[str, str]) -> Table:
    """Of each performance, and of all together."""
    return Table(
        ("Performance", "Sold", "Tickets", "Cash in", "Given", "Tickets", "Refunds", "Cash out"),
        [
            [
                Cell(known.get(one.performance, one.performance) or "All together"),
                Cell(str(one.cash_bookings)),
                Cell(str(one.cash_tickets)),
                Cell(amount(one.cash_in)),
                Cell(str(one.comp_bookings)),
                Cell(str(one.comp_tickets)),
                Cell(str(one.cash_refunds)),
                Cell(amount(one.cash_out)),
            ]
            for one in (*shift.performances, shift.totals)
        ],
    )
