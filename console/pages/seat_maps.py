"""Seat maps of the venues: read from files, drawn, in versions of which none ever changes."""

import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette_admin import link_row_action
from starlette_admin.exceptions import FormValidationError
from starlette_admin.fields import EnumField, IntegerField, StringField
from starlette_admin.flash import flash

from console import choices
from console.calling import call
from console.columns import Moment
from console.form_fields import Choosing, OpenedWith, Upload, update
from console.narrowing import Named, Narrowing, member
from console.records import Record
from console.resources import RpcView
from rowlock.v1 import seat_map_pb2
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock_client.errors import InvalidArgument, RowlockError
from rowlock_client.rpc import Rpc

FORMATS: Final = [("ROWLOCK", "Rowlock"), ("PRETIX", "pretix seating plan")]
_FAULTS: Final = 20
"""As many are shown: whoever has more mends the program that wrote the file."""
_WARNINGS: Final = 5
_WARNING_LENGTH: Final = 200
"""What is told on the next page travels in a cookie, and browsers drop large ones."""


class SeatMaps(RpcView[seat_map_pb2.SeatMap]):
    """Seat maps of one venue or of all."""

    key = "seat-maps"
    menu_label = "Seat maps"
    display_name = "seat map"
    icon = "fa fa-map"
    detail_template = "seat_map.html"
    fields = (
        StringField("name", label="Seat map", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        StringField("display_name", label="Name", maxlength=200, help_text="Empty: the name in the file."),
        Choosing("venue", view="venues", text="venue_display_name", choices=choices.venues, exclude_from_edit=True),
        Choosing(
            "replaces",
            label="New version of",
            view="seat-maps",
            choices=choices.seat_maps,
            help_text="Empty: a new seat map of the venue. Performances keep the version they have.",
            exclude_from_list=True,
            exclude_from_detail=True,
            exclude_from_edit=True,
            exclude_from_export=True,
        ),
        EnumField(
            "format",
            choices=FORMATS,
            help_text="Empty: found out.",
            exclude_from_list=True,
            exclude_from_detail=True,
            exclude_from_edit=True,
            exclude_from_export=True,
        ),
        Upload("document", label="File", accept=".json,application/json", required=True),
        IntegerField("version", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        IntegerField("place_count", label="Places", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        StringField("price_zones", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        Moment("update_time", label="Changed", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        OpenedWith(),
    )
    row_actions = ("view", "edit", "new_version", "new_performance", "delete")
    narrowing: ClassVar[tuple[Narrowing, ...]] = (Named("venue", "Venue", "venues", choices.venues),)

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[seat_map_pb2.ListSeatMapsResponse]:
        """By venue."""
        parent = narrowed["venue"] or "venues/-"
        return Rpc(EventServiceStub, "ListSeatMaps", seat_map_pb2.ListSeatMapsRequest(parent=parent))

    def get_rpc(self, name: str) -> Rpc[seat_map_pb2.SeatMap]:
        """Its newest version, without the drawing."""
        return Rpc(EventServiceStub, "GetSeatMap", seat_map_pb2.GetSeatMapRequest(name=name))

    async def prepare(self, request: Request, messages: Sequence[seat_map_pb2.SeatMap]) -> None:
        """What their venues are called."""
        request.state.venues = dict(await choices.venues(request))

    async def record(self, request: Request, message: seat_map_pb2.SeatMap) -> Record[seat_map_pb2.SeatMap]:
        """With its venue, and its price zones as people read them."""
        zones = ", ".join(f"{zone.zone} ({zone.place_count:,})" for zone in message.zones)
        venue = choices.venue_of(message.name)
        if not hasattr(request.state, "venues"):
            await self.prepare(request, [message])
        named: Mapping[str, str] = request.state.venues
        return Record(message, venue=venue, venue_display_name=named.get(venue, ""), price_zones=zones)

    async def make(self, request: Request, data: dict[str, Any]) -> seat_map_pb2.SeatMap:
        """A new one, or a new version, from a file; what the server wonders at is told."""
        venue = choices.venue_of(data["replaces"]) or data["venue"]
        if not venue:
            raise FormValidationError({"venue": "Choose the venue, or the seat map that this is a new version of."})
        wanted = seat_map_pb2.ImportSeatMapRequest(
            parent=venue,
            seat_map=data["replaces"],
            display_name=data["display_name"] or "",
            format=member(seat_map_pb2.ImportSeatMapRequest.Format, data["format"] or _format(data["document"])),
            encoding=seat_map_pb2.ImportSeatMapRequest.GZIP,
            # Without a time in it: the same file is the same request, however often it is sent.
            document=gzip.compress(data["document"], mtime=0),
        )
        try:
            done: seat_map_pb2.ImportSeatMapResponse = await call(
                request, Rpc(EventServiceStub, "ImportSeatMap", wanted)
            )
        except InvalidArgument as error:
            if error.reason != "SEAT_MAP_INVALID":
                raise
            raise FormValidationError({"document": _faults(error)}) from error
        for warning in done.warnings[:_WARNINGS]:
            flash(request, warning[:_WARNING_LENGTH], "warning")
        if len(done.warnings) > _WARNINGS:
            flash(request, f"… and {len(done.warnings) - _WARNINGS:,} more such remarks.", "warning")
        return done.seat_map

    async def change(self, request: Request, record: Any, data: dict[str, Any]) -> seat_map_pb2.SeatMap:
        """Its name."""
        return await update(
            request,
            record.proto,
            {"display_name": data["display_name"], "etag": data["etag"]},
            lambda seat_map, mask: Rpc(
                EventServiceStub,
                "UpdateSeatMap",
                seat_map_pb2.UpdateSeatMapRequest(seat_map=seat_map, update_mask=mask),
            ),
        )

    async def remove(self, request: Request, name: str) -> None:
        """Delete one that no performance uses."""
        await call(request, Rpc(EventServiceStub, "DeleteSeatMap", seat_map_pb2.DeleteSeatMapRequest(name=name)))

    @link_row_action("new_version", "New version", icon_class="fa fa-file-import", action_btn_class="btn")
    def row_action_new_version(self, request: Request, pk: Any) -> str:
        """The form that reads another drawing."""
        url = request.url_for("console:create", key="seat-maps")
        return str(url.include_query_params(replaces=pk, venue=choices.venue_of(str(pk))))

    @link_row_action("new_performance", "New performance", icon_class="fa fa-plus", action_btn_class="btn")
    def row_action_new_performance(self, request: Request, pk: Any) -> str:
        """The form for a performance in this hall."""
        return str(request.url_for("console:create", key="performances").include_query_params(seat_map=pk))


def _format(document: bytes) -> str:
    """Which format a file has: ours says so, pretix's does not."""
    try:
        read = json.loads(document)
    except (ValueError, RecursionError):
        raise FormValidationError({"document": "This file is no JSON."}) from None
    return "ROWLOCK" if isinstance(read, dict) and read.get("format") == "rowlock-seat-map" else "PRETIX"


def _faults(error: RowlockError) -> str:
    faults = [f"{fault.field}: {fault.description}" for fault in error.field_violations]
    more = f" · and {len(faults) - _FAULTS:,} more" if len(faults) > _FAULTS else ""
    return " · ".join(faults[:_FAULTS]) + more if faults else error.message
