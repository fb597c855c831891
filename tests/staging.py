"""Performances for tests: a small hall, on sale, without going through the services."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from server import clock
from server.db.models.catalogue import Event, Performance, SeatMap, SeatMapVersion, TicketType, Venue
from server.seats.hall import Hall
from server.seats.inventory import create_inventory
from server.states import EventState, PerformanceState


@dataclass(frozen=True)
class Staged:
    """What a test needs to know of a performance."""

    performance_id: int
    event_id: int
    venue_id: int
    seat_map_id: int
    ticket_type_ids: tuple[int, ...]
    hall: Hall


def hall_document(rows: int = 5, seats: int = 10, standing: int = 0) -> dict[str, Any]:
    """A hall with one section "Stalls" of price zone "Stalls", and a standing area of zone "Floor" where asked."""
    sections: list[dict[str, Any]] = [
        {
            "name": "Stalls",
            "rows": [
                {
                    "label": chr(ord("A") + row % 26) * (1 + row // 26),
                    "seats": [
                        {"number": str(n + 1), "zone": "Stalls", "x": 60.0 * n, "y": 90.0 * row} for n in range(seats)
                    ],
                }
                for row in range(rows)
            ],
        }
    ]
    zones = [{"name": "Stalls", "color": "#4477aa"}]
    if standing:
        zones.append({"name": "Floor", "color": "#ee6677"})
        shape = {"kind": "rectangle", "x": 0, "y": -500, "width": 600, "height": 400}
        sections.append(
            {
                "name": "Floor",
                "rows": [],
                "areas": [{"name": "Floor", "zone": "Floor", "capacity": standing, "shape": shape}],
            }
        )
    return {
        "format": "rowlock-seat-map",
        "version": 1,
        "name": "Hall",
        "size": {"width": 60.0 * seats, "height": 90.0 * rows},
        "zones": zones,
        "sections": sections,
    }


def stage(
    session: Session,
    document: Mapping[str, Any] | None = None,
    *,
    ticket_types: Sequence[Mapping[str, Any]] = ({"display_name": "Adult", "price": 2500},),
    **performance: Any,
) -> Staged:
    """Make a published event with one performance on sale in a new venue.

    Args:
        session: an open transaction.
        document: the seat map; a small one by default.
        ticket_types: columns of each ticket type; currency EUR unless said.
        performance: columns of the performance that differ from the usual.
    """
    document = dict(document or hall_document())
    hall = Hall.from_document(document)
    venue = Venue(display_name="The House", time_zone="Europe/Berlin")
    event = Event(title="A Play", state=EventState.PUBLISHED)
    session.add_all([venue, event])
    session.flush()
    seat_map = SeatMap(venue_id=venue.id, display_name="Hall")
    session.add(seat_map)
    session.flush()
    session.add(
        SeatMapVersion(seat_map_id=seat_map.id, number=1, place_count=len(hall), zones=_zones(hall), document=document)
    )
    session.flush()
    start = clock.now() + timedelta(days=30)
    columns = {
        "start_time": start,
        "time_zone": "Europe/Berlin",
        "sale_start_time": clock.now() - timedelta(days=1),
        "sale_end_time": start,
        "customer_limit": 4,
        "hold_duration": timedelta(minutes=15),
        "refund_deadline": start - timedelta(hours=3),
        "state": PerformanceState.SCHEDULED,
    } | performance
    row = Performance(event_id=event.id, venue_id=venue.id, seat_map_id=seat_map.id, seat_map_version=1, **columns)
    session.add(row)
    session.flush()
    types = [
        TicketType(performance_id=row.id, position=n, **({"currency": "EUR"} | dict(kind)))
        for n, kind in enumerate(ticket_types)
    ]
    session.add_all(types)
    session.flush()
    create_inventory(session, row.id, len(hall))
    return Staged(row.id, event.id, venue.id, seat_map.id, tuple(kind.id for kind in types), hall)


def _zones(hall: Hall) -> list[dict[str, Any]]:
    return [
        {"name": zone.name, "color": zone.color, "place_count": len(hall.places_by_zone[zone.name])}
        for zone in hall.zones
    ]
