"""Venues."""

from collections.abc import Mapping
from typing import Any, ClassVar
from zoneinfo import available_timezones

from starlette.requests import Request
from starlette_admin import link_row_action
from starlette_admin.fields import EnumField, StringField, TextAreaField

from console.calling import call
from console.columns import Moment
from console.form_fields import OpenedWith, plain, update
from console.messages import fill
from console.narrowing import Narrowing, Words
from console.resources import RpcView
from rowlock.v1 import venue_pb2
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock_client.rpc import Rpc

ZONES = sorted(available_timezones())


class Venues(RpcView[venue_pb2.Venue]):
    """All venues, by name."""

    key = "venues"
    menu_label = "Venues"
    display_name = "venue"
    icon = "fa fa-building"
    fields = (
        StringField("name", label="Venue", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        StringField("display_name", label="Name", required=True, maxlength=200),
        StringField("address", maxlength=500),
        EnumField("time_zone", choices=ZONES, help_text="In which its performances are shown. Empty: UTC."),
        TextAreaField("description", maxlength=4000, exclude_from_list=True),
        Moment("update_time", label="Changed", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        OpenedWith(),
    )
    row_actions = ("view", "edit", "seat_maps", "performances", "delete")
    narrowing: ClassVar[tuple[Narrowing, ...]] = (Words("text", "Name or address"),)

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[venue_pb2.ListVenuesResponse]:
        """By words in them."""
        return Rpc(EventServiceStub, "ListVenues", venue_pb2.ListVenuesRequest(text=narrowed["text"]))

    def get_rpc(self, name: str) -> Rpc[venue_pb2.Venue]:
        """One."""
        return Rpc(EventServiceStub, "GetVenue", venue_pb2.GetVenueRequest(name=name))

    async def make(self, request: Request, data: dict[str, Any]) -> venue_pb2.Venue:
        """A new one."""
        venue = venue_pb2.Venue()
        fill(venue, plain(data))
        return await call(request, Rpc(EventServiceStub, "CreateVenue", venue_pb2.CreateVenueRequest(venue=venue)))

    async def change(self, request: Request, record: Any, data: dict[str, Any]) -> venue_pb2.Venue:
        """What people read of it."""
        return await update(
            request,
            record.proto,
            data,
            lambda venue, mask: Rpc(
                EventServiceStub, "UpdateVenue", venue_pb2.UpdateVenueRequest(venue=venue, update_mask=mask)
            ),
        )

    async def remove(self, request: Request, name: str) -> None:
        """Delete one without performances and seat maps."""
        await call(request, Rpc(EventServiceStub, "DeleteVenue", venue_pb2.DeleteVenueRequest(name=name)))

    @link_row_action("seat_maps", "Seat maps", icon_class="fa fa-map", action_btn_class="btn")
    def row_action_seat_maps(self, request: Request, pk: Any) -> str:
        """Its halls."""
        return str(request.url_for("console:list", key="seat-maps").include_query_params(venue=pk))

    @link_row_action("performances", "Performances", icon_class="fa fa-calendar", action_btn_class="btn")
    def row_action_performances(self, request: Request, pk: Any) -> str:
        """What is on there."""
        return str(request.url_for("console:list", key="performances").include_query_params(venue=pk))
