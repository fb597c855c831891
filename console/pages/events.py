"""Events: what is shown, as a draft, to everybody, or cancelled."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from starlette.requests import Request
from starlette_admin import link_row_action, row_action
from starlette_admin.fields import StringField, TextAreaField
from starlette_admin.flash import flash

from console import choices
from console.calling import call
from console.columns import Amount, Moment, State
from console.form_fields import Choosing, Lines, Minutes, OpenedWith, lines, minutes, plain, update
from console.forms import dialog, entered, hidden, said, words
from console.messages import fill
from console.narrowing import Choice, Named, Narrowing, Words, member, moment, words_of
from console.narrowing import Moment as Time
from console.records import Record
from console.resources import RpcView
from rowlock.v1 import event_pb2
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock_client.rpc import Rpc


def _publishing(_: Request, event: Any) -> str:
    return dialog(hidden("etag", event.etag), said(f"{event.title} is shown to everybody from now on."))


def _cancelling(_: Request, event: Any) -> str:
    return dialog(
        hidden("etag", event.etag),
        said("All its performances that have not begun are cancelled, and what was paid is paid back. No way back."),
        words("reason", "Why, for those who have tickets"),
    )


class Events(RpcView[event_pb2.Event]):
    """Events, by the time of their next performance."""

    key = "events"
    menu_label = "Events"
    display_name = "event"
    icon = "fa fa-masks-theater"
    detail_template = "event.html"
    fields = (
        StringField("name", label="Event", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        StringField("title", required=True, maxlength=200),
        State("state"),
        Choosing("category", view="categories", text="category_name", choices=choices.categories),
        TextAreaField("description", maxlength=20_000, exclude_from_list=True),
        Minutes("running_time", label="Minutes", help_text="How long one performance lasts.", min=1, max=10_080),
        Lines("image_uris", label="Pictures", help_text="https addresses, one a line.", exclude_from_list=True),
        Moment("next_start_time", label="Next", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        Amount("lowest_price", label="From"),
        OpenedWith(),
    )
    row_actions = ("view", "edit", "performances", "new_performance", "publish", "cancel", "delete")
    narrowing: ClassVar[tuple[Narrowing, ...]] = (
        Words("text", "Title or description"),
        Choice("state", "State", words_of(event_pb2.Event.State)),
        Named("category", "Category", "categories", choices.categories),
        Named("venue", "Venue", "venues", choices.venues),
        Time("start_time_from", "From (UTC)"),
        Time("start_time_before", "Before (UTC)"),
    )

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[event_pb2.ListEventsResponse]:
        """By words, state, category, venue, and when it is on."""
        wanted = event_pb2.ListEventsRequest(
            text=narrowed["text"],
            state=member(event_pb2.Event.State, narrowed["state"]),
            category=narrowed["category"],
            venue=narrowed["venue"],
            start_time_from=moment(narrowed["start_time_from"]),
            start_time_before=moment(narrowed["start_time_before"]),
        )
        return Rpc(EventServiceStub, "ListEvents", wanted)

    def get_rpc(self, name: str) -> Rpc[event_pb2.Event]:
        """One."""
        return Rpc(EventServiceStub, "GetEvent", event_pb2.GetEventRequest(name=name))

    async def prepare(self, request: Request, messages: Sequence[event_pb2.Event]) -> None:
        """What their categories are called."""
        request.state.categories = dict(await choices.categories(request))

    async def record(self, request: Request, message: event_pb2.Event) -> Record[event_pb2.Event]:
        """With what its category is called."""
        if not hasattr(request.state, "categories"):
            await self.prepare(request, [message])
        named: Mapping[str, str] = request.state.categories
        return Record(message, category_name=named.get(message.category, ""))

    def offers(self, request: Request, name: str, record: Any) -> bool:
        """By its state."""
        if name == "publish":
            return bool(record.state == "DRAFT")
        return record.state != "CANCELLED" or name not in {"cancel", "edit", "new_performance"}

    async def make(self, request: Request, data: dict[str, Any]) -> event_pb2.Event:
        """A new one, as a draft."""
        event = event_pb2.Event()
        fill(event, _values(data))
        return await call(request, Rpc(EventServiceStub, "CreateEvent", event_pb2.CreateEventRequest(event=event)))

    async def change(self, request: Request, record: Any, data: dict[str, Any]) -> event_pb2.Event:
        """What people read of it."""
        return await update(
            request,
            record.proto,
            _values(data, record.running_time),
            lambda event, mask: Rpc(
                EventServiceStub, "UpdateEvent", event_pb2.UpdateEventRequest(event=event, update_mask=mask)
            ),
        )

    async def remove(self, request: Request, name: str) -> None:
        """Delete one without performances."""
        await call(request, Rpc(EventServiceStub, "DeleteEvent", event_pb2.DeleteEventRequest(name=name)))

    @link_row_action("performances", "Performances", icon_class="fa fa-calendar", action_btn_class="btn")
    def row_action_performances(self, request: Request, pk: Any) -> str:
        """When it is on."""
        return str(request.url_for("console:list", key="performances").include_query_params(event=pk))

    @link_row_action("new_performance", "New performance", icon_class="fa fa-plus", action_btn_class="btn")
    def row_action_new_performance(self, request: Request, pk: Any) -> str:
        """The form for another one."""
        return str(request.url_for("console:create", key="performances").include_query_params(event=pk))

    @row_action(
        "publish",
        "Publish",
        confirmation="Publish this event?",
        submit_btn_text="Publish",
        submit_btn_class="btn btn-success",
        action_btn_class="btn btn-success",
        icon_class="fa fa-bullhorn",
        form=_publishing,
    )
    async def row_action_publish(self, request: Request, pk: Any) -> None:
        """Show it to everybody."""
        wanted = event_pb2.PublishEventRequest(name=pk, etag=await entered(request, "etag"))
        event: event_pb2.Event = await call(request, Rpc(EventServiceStub, "PublishEvent", wanted))
        flash(request, f"{event.title} is published.", "success")

    @row_action(
        "cancel",
        "Cancel the event",
        confirmation="Cancel this event?",
        submit_btn_text="Cancel the event",
        submit_btn_class="btn btn-danger",
        action_btn_class="btn btn-danger",
        icon_class="fa fa-ban",
        form=_cancelling,
        modal_size="md",
    )
    async def row_action_cancel(self, request: Request, pk: Any) -> None:
        """Cancel it with all that is to come."""
        wanted = event_pb2.CancelEventRequest(
            name=pk, etag=await entered(request, "etag"), reason=await entered(request, "reason")
        )
        event: event_pb2.Event = await call(request, Rpc(EventServiceStub, "CancelEvent", wanted))
        flash(request, f"{event.title} is cancelled.", "success")


def _values(data: Mapping[str, Any], before: timedelta | None = None) -> dict[str, Any]:
    found = plain(data)
    return {**found, "running_time": minutes(data["running_time"], before), "image_uris": lines(data["image_uris"])}
