"""Performances: when what is on where, and on what terms it is sold."""

from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.requests import Request
from starlette_admin import link_row_action, row_action
from starlette_admin.fields import EnumField, IntegerField, StringField
from starlette_admin.flash import flash

from console import choices
from console.calling import call
from console.columns import Amount, Reference, State
from console.form_fields import Choosing, Minutes, OpenedWith, minutes, update
from console.forms import dialog, entered, hidden, said, words
from console.known import performance_label
from console.local_times import LocalMoment, in_zone
from console.messages import fill
from console.narrowing import Choice, Named, Narrowing, Words, member, moment, words_of
from console.narrowing import Moment as Time
from console.pages.venues import ZONES
from console.records import Record
from console.resources import RpcView
from rowlock.v1 import performance_pb2, venue_pb2
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock_client.rpc import Rpc

_TIMES = ("start_time", "end_time", "sale_start_time", "sale_end_time", "refund_deadline")


def _cancelling(_: Request, performance: Any) -> str:
    return dialog(
        hidden("etag", performance.etag),
        said("Nothing is sold from now on; holds end, and what was paid is paid back. No way back."),
        words("reason", "Why, for those who have tickets"),
    )


class Performances(RpcView[performance_pb2.Performance]):
    """Performances, by when they begin."""

    key = "performances"
    menu_label = "Performances"
    display_name = "performance"
    icon = "fa fa-calendar"
    detail_template = "performance.html"
    fields = (
        StringField("name", label="Performance", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        Choosing(
            "event", view="events", text="event_title", choices=choices.events, required=True, exclude_from_edit=True
        ),
        Choosing(
            "seat_map",
            label="Seat map",
            view="seat-maps",
            choices=choices.seat_maps,
            required=True,
            exclude_from_list=True,
            help_text="The hall, as it is drawn. With bookings it stays as it is.",
        ),
        IntegerField(
            "seat_map_version",
            label="Version of the seat map",
            exclude_from_list=True,
            min=0,
            help_text="Empty: the newest.",
        ),
        Reference("venue", view="venues", text="venue_display_name"),
        StringField("hall", maxlength=100, help_text="For people, such as Hall 3."),
        EnumField(
            "time_zone",
            choices=ZONES,
            exclude_from_list=True,
            help_text="All times of this form are by the clocks of this zone. Empty: the venue's.",
        ),
        LocalMoment("start_time", label="Begins", required=True),
        LocalMoment("end_time", label="Ends", exclude_from_list=True),
        LocalMoment("sale_start_time", label="Sale begins", exclude_from_list=True, help_text="Empty: at once."),
        LocalMoment(
            "sale_end_time", label="Sale ends", exclude_from_list=True, help_text="Empty: when the performance begins."
        ),
        LocalMoment(
            "refund_deadline",
            label="Given back until",
            exclude_from_list=True,
            help_text="Until when customers may give bookings back. Empty: three hours before it begins.",
        ),
        IntegerField(
            "customer_limit", label="Places a customer", exclude_from_list=True, min=1, max=1000, help_text="Empty: 4."
        ),
        Minutes(
            "hold_duration",
            label="Minutes of a hold",
            exclude_from_list=True,
            min=1,
            max=30,
            help_text="How long somebody has to pay. Empty: 15.",
        ),
        State("state"),
        StringField(
            "taken", read_only=True, exclude_from_create=True, exclude_from_edit=True, exclude_from_detail=True
        ),
        Amount("lowest_price", label="From"),
        OpenedWith(),
    )
    row_actions = (
        "view",
        "edit",
        "hall",
        "ticket_types",
        "bookings",
        "waiting_room",
        "report",
        "cancel",
        "delete",
    )
    narrowing: ClassVar[tuple[Narrowing, ...]] = (
        Named("event", "Event", "events", choices.events),
        Named("venue", "Venue", "venues", choices.venues),
        Words("text", "Title or description"),
        Choice("state", "State", words_of(performance_pb2.Performance.State)),
        Time("start_time_from", "From (UTC)"),
        Time("start_time_before", "Before (UTC)"),
        Choice("order_by", "Order", [("start_time", "Earliest first"), ("start_time desc", "Latest first")], none=""),
    )

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[performance_pb2.ListPerformancesResponse]:
        """By event, venue, words, state and time."""
        wanted = performance_pb2.ListPerformancesRequest(
            event=narrowed["event"],
            venue=narrowed["venue"],
            text=narrowed["text"],
            state=member(performance_pb2.Performance.State, narrowed["state"]),
            start_time_from=moment(narrowed["start_time_from"]),
            start_time_before=moment(narrowed["start_time_before"]),
            order_by=narrowed["order_by"],
        )
        return Rpc(EventServiceStub, "ListPerformances", wanted)

    def get_rpc(self, name: str) -> Rpc[performance_pb2.Performance]:
        """One."""
        return Rpc(EventServiceStub, "GetPerformance", performance_pb2.GetPerformanceRequest(name=name))

    async def record(
        self, request: Request, message: performance_pb2.Performance
    ) -> Record[performance_pb2.Performance]:
        """With how much of it is taken."""
        counts = message.counts
        taken = f"{counts.total - counts.available:,} of {counts.total:,}"
        return Record(message, taken=taken, label=performance_label(message))

    def offers(self, request: Request, name: str, record: Any) -> bool:
        """By its state."""
        return name not in {"cancel", "edit"} or record.state == "SCHEDULED"

    async def make(self, request: Request, data: dict[str, Any]) -> performance_pb2.Performance:
        """A new one, with every place available."""
        zone = data["time_zone"] or await self._zone_of(request, choices.venue_of(data["seat_map"]))
        times = in_zone(data, _TIMES, zone)
        performance = performance_pb2.Performance()
        fill(performance, {**data, **times, "hold_duration": minutes(data["hold_duration"])})
        wanted = performance_pb2.CreatePerformanceRequest(performance=performance)
        return await call(request, Rpc(EventServiceStub, "CreatePerformance", wanted))

    async def change(self, request: Request, record: Any, data: dict[str, Any]) -> performance_pb2.Performance:
        """When it is, and its terms."""
        times = in_zone(data, _TIMES, data["time_zone"] or record.time_zone, record)
        held = minutes(data["hold_duration"], record.hold_duration)
        return await update(
            request,
            record.proto,
            {**data, **times, "hold_duration": held},
            lambda performance, mask: Rpc(
                EventServiceStub,
                "UpdatePerformance",
                performance_pb2.UpdatePerformanceRequest(performance=performance, update_mask=mask),
            ),
        )

    async def remove(self, request: Request, name: str) -> None:
        """Delete one that never had a booking."""
        wanted = performance_pb2.DeletePerformanceRequest(name=name)
        await call(request, Rpc(EventServiceStub, "DeletePerformance", wanted))

    async def _zone_of(self, request: Request, venue: str) -> str:
        if not venue:
            return ""
        wanted: Rpc[venue_pb2.Venue] = Rpc(EventServiceStub, "GetVenue", venue_pb2.GetVenueRequest(name=venue))
        return (await call(request, wanted)).time_zone

    @link_row_action("hall", "Hall", icon_class="fa fa-chair", action_btn_class="btn btn-primary")
    def row_action_hall(self, request: Request, pk: Any) -> str:
        """Its places, live."""
        return str(request.url_for("console:hall").include_query_params(performance=pk))

    @link_row_action("ticket_types", "Ticket types", icon_class="fa fa-tag", action_btn_class="btn")
    def row_action_ticket_types(self, request: Request, pk: Any) -> str:
        """What its places cost."""
        return str(request.url_for("console:list", key="ticket-types").include_query_params(performance=pk))

    @link_row_action("bookings", "Bookings", icon_class="fa fa-receipt", action_btn_class="btn", exclude_from_list=True)
    def row_action_bookings(self, request: Request, pk: Any) -> str:
        """Who has booked it."""
        return str(request.url_for("console:list", key="bookings").include_query_params(performance=pk))

    @link_row_action(
        "waiting_room", "Waiting room", icon_class="fa fa-people-line", action_btn_class="btn", exclude_from_list=True
    )
    def row_action_waiting_room(self, request: Request, pk: Any) -> str:
        """The line before its sale."""
        return str(request.url_for("console:detail", key="waiting-rooms").include_query_params(pk=f"{pk}/waitingRoom"))

    @link_row_action("report", "Report", icon_class="fa fa-chart-line", action_btn_class="btn", exclude_from_list=True)
    def row_action_report(self, request: Request, pk: Any) -> str:
        """What it sold."""
        return str(request.url_for("console:index").replace(path="/reports").include_query_params(performance=pk))

    @row_action(
        "cancel",
        "Cancel the performance",
        confirmation="Cancel this performance?",
        submit_btn_text="Cancel the performance",
        submit_btn_class="btn btn-danger",
        action_btn_class="btn btn-danger",
        icon_class="fa fa-ban",
        form=_cancelling,
        modal_size="md",
    )
    async def row_action_cancel(self, request: Request, pk: Any) -> None:
        """Cancel it; how far that has come is told on its page."""
        wanted = performance_pb2.CancelPerformanceRequest(
            name=pk, etag=await entered(request, "etag"), reason=await entered(request, "reason")
        )
        await call(request, Rpc(EventServiceStub, "CancelPerformance", wanted))
        flash(request, "The performance is cancelled.", "success")
