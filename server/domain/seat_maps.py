"""Seat maps: drawings of halls, in versions that never change. A new drawing is a new version.

Performances keep the version that they were made with, and everything about their places (the index that the seat
feed speaks, the ids that requests name) rests on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from server import resources
from server.db.models.catalogue import Performance, SeatMap, SeatMapVersion, Venue
from server.domain import venues
from server.domain.rows import Listing, behind, changed, count, found, locked, referred
from server.errors import FailedPrecondition
from server.seats.hall import Hall


@dataclass(frozen=True, slots=True)
class Drawing:
    """A checked seat map document and the hall that it makes."""

    document: Mapping[str, Any]
    hall: Hall

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Drawing":
        """The drawing of a document that was checked already."""
        return cls(document, Hall.from_document(document))


@dataclass(frozen=True, slots=True)
class SeatMapView:
    """A seat map as one of its versions shows it."""

    seat_map: SeatMap
    version: SeatMapVersion


def create(session: Session, venue_id: int, display_name: str, drawing: Drawing) -> SeatMapView:
    """Make a seat map with its first version.

    Raises:
        NotFound: the venue.
    """
    referred(session, select(Venue).where(Venue.id == venue_id), resources.venue(venue_id))
    seat_map = SeatMap(venue_id=venue_id, display_name=display_name)
    session.add(seat_map)
    session.flush()
    return SeatMapView(seat_map, _add_version(session, seat_map, drawing))


def get(session: Session, venue_id: int, seat_map_id: int, number: int = 0) -> SeatMapView:
    """Read a seat map in one of its versions; 0: the newest.

    Raises:
        NotFound: there is no such seat map in this venue, or no such version.
    """
    shown = number or SeatMap.current_version
    row = session.execute(
        _with_version(shown).where(SeatMap.id == seat_map_id, SeatMap.venue_id == venue_id)
    ).one_or_none()
    return SeatMapView(*found(row, resources.seat_map(venue_id, seat_map_id)))


def lock(session: Session, venue_id: int, seat_map_id: int, etag: str, *, delete: bool = False) -> SeatMap:
    """Lock a seat map for a change.

    Raises:
        NotFound: there is no such seat map in this venue.
        Aborted: ETAG_MISMATCH.
    """
    query = select(SeatMap).where(SeatMap.id == seat_map_id, SeatMap.venue_id == venue_id)
    return locked(session, query, resources.seat_map(venue_id, seat_map_id), etag, key=delete)


def update(session: Session, seat_map: SeatMap, display_name: str, drawing: Drawing | None) -> SeatMapView:
    """Rename a locked seat map, and make a new version of it where there is a new drawing."""
    seat_map.display_name = display_name
    if drawing is not None:
        seat_map.current_version += 1
        version = _add_version(session, seat_map, drawing)
    else:
        version = get(session, seat_map.venue_id, seat_map.id).version
    changed(session, seat_map)
    return SeatMapView(seat_map, version)


def delete(session: Session, venue_id: int, seat_map_id: int, etag: str) -> None:
    """Delete a seat map with all of its versions.

    Raises:
        NotFound: there is no such seat map in this venue.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: SEAT_MAP_IN_USE.
    """
    seat_map = lock(session, venue_id, seat_map_id, etag, delete=True)
    users = count(session, select(Performance.id).where(Performance.seat_map_id == seat_map_id))
    if users:
        raise FailedPrecondition(
            "SEAT_MAP_IN_USE", f"{users} performances use this seat map", dependants=f"{users} performances"
        )
    session.delete(seat_map)


def page(session: Session, *, venue_id: int | None, after: tuple[str, int] | None, limit: int) -> Listing[SeatMapView]:
    """Seat maps of a venue (None: of all) in their newest versions by name, those behind ``after`` (name, id).

    Raises:
        NotFound: the venue.
    """
    query = _with_version(SeatMap.current_version)
    if venue_id is not None:
        venues.get(session, venue_id)
        query = query.where(SeatMap.venue_id == venue_id)
    keys = (SeatMap.display_name, SeatMap.id)
    rows = query if after is None else query.where(behind(keys, after))
    shown = [SeatMapView(*row) for row in session.execute(rows.order_by(*keys).limit(limit))]
    return Listing(shown, count(session, query.with_only_columns(SeatMap.id)))


def zone_summary(hall: Hall) -> list[dict[str, Any]]:
    """The price zones of a hall, as ``seat_map_versions.zones`` keeps them."""
    return [
        {"name": zone.name, "color": zone.color, "place_count": len(hall.places_by_zone[zone.name])}
        for zone in hall.zones
    ]


def _with_version(number: Any) -> Select[SeatMap, SeatMapVersion]:
    return select(SeatMap, SeatMapVersion).join(
        SeatMapVersion, and_(SeatMapVersion.seat_map_id == SeatMap.id, SeatMapVersion.number == number)
    )


def _add_version(session: Session, seat_map: SeatMap, drawing: Drawing) -> SeatMapVersion:
    version = SeatMapVersion(
        seat_map_id=seat_map.id,
        number=seat_map.current_version,
        place_count=len(drawing.hall),
        zones=zone_summary(drawing.hall),
        document=drawing.document,
    )
    session.add(version)
    session.flush()
    return version
