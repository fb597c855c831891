"""Venues: the houses in which performances take place."""

from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from server import resources
from server.db.models.catalogue import Performance, SeatMap, Venue
from server.domain.rows import Listing, behind, changed, count, found, locked
from server.domain.time_zones import require_time_zone
from server.errors import FailedPrecondition


@dataclass(frozen=True, slots=True)
class VenueValues:
    """What staff say of a venue. ``time_zone`` is an IANA name; empty: UTC."""

    display_name: str
    address: str
    time_zone: str
    description: str


def create(session: Session, values: VenueValues) -> Venue:
    """Make a venue.

    Raises:
        InvalidArgument: the time zone does not exist.
    """
    venue = Venue()
    _set(venue, values)
    session.add(venue)
    session.flush()
    return venue


def get(session: Session, venue_id: int) -> Venue:
    """Read a venue.

    Raises:
        NotFound: there is none.
    """
    return found(session.get(Venue, venue_id), resources.venue(venue_id))


def lock(session: Session, venue_id: int, etag: str, *, delete: bool = False) -> Venue:
    """Lock a venue for a change.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
    """
    return locked(session, select(Venue).where(Venue.id == venue_id), resources.venue(venue_id), etag, key=delete)


def update(session: Session, venue: Venue, values: VenueValues) -> None:
    """Give a locked venue new values; its performances keep their time zones.

    Raises:
        InvalidArgument: the time zone does not exist.
    """
    _set(venue, values)
    changed(session, venue)


def delete(session: Session, venue_id: int, etag: str) -> None:
    """Delete a venue that has neither performances nor seat maps.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: IN_USE.
    """
    venue = lock(session, venue_id, etag, delete=True)
    seat_maps = count(session, select(SeatMap.id).where(SeatMap.venue_id == venue_id))
    performances = count(session, select(Performance.id).where(Performance.venue_id == venue_id))
    if seat_maps or performances:
        raise FailedPrecondition(
            "IN_USE",
            "the venue has seat maps or performances",
            dependants=f"{seat_maps} seat maps, {performances} performances",
        )
    session.delete(venue)


def page(session: Session, *, text: str, after: tuple[str, int] | None, limit: int) -> Listing[Venue]:
    """Venues by name, those behind ``after`` (name, id); ``text``: only where name or address contain it."""
    query = select(Venue)
    if text:
        query = query.where(
            or_(Venue.display_name.icontains(text, autoescape=True), Venue.address.icontains(text, autoescape=True))
        )
    keys = (Venue.display_name, Venue.id)
    rows = query if after is None else query.where(behind(keys, after))
    return Listing(session.scalars(rows.order_by(*keys).limit(limit)).all(), count(session, query))


def _set(venue: Venue, values: VenueValues) -> None:
    time_zone = values.time_zone or "UTC"
    require_time_zone(time_zone, "venue.time_zone")
    venue.display_name = values.display_name
    venue.address = values.address
    venue.time_zone = time_zone
    venue.description = values.description
