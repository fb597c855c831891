"""What is left of a performance: its places with their states, and counts of them.

Everything here is read from one snapshot of the database, so an answer that begins after a booking was
acknowledged has the booking in it, and its numbers belong together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.catalogue import Event, Performance, TicketType
from server.db.models.inventory import Inventory
from server.domain import events, ticket_types
from server.domain.rows import found
from server.domain.ticket_types import TicketTypeView
from server.domain.zone_counts import ZoneCounts
from server.seats.board import read_board
from server.seats.hall import Hall
from server.seats.halls import Halls
from server.states import EventState, PerformanceState, SeatState

_STATES: Final = tuple(SeatState)


@dataclass(frozen=True, slots=True)
class TypeAvailability:
    """A ticket type: how many can be claimed, and whether it is on sale at this moment."""

    ticket_type: TicketType
    available: int
    on_sale: bool


@dataclass(frozen=True, slots=True)
class Availability:
    """Counts of one performance as of its ``inventory.revision``; zones in the order of the seat map."""

    inventory: Inventory
    zones: Mapping[str, Mapping[SeatState, int]]
    ticket_types: Sequence[TypeAvailability]


@dataclass(frozen=True, slots=True)
class SeatFilter:
    """Which places to list; conditions add up, empty ones do not count."""

    zone: str = ""
    section: str = ""
    state: SeatState | None = None


@dataclass(frozen=True, slots=True)
class SeatPage:
    """Some places with their states as of ``revision``, how many the filter finds, and what can buy each zone."""

    hall: Hall
    revision: int
    seats: Sequence[tuple[int, SeatState]]
    total: int
    ticket_type_ids: Mapping[str, Sequence[int]]


def availability(
    session: Session, performance_id: int, *, staff: bool, halls: Halls, zone_counts: ZoneCounts
) -> Availability:
    """Count what is left of a performance. ``session`` sees one snapshot.

    Raises:
        NotFound: there is no such performance for the caller to see.
    """
    query = (
        select(Performance, Event.state, Inventory)
        .join(Event, Event.id == Performance.event_id)
        .join(Inventory, Inventory.performance_id == Performance.id)
        .where(Performance.id == performance_id)
    )
    row = session.execute(query if staff else query.where(events.readable())).one_or_none()
    performance, event_state, inventory = found(row, resources.performance(performance_id))
    hall = halls.get(session, performance.seat_map_id, performance.seat_map_version)
    zones = zone_counts.get(session, inventory, hall)
    now = database_now(session)
    on_sale = _is_on_sale(performance, event_state, now)
    types = [
        TypeAvailability(view.ticket_type, _left(view, zones), on_sale and _window_is_open(view.ticket_type, now))
        for view in ticket_types.all_of(session, performance_id)
    ]
    return Availability(inventory, zones, types)


def seats(
    session: Session,
    performance_id: int,
    chosen: SeatFilter,
    *,
    staff: bool,
    after: int | None,
    limit: int,
    halls: Halls,
) -> SeatPage:
    """Places of a performance in the order of their index. ``session`` sees one snapshot.

    Args:
        session: a transaction.
        performance_id: whose.
        chosen: which of them.
        staff: also those of drafts.
        after: the index of the last place of the page before; None: from the first on.
        limit: how many at most.
        halls: where the drawing is taken from.

    Raises:
        NotFound: there is no such performance for the caller to see.
    """
    query = select(Performance).join(Event, Event.id == Performance.event_id).where(Performance.id == performance_id)
    performance = found(
        session.scalars(query if staff else query.where(events.readable())).one_or_none(),
        resources.performance(performance_id),
    )
    hall = halls.get(session, performance.seat_map_id, performance.seat_map_version)
    board = found(read_board(session, performance_id), resources.performance(performance_id))
    matching = [
        index
        for index in _candidates(hall, chosen)
        if (chosen.state is None or board.states[index] == chosen.state)
        and (not chosen.section or hall.places[index].section == chosen.section)
    ]
    shown = [index for index in matching if after is None or index > after][:limit]
    types = [view.ticket_type for view in ticket_types.all_of(session, performance_id)]
    return SeatPage(
        hall=hall,
        revision=board.revision,
        seats=[(index, _STATES[board.states[index] - 1]) for index in shown],
        total=len(matching),
        ticket_type_ids={
            zone.name: [kind.id for kind in types if not kind.zones or zone.name in kind.zones] for zone in hall.zones
        },
    )


def _candidates(hall: Hall, chosen: SeatFilter) -> Sequence[int]:
    return hall.places_by_zone.get(chosen.zone, ()) if chosen.zone else range(len(hall))


def _left(view: TicketTypeView, zones: Mapping[str, Mapping[SeatState, int]]) -> int:
    """How many of a ticket type can be claimed: the rest of its quantity, and no more than its zones have free."""
    kind = view.ticket_type
    free = sum(counts[SeatState.AVAILABLE] for zone, counts in zones.items() if not kind.zones or zone in kind.zones)
    return free if kind.quantity is None else max(0, min(free, kind.quantity - view.claimed))


def _is_on_sale(performance: Performance, event_state: EventState, now: datetime) -> bool:
    return (
        performance.state is PerformanceState.SCHEDULED
        and event_state is EventState.PUBLISHED
        and performance.sale_start_time <= now < performance.sale_end_time
    )


def _window_is_open(kind: TicketType, now: datetime) -> bool:
    return (kind.sale_start_time is None or kind.sale_start_time <= now) and (
        kind.sale_end_time is None or now < kind.sale_end_time
    )
