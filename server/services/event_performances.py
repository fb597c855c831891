"""EventService: performances."""

from datetime import datetime
from typing import Final

from google.protobuf.empty_pb2 import Empty
from sqlalchemy.orm import Session

from rowlock.v1 import performance_pb2 as pb
from server import resources
from server.domain import performances
from server.domain.performances import PerformanceFilter, PerformanceValues
from server.errors import InvalidArgument
from server.services.catalogue_messages import performance_message
from server.services.event_events import DESCENDING
from server.services.event_parts import Context, EventServiceParts, by_staff, view_scope
from server.services.field_mask import apply, paths_of
from server.services.paging import page_of
from server.services.wire import length_in, time_in
from server.states import PerformanceState

_WRITABLE: Final = (
    "hall",
    "seat_map",
    "seat_map_version",
    "start_time",
    "end_time",
    "time_zone",
    "sale_start_time",
    "sale_end_time",
    "customer_limit",
    "hold_duration",
    "refund_deadline",
)


class PerformanceMethods(EventServiceParts):
    """The RPCs of performances."""

    async def CreatePerformance(self, request: pb.CreatePerformanceRequest, context: Context) -> pb.Performance:
        """Make a performance with every place available."""
        event_id = resources.parse_event(request.performance.event, "performance.event")
        values = _values(request.performance)

        def work(session: Session) -> pb.Performance:
            return performance_message(performances.create(session, event_id, values, self._defaults))

        return await self._once(request, pb.Performance, work)

    async def GetPerformance(self, request: pb.GetPerformanceRequest, context: Context) -> pb.Performance:
        """Read a performance with its counts of this moment."""
        performance_id = resources.parse_performance(request.name)
        staff = by_staff()
        return await self._database.read(
            lambda session: performance_message(performances.get(session, performance_id, staff=staff))
        )

    async def ListPerformances(
        self, request: pb.ListPerformancesRequest, context: Context
    ) -> pb.ListPerformancesResponse:
        """List performances by start time."""
        staff = by_staff()
        descending = request.order_by == DESCENDING
        page = page_of(request, datetime, int, scope=view_scope(staff=staff))
        chosen = _filter(request)
        found = await self._database.read(
            lambda session: performances.page(
                session, chosen, staff=staff, descending=descending, after=page.after, limit=page.limit
            )
        )
        rows, next_page_token = page.cut(found.rows, key=performances.sort_key)
        return pb.ListPerformancesResponse(
            performances=map(performance_message, rows), next_page_token=next_page_token, total_size=found.total
        )

    async def UpdatePerformance(self, request: pb.UpdatePerformanceRequest, context: Context) -> pb.Performance:
        """Change a performance, as far as its bookings allow."""
        performance_id = resources.parse_performance(request.performance.name, "performance.name")
        paths = paths_of(request.update_mask, request.performance, _WRITABLE)

        def work(session: Session) -> pb.Performance:
            performance = performances.lock(session, performance_id, request.performance.etag)
            wanted = performance_message(performances.get(session, performance_id, staff=True))
            apply(paths, request.performance, wanted)
            if "seat_map" in paths and "seat_map_version" not in paths:
                # The version that it had belongs to the seat map that it had.
                wanted.seat_map_version = 0
            performances.update(session, performance, _values(wanted))
            return performance_message(performances.get(session, performance_id, staff=True))

        return await self._once(request, pb.Performance, work)

    async def DeletePerformance(self, request: pb.DeletePerformanceRequest, context: Context) -> Empty:
        """Delete a performance that never had a booking."""
        performance_id = resources.parse_performance(request.name)

        def work(session: Session) -> Empty:
            performances.delete(session, performance_id, request.etag)
            return Empty()

        return await self._once(request, Empty, work)


def _values(performance: pb.Performance) -> PerformanceValues:
    venue_id, seat_map_id = resources.parse_seat_map(performance.seat_map, "performance.seat_map")
    start_time = time_in(performance, "start_time")
    if start_time is None:
        raise InvalidArgument.of("performance.start_time", "is required")
    return PerformanceValues(
        venue_id=venue_id,
        seat_map_id=seat_map_id,
        seat_map_version=performance.seat_map_version,
        start_time=start_time,
        end_time=time_in(performance, "end_time"),
        hall=performance.hall,
        time_zone=performance.time_zone,
        sale_start_time=time_in(performance, "sale_start_time"),
        sale_end_time=time_in(performance, "sale_end_time"),
        customer_limit=performance.customer_limit,
        hold_duration=length_in(performance, "hold_duration"),
        refund_deadline=time_in(performance, "refund_deadline"),
    )


def _filter(request: pb.ListPerformancesRequest) -> PerformanceFilter:
    return PerformanceFilter(
        event_id=resources.parse_event(request.event, "event") if request.event else None,
        category_id=resources.parse_category(request.category, "category") if request.category else None,
        venue_id=resources.parse_venue(request.venue, "venue") if request.venue else None,
        start_time_from=time_in(request, "start_time_from"),
        start_time_before=time_in(request, "start_time_before"),
        text=request.text,
        only_available=request.only_available,
        state=PerformanceState(request.state) if request.state else None,
    )
