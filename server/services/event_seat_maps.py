"""EventService: seat maps."""

import asyncio
from typing import Final

from google.protobuf.empty_pb2 import Empty
from sqlalchemy.orm import Session

from rowlock.v1 import seat_map_pb2 as pb
from server import resources
from server.domain import seat_maps, venues
from server.domain.etags import etag_of
from server.domain.seat_maps import Drawing, SeatMapView
from server.errors import InvalidArgument
from server.seats import pretix_plan, seat_map_file
from server.seats.seat_map_faults import SeatMapFileError
from server.seats.seat_map_import import unpack
from server.services.event_parts import Context, EventServiceParts
from server.services.field_mask import paths_of
from server.services.paging import page_of
from server.services.seat_map_layout import layout_message
from server.services.seat_map_request import drawing_of, refusal
from server.services.wire import timestamp

_WRITABLE: Final = ("display_name", "layout")
_ALL_VENUES: Final = "venues/-"


class SeatMapMethods(EventServiceParts):
    """The RPCs of seat maps."""

    async def CreateSeatMap(self, request: pb.CreateSeatMapRequest, context: Context) -> pb.SeatMap:
        """Make a seat map from a drawing in the request."""
        venue_id = resources.parse_venue(request.parent, "parent")
        name = request.seat_map.display_name
        drawing = await asyncio.to_thread(drawing_of, name, request.seat_map.layout)

        def work(session: Session) -> pb.SeatMap:
            return _message(seat_maps.create(session, venue_id, name, drawing))

        return await self._once(request, pb.SeatMap, work)

    async def GetSeatMap(self, request: pb.GetSeatMapRequest, context: Context) -> pb.SeatMap:
        """Read a seat map, with its drawing if asked for."""
        venue_id, seat_map_id = resources.parse_seat_map(request.name)

        def work(session: Session) -> pb.SeatMap:
            view = seat_maps.get(session, venue_id, seat_map_id, request.version)
            message = _message(view)
            if request.view == pb.SEAT_MAP_VIEW_FULL:
                message.layout.CopyFrom(layout_message(self._halls.get(session, seat_map_id, view.version.number)))
            return message

        return await self._database.read(work)

    async def ListSeatMaps(self, request: pb.ListSeatMapsRequest, context: Context) -> pb.ListSeatMapsResponse:
        """List the seat maps of a venue, or of all, by name."""
        venue_id = None if request.parent == _ALL_VENUES else resources.parse_venue(request.parent, "parent")
        page = page_of(request, str, int)
        found = await self._database.read(
            lambda session: seat_maps.page(session, venue_id=venue_id, after=page.after, limit=page.limit)
        )
        rows, next_page_token = page.cut(found.rows, key=lambda view: (view.seat_map.display_name, view.seat_map.id))
        return pb.ListSeatMapsResponse(
            seat_maps=map(_message, rows), next_page_token=next_page_token, total_size=found.total
        )

    async def UpdateSeatMap(self, request: pb.UpdateSeatMapRequest, context: Context) -> pb.SeatMap:
        """Rename a seat map, or make a new version of it by a new drawing."""
        venue_id, seat_map_id = resources.parse_seat_map(request.seat_map.name, "seat_map.name")
        paths = paths_of(request.update_mask, request.seat_map, _WRITABLE)
        drawing: Drawing | None = None
        if "layout" in paths:
            drawing = await asyncio.to_thread(drawing_of, request.seat_map.display_name or "-", request.seat_map.layout)

        def work(session: Session) -> pb.SeatMap:
            seat_map = seat_maps.lock(session, venue_id, seat_map_id, request.seat_map.etag)
            name = request.seat_map.display_name if "display_name" in paths else seat_map.display_name
            return _message(seat_maps.update(session, seat_map, name, drawing))

        return await self._once(request, pb.SeatMap, work)

    async def DeleteSeatMap(self, request: pb.DeleteSeatMapRequest, context: Context) -> Empty:
        """Delete a seat map that no performance uses."""
        venue_id, seat_map_id = resources.parse_seat_map(request.name)

        def work(session: Session) -> Empty:
            seat_maps.delete(session, venue_id, seat_map_id, request.etag)
            return Empty()

        return await self._once(request, Empty, work)

    async def ImportSeatMap(self, request: pb.ImportSeatMapRequest, context: Context) -> pb.ImportSeatMapResponse:
        """Make a seat map, or a new version of one, from a file."""
        venue_id = resources.parse_venue(request.parent, "parent")
        seat_map_id = _own_seat_map(request.seat_map, venue_id) if request.seat_map else None
        drawing = await asyncio.to_thread(_read, request)
        display_name = request.display_name or str(drawing.document["name"])
        warnings = _warnings(request, drawing)

        def work(session: Session) -> pb.ImportSeatMapResponse:
            if seat_map_id is None:
                made = seat_maps.create(session, venue_id, display_name, drawing)
            else:
                seat_map = seat_maps.lock(session, venue_id, seat_map_id, "")
                made = seat_maps.update(session, seat_map, request.display_name or seat_map.display_name, drawing)
            return pb.ImportSeatMapResponse(seat_map=_message(made), warnings=warnings)

        def check(session: Session) -> pb.ImportSeatMapResponse:
            venues.get(session, venue_id)
            version = 1
            if seat_map_id is not None:
                version = seat_maps.get(session, venue_id, seat_map_id).seat_map.current_version + 1
            message = pb.SeatMap(
                display_name=display_name,
                version=version,
                place_count=len(drawing.hall),
                zones=_zones(seat_maps.zone_summary(drawing.hall)),
            )
            return pb.ImportSeatMapResponse(seat_map=message, warnings=warnings)

        if request.validate_only:
            return await self._database.read(check)
        return await self._once(request, pb.ImportSeatMapResponse, work)


def _own_seat_map(name: str, venue_id: int) -> int:
    owner, seat_map_id = resources.parse_seat_map(name, "seat_map")
    if owner != venue_id:
        raise InvalidArgument.of("seat_map", "belongs to another venue than parent")
    return seat_map_id


def _read(request: pb.ImportSeatMapRequest) -> Drawing:
    """Unpack and check the file; takes a second or so for a large one."""
    packed = request.encoding == pb.ImportSeatMapRequest.GZIP
    read = pretix_plan.read if request.format == pb.ImportSeatMapRequest.PRETIX else seat_map_file.read
    try:
        return Drawing.of(read(unpack(request.document) if packed else request.document))
    except SeatMapFileError as error:
        raise refusal(error.faults, error.total) from None


def _warnings(request: pb.ImportSeatMapRequest, drawing: Drawing) -> list[str]:
    """What a format cannot say, and what was made of it."""
    if request.format != pb.ImportSeatMapRequest.PRETIX:
        return []
    warnings = ["A seating plan does not mark accessible places: none is marked."]
    if drawing.hall.decorations:
        warnings.append(
            f"{len(drawing.hall.decorations)} areas are only drawn: a seating plan does not say how many people fit in."
        )
    return warnings


def _message(view: SeatMapView) -> pb.SeatMap:
    """A seat map without its drawing."""
    return pb.SeatMap(
        name=resources.seat_map(view.seat_map.venue_id, view.seat_map.id),
        display_name=view.seat_map.display_name,
        version=view.version.number,
        place_count=view.version.place_count,
        zones=_zones(view.version.zones),
        etag=etag_of(view.seat_map.version),
        create_time=timestamp(view.seat_map.create_time),
        update_time=timestamp(view.seat_map.update_time),
    )


def _zones(summary: list[dict[str, object]]) -> list[pb.PriceZone]:
    return [
        pb.PriceZone(zone=str(zone["name"]), color=str(zone["color"]), place_count=int(str(zone["place_count"])))
        for zone in summary
    ]
