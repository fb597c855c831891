"""Events, performances and their places."""

from __future__ import annotations

from datetime import datetime

from rowlock.v1 import event_pb2, event_pb2_grpc, performance_pb2, seat_map_pb2, ticket_type_pb2
from rowlock_client.calls.timestamps import timestamp
from rowlock_client.rpc import Rpc

_Events = event_pb2_grpc.EventServiceStub

ANY_STATE = seat_map_pb2.SEAT_STATE_UNSPECIFIED


def events(
    *,
    text: str = "",
    category: str = "",
    venue: str = "",
    start: datetime | None = None,
    before: datetime | None = None,
    only_available: bool = False,
    page_size: int = 0,
    page_token: str = "",
) -> Rpc[event_pb2.ListEventsResponse]:
    """List events, by the time of their next performance.

    Args:
        text: words of title or description.
        category: `categories/{category}`.
        venue: `venues/{venue}`.
        start: only with a performance that begins then or later, aware.
        before: only with one that begins earlier, aware.
        only_available: only with places left.
        page_size: at most so many; 0: 50.
        page_token: of the page before.
    """
    request = event_pb2.ListEventsRequest(
        text=text,
        category=category,
        venue=venue,
        start_time_from=timestamp(start),
        start_time_before=timestamp(before),
        only_available=only_available,
        page_size=page_size,
        page_token=page_token,
    )
    return Rpc(_Events, "ListEvents", request)


def event(name: str) -> Rpc[event_pb2.Event]:
    """Read an event."""
    return Rpc(_Events, "GetEvent", event_pb2.GetEventRequest(name=name))


def performances(
    *,
    event: str = "",
    text: str = "",
    category: str = "",
    venue: str = "",
    start: datetime | None = None,
    before: datetime | None = None,
    only_available: bool = False,
    page_size: int = 0,
    page_token: str = "",
) -> Rpc[performance_pb2.ListPerformancesResponse]:
    """List performances by start time. The arguments are those of `events`, and `event`: `events/{event}`."""
    request = performance_pb2.ListPerformancesRequest(
        event=event,
        text=text,
        category=category,
        venue=venue,
        start_time_from=timestamp(start),
        start_time_before=timestamp(before),
        only_available=only_available,
        page_size=page_size,
        page_token=page_token,
    )
    return Rpc(_Events, "ListPerformances", request)


def performance(name: str) -> Rpc[performance_pb2.Performance]:
    """Read a performance with its counts of the moment."""
    return Rpc(_Events, "GetPerformance", performance_pb2.GetPerformanceRequest(name=name))


def ticket_types(performance: str) -> Rpc[ticket_type_pb2.ListTicketTypesResponse]:
    """List what can be bought, by position."""
    request = ticket_type_pb2.ListTicketTypesRequest(parent=performance, page_size=1000)
    return Rpc(_Events, "ListTicketTypes", request)


def availability(performance: str) -> Rpc[performance_pb2.GetAvailabilityResponse]:
    """Count what is left, by price zone and ticket type."""
    request = performance_pb2.GetAvailabilityRequest(performance=performance)
    return Rpc(_Events, "GetAvailability", request)


def seats(
    performance: str,
    *,
    state: seat_map_pb2.SeatState.ValueType = ANY_STATE,
    zone: str = "",
    section: str = "",
    page_size: int = 0,
    page_token: str = "",
) -> Rpc[performance_pb2.ListSeatsResponse]:
    """List places with their states and what can buy them, in the order of their index.

    Args:
        performance: `performances/{performance}`.
        state: only those in this state.
        zone: only those of this price zone, by its name.
        section: only those of this section, by its name.
        page_size: at most so many; 0: 50.
        page_token: of the page before.
    """
    request = performance_pb2.ListSeatsRequest(
        parent=performance, state=state, zone=zone, section=section, page_size=page_size, page_token=page_token
    )
    return Rpc(_Events, "ListSeats", request)


def seat_map(performance: str, *, page_token: str = "") -> Rpc[performance_pb2.GetPerformanceSeatMapResponse]:
    """Read a page of a performance's drawing, of 20,000 seats; `client.seat_map` puts the pages together."""
    request = performance_pb2.GetPerformanceSeatMapRequest(performance=performance, page_token=page_token)
    return Rpc(_Events, "GetPerformanceSeatMap", request)


def block(performance: str, *seats: str, reason: str = "") -> Rpc[performance_pb2.BlockSeatsResponse]:
    """Take free places out of the sale. Staff."""
    request = performance_pb2.BlockSeatsRequest(performance=performance, seats=seats, reason=reason)
    return Rpc(_Events, "BlockSeats", request)


def unblock(performance: str, *seats: str, reason: str = "") -> Rpc[performance_pb2.UnblockSeatsResponse]:
    """Put blocked places back on sale. Staff."""
    request = performance_pb2.UnblockSeatsRequest(performance=performance, seats=seats, reason=reason)
    return Rpc(_Events, "UnblockSeats", request)
