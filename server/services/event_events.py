"""EventService: events."""

from datetime import datetime
from typing import Final

from google.protobuf.empty_pb2 import Empty
from sqlalchemy.orm import Session

from rowlock.v1 import event_pb2 as pb
from server import resources
from server.domain import events
from server.domain.events import EventFilter, EventValues
from server.services.catalogue_messages import event_message
from server.services.event_cancellations import CancellationMethods
from server.services.event_parts import Context, by_staff, view_scope
from server.services.field_mask import apply, paths_of
from server.services.paging import page_of
from server.services.wire import length_in, time_in
from server.states import EventState

_WRITABLE: Final = ("title", "description", "category", "image_uris", "running_time")
DESCENDING: Final = "start_time desc"


class EventMethods(CancellationMethods):
    """The RPCs of events."""

    async def CreateEvent(self, request: pb.CreateEventRequest, context: Context) -> pb.Event:
        """Make a draft."""
        values = _values(request.event)
        return await self._once(request, pb.Event, lambda session: event_message(events.create(session, values)))

    async def GetEvent(self, request: pb.GetEventRequest, context: Context) -> pb.Event:
        """Read an event."""
        event_id = resources.parse_event(request.name)
        staff = by_staff()
        return await self._database.read(lambda session: event_message(events.get(session, event_id, staff=staff)))

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:
        """List events by the start of their next performance."""
        staff = by_staff()
        descending = request.order_by == DESCENDING
        page = page_of(request, datetime, int, scope=view_scope(staff=staff))
        chosen = _filter(request)
        found = await self._database.read(
            lambda session: events.page(
                session, chosen, staff=staff, descending=descending, after=page.after, limit=page.limit
            )
        )
        rows, next_page_token = page.cut(found.rows, key=lambda view: events.sort_key(view, descending=descending))
        return pb.ListEventsResponse(
            events=map(event_message, rows), next_page_token=next_page_token, total_size=found.total
        )

    async def UpdateEvent(self, request: pb.UpdateEventRequest, context: Context) -> pb.Event:
        """Change an event."""
        event_id = resources.parse_event(request.event.name, "event.name")
        paths = paths_of(request.update_mask, request.event, _WRITABLE)

        def work(session: Session) -> pb.Event:
            event = events.lock(session, event_id, request.event.etag)
            wanted = event_message(events.get(session, event_id, staff=True))
            apply(paths, request.event, wanted)
            events.update(session, event, _values(wanted))
            return event_message(events.get(session, event_id, staff=True))

        return await self._once(request, pb.Event, work)

    async def DeleteEvent(self, request: pb.DeleteEventRequest, context: Context) -> Empty:
        """Delete an event that has no performances."""
        event_id = resources.parse_event(request.name)

        def work(session: Session) -> Empty:
            events.delete(session, event_id, request.etag)
            return Empty()

        return await self._once(request, Empty, work)

    async def PublishEvent(self, request: pb.PublishEventRequest, context: Context) -> pb.Event:
        """Show a draft to everybody."""
        event_id = resources.parse_event(request.name)

        def work(session: Session) -> pb.Event:
            events.publish(session, event_id, request.etag)
            return event_message(events.get(session, event_id, staff=True))

        return await self._once(request, pb.Event, work)

    async def CancelEvent(self, request: pb.CancelEventRequest, context: Context) -> pb.Event:
        """Cancel an event with its performances to come; their bookings are wound up afterwards."""
        event_id = resources.parse_event(request.name)
        cancelled: list[int] = []

        def work(session: Session) -> pb.Event:
            cancelled[:] = events.cancel(session, event_id, request.etag, request.reason)
            return event_message(events.get(session, event_id, staff=True))

        answer = await self._once(request, pb.Event, work)
        self._wind_up(cancelled)
        return answer


def _values(event: pb.Event) -> EventValues:
    return EventValues(
        title=event.title,
        description=event.description,
        category_id=resources.parse_category(event.category, "event.category") if event.category else None,
        image_uris=tuple(event.image_uris),
        running_time=length_in(event, "running_time"),
    )


def _filter(request: pb.ListEventsRequest) -> EventFilter:
    return EventFilter(
        category_id=resources.parse_category(request.category, "category") if request.category else None,
        venue_id=resources.parse_venue(request.venue, "venue") if request.venue else None,
        start_time_from=time_in(request, "start_time_from"),
        start_time_before=time_in(request, "start_time_before"),
        text=request.text,
        only_available=request.only_available,
        state=EventState(request.state) if request.state else None,
    )
