"""EventService: the catalogue and the places of each performance. One file per kind of resource.

WatchSeats is apart (``watch_seats.py``), because some processes serve nothing else.
"""

from rowlock.v1 import event_pb2_grpc
from server.services.event_categories import CategoryMethods
from server.services.event_events import EventMethods
from server.services.event_performances import PerformanceMethods
from server.services.event_seat_maps import SeatMapMethods
from server.services.event_seats import SeatMethods
from server.services.event_ticket_types import TicketTypeMethods
from server.services.event_venues import VenueMethods


class EventService(  # type: ignore[misc]  # a drawing is answered as the bytes that were kept of it
    CategoryMethods,
    VenueMethods,
    SeatMapMethods,
    EventMethods,
    PerformanceMethods,
    TicketTypeMethods,
    SeatMethods,
    event_pb2_grpc.EventServiceServicer,
):
    """The servicer; see ``EventServiceParts`` for its arguments."""
