"""The doors: what was scanned, who came in, and making a check-in undone."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette_admin import row_action
from starlette_admin.fields import StringField
from starlette_admin.flash import flash

from console import choices
from console.calling import call
from console.columns import Flag, Moment, Reference, State, time_text
from console.forms import dialog, entered, hidden, said, words
from console.known import labels
from console.narrowing import Choice, Named, Narrowing, Words, member, words_of
from console.records import Record
from console.resources import RpcView
from console.tables import performance_of, short
from rowlock.v1 import ticket_pb2
from rowlock.v1.booking_pb2_grpc import BookingServiceStub
from rowlock_client.rpc import Rpc

_Outcome: Final = ticket_pb2.CheckIn.Outcome
_State: Final = ticket_pb2.Ticket.State


def _undo_dialog(_: Request, scan: Record[ticket_pb2.CheckIn]) -> str:
    return dialog(
        said(f"The ticket of {time_text(scan.scan_time)} is good again, as if it had not been scanned."),
        hidden("ticket", scan.ticket),
        words("reason", "Reason", required=True),
    )


class CheckIns(RpcView[ticket_pb2.CheckIn]):
    """Scans of the doors of a performance, newest first."""

    key = "check-ins"
    menu_label = "Doors"
    display_name = "scan"
    icon = "fa fa-door-open"
    fields = (
        Moment("scan_time", label="When"),
        State("outcome", label="What came of it"),
        Reference("booking", view="bookings", text="booking_label"),
        StringField("place", label="Door"),
        StringField("device"),
        Flag("offline", label="Without connection"),
        Flag("conflict"),
        StringField("remark"),
        Reference("actor", label="Who scanned", view="users", text="actor_label"),
        StringField("ticket", exclude_from_list=True),
    )
    row_actions = ("undo",)
    narrowing: ClassVar[Sequence[Narrowing]] = (
        Named("performance", "Performance", "performances", choices.performances),
        Choice("outcome", "What came of it", words_of(_Outcome)),
        Choice("only", "Only", (("conflicts", "conflicts"),)),
        Words("ticket", "Ticket", "performances/7/bookings/…/tickets/…"),
    )

    async def narrow(self, request: Request, narrowed: dict[str, str]) -> Mapping[str, str] | None:
        """A performance has to be chosen. Of that, how many have come in is told above the list."""
        performance = narrowed["performance"] or performance_of(narrowed["ticket"])
        if not performance:
            request.state.hints = [("Choose a performance.", "")]
            return None
        request.state.hints = [(await _counted(request, performance), "")]
        return {**narrowed, "performance": performance}

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[ticket_pb2.ListCheckInsResponse]:
        """By performance, outcome, ticket, and whether they are conflicts."""
        wanted = ticket_pb2.ListCheckInsRequest(
            parent=narrowed["performance"],
            outcome=member(_Outcome, narrowed["outcome"]),
            only_conflicts=bool(narrowed["only"]),
            ticket=narrowed["ticket"],
        )
        return Rpc(BookingServiceStub, "ListCheckIns", wanted)

    async def find_by_pk(self, request: Request, pk: Any) -> Any:
        """None can be read by itself."""
        return

    async def prepare(self, request: Request, messages: Sequence[ticket_pb2.CheckIn]) -> None:
        """What people call those who scanned."""
        request.state.labels = await labels(request, [one.actor for one in messages])

    async def record(self, request: Request, message: ticket_pb2.CheckIn) -> Record[ticket_pb2.CheckIn]:
        """One scan."""
        booking = message.ticket.rpartition("/tickets/")[0]
        return Record(
            message,
            booking=booking,
            booking_label=short(booking),
            remark=message.reason or _first(message),
            actor_label=request.state.labels.get(message.actor, message.actor),
        )

    def offers(self, request: Request, name: str, record: Any) -> bool:
        """Who was let in by a ticket can be sent out again."""
        return bool(record.proto.outcome == _Outcome.ADMITTED and record.ticket)

    @row_action(
        name="undo",
        text="Undo",
        icon_class="fa fa-rotate-left",
        confirmation="Make this check-in undone?",
        submit_btn_text="Undo",
        submit_btn_class="btn btn-danger",
        form=_undo_dialog,
    )
    async def undo(self, request: Request, pk: Any) -> None:
        """Make it undone; the scan stays on record."""
        wanted = ticket_pb2.UndoCheckInRequest(
            name=await entered(request, "ticket"), reason=await entered(request, "reason")
        )
        await call(request, Rpc(BookingServiceStub, "UndoCheckIn", wanted))
        flash(request, "The ticket is good again.", "success")


def _first(scan: ticket_pb2.CheckIn) -> str:
    if not scan.HasField("first_check_in_time"):
        return ""
    return f"first at {time_text(Record(scan).first_check_in_time)}, {scan.first_check_in_place}".removesuffix(", ")


async def _counted(request: Request, performance: str) -> str:
    """How many have come in, of how many."""
    valid, inside = await asyncio.gather(
        _tickets(request, performance, _State.VALID), _tickets(request, performance, _State.CHECKED_IN)
    )
    name = (await labels(request, [performance]))[performance]
    return f"{name}: {inside:,} of {valid + inside:,} have come in, {valid:,} have not."


async def _tickets(request: Request, performance: str, state: ticket_pb2.Ticket.State.ValueType) -> int:
    wanted = ticket_pb2.ListTicketsRequest(parent=f"{performance}/bookings/-", state=state, page_size=1)
    found: ticket_pb2.ListTicketsResponse = await call(request, Rpc(BookingServiceStub, "ListTickets", wanted))
    return found.total_size
