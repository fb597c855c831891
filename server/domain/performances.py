"""Performances: the dated instances of an event, each with an inventory of its own.

Whatever changes what may be sold calls ``touch_rules`` before it looks at bookings: from then on no batch of the
seat ledger can commit by the old rules, so what is read here stays true until this transaction ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, true
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.catalogue import Event, Performance, SeatMap, SeatMapVersion, TicketType, Venue
from server.db.models.inventory import Booking, Inventory
from server.domain import events
from server.domain.allocations import move_releases
from server.domain.prices import Price, price_of
from server.domain.rows import Listing, SortKey, behind, changed, count, found, locked, referred
from server.domain.time_zones import require_time_zone
from server.errors import FailedPrecondition, InvalidArgument
from server.seats.inventory import create_inventory, delete_inventory, lock_inventory, replace_inventory
from server.seats.rules import touch_rules
from server.states import EventState, PerformanceState


@dataclass(frozen=True, slots=True)
class SaleDefaults:
    """What holds for a performance of which staff do not say otherwise; ``refund_before`` counts from its start."""

    hold_duration: timedelta
    customer_limit: int
    refund_before: timedelta


@dataclass(frozen=True, slots=True)
class PerformanceValues:
    """What staff say of a performance. None, "" and 0 stand for what is not said."""

    venue_id: int
    seat_map_id: int
    seat_map_version: int
    start_time: datetime
    end_time: datetime | None
    hall: str
    time_zone: str
    sale_start_time: datetime | None
    sale_end_time: datetime | None
    customer_limit: int
    hold_duration: timedelta | None
    refund_deadline: datetime | None


@dataclass(frozen=True, slots=True)
class PerformanceView:
    """A performance with the names and numbers that lists show of it."""

    performance: Performance
    event_title: str
    venue_display_name: str
    inventory: Inventory
    lowest_price: Price | None


@dataclass(frozen=True, slots=True)
class PerformanceFilter:
    """Which performances to list; conditions add up."""

    event_id: int | None = None
    category_id: int | None = None
    venue_id: int | None = None
    start_time_from: datetime | None = None
    start_time_before: datetime | None = None
    text: str = ""
    only_available: bool = False
    state: PerformanceState | None = None


def create(session: Session, event_id: int, values: PerformanceValues, defaults: SaleDefaults) -> PerformanceView:
    """Make a performance with every place of its seat map available.

    Raises:
        NotFound: the event, the seat map or its version.
        InvalidArgument: times that contradict each other, or a time zone that does not exist.
        FailedPrecondition: EVENT_STATE, the event was cancelled.
    """
    event = referred(session, select(Event).where(Event.id == event_id), resources.event(event_id))
    events.require_not_cancelled(event)
    version, venue = _seat_map(session, values)
    performance = Performance(event_id=event_id)
    _set(performance, values, venue, version)
    performance.sale_start_time = values.sale_start_time or min(database_now(session), performance.start_time)
    performance.sale_end_time = values.sale_end_time or performance.start_time
    performance.customer_limit = values.customer_limit or defaults.customer_limit
    performance.hold_duration = values.hold_duration or defaults.hold_duration
    performance.refund_deadline = values.refund_deadline or performance.start_time - defaults.refund_before
    _require_sound(performance)
    session.add(performance)
    session.flush()
    create_inventory(session, performance.id, version.place_count)
    return get(session, performance.id, staff=True)


def get(session: Session, performance_id: int, *, staff: bool) -> PerformanceView:
    """Read a performance.

    Raises:
        NotFound: there is none, or its event is not for the caller to see.
    """
    query = select(Performance.id).where(Performance.id == performance_id)
    if not staff:
        query = query.join(Event, Event.id == Performance.event_id).where(events.readable())
    views = _read(session, query)
    return found(views[0] if views else None, resources.performance(performance_id))


def require_readable(session: Session, performance_id: int, *, staff: bool) -> Performance:
    """The row alone, for what needs neither its counts nor its names.

    Raises:
        NotFound: there is none, or its event is not for the caller to see.
    """
    query = select(Performance).where(Performance.id == performance_id)
    if not staff:
        query = query.join(Event, Event.id == Performance.event_id).where(events.readable())
    return found(session.scalars(query).one_or_none(), resources.performance(performance_id))


def page(
    session: Session,
    chosen: PerformanceFilter,
    *,
    staff: bool,
    descending: bool,
    after: tuple[datetime, int] | None,
    limit: int,
) -> Listing[PerformanceView]:
    """Performances by start time, those behind ``after`` (start time, id).

    Others than staff get those of published events only.
    """
    query = select(Performance.id).join(Event, Event.id == Performance.event_id).where(*_conditions(chosen))
    if not staff:
        query = query.where(Event.state == EventState.PUBLISHED)
    keys: list[SortKey] = [Performance.start_time, Performance.id]
    rows = query if after is None else query.where(behind(keys, after, descending=descending))
    order = [key.desc() for key in keys] if descending else keys
    views = _read(session, rows.order_by(*order).limit(limit))
    views.sort(key=sort_key, reverse=descending)
    return Listing(views, count(session, query))


def sort_key(view: PerformanceView) -> tuple[datetime, int]:
    """Where a performance stands in the order of ``page``."""
    return view.performance.start_time, view.performance.id


def lock(session: Session, performance_id: int, etag: str, *, delete: bool = False) -> Performance:
    """Lock a performance for a change.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
    """
    query = select(Performance).where(Performance.id == performance_id)
    return locked(session, query, resources.performance(performance_id), etag, key=delete)


def update(session: Session, performance: Performance, values: PerformanceValues) -> None:
    """Give a locked performance new values. What is held keeps its time; a lower limit takes nothing away.

    Raises:
        NotFound: the seat map or its version.
        InvalidArgument: times that contradict each other, or a time zone that does not exist.
        FailedPrecondition: PERFORMANCE_STATE, it was cancelled; HAS_BOOKINGS, another seat map was wanted.
    """
    require_scheduled(performance)
    version, venue = _seat_map(session, values)
    before = (performance.seat_map_id, performance.seat_map_version)
    move_releases(session, performance.id, performance.start_time, values.start_time)
    if before == (version.seat_map_id, version.number):
        touch_rules(session, performance.id)
    else:
        lock_inventory(session, performance.id)
        if has_bookings(session, performance.id):
            raise FailedPrecondition("HAS_BOOKINGS", "the performance has bookings, so it keeps its seat map")
        _require_zones(session, performance.id, version)
        replace_inventory(session, performance.id, version.place_count)
    _set(performance, values, venue, version)
    performance.sale_start_time = values.sale_start_time or performance.sale_start_time
    performance.sale_end_time = values.sale_end_time or performance.sale_end_time
    performance.customer_limit = values.customer_limit or performance.customer_limit
    performance.hold_duration = values.hold_duration or performance.hold_duration
    performance.refund_deadline = values.refund_deadline or performance.refund_deadline
    _require_sound(performance)
    changed(session, performance)


def delete(session: Session, performance_id: int, etag: str) -> None:
    """Delete a performance that never had a booking.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: HAS_BOOKINGS.
    """
    performance = lock(session, performance_id, etag, delete=True)
    lock_inventory(session, performance_id)
    if has_bookings(session, performance_id):
        raise FailedPrecondition("HAS_BOOKINGS", "the performance has bookings; it can only be cancelled")
    delete_inventory(session, performance_id)
    session.delete(performance)


def has_bookings(session: Session, performance_id: int) -> bool:
    """Whether a performance ever had a booking, in whatever state it is now."""
    return bool(session.scalar(select(exists().where(Booking.performance_id == performance_id))))


def require_scheduled(performance: Performance) -> None:
    """Return unless the performance was cancelled, which is final.

    Raises:
        FailedPrecondition: PERFORMANCE_STATE.
    """
    if performance.state is PerformanceState.CANCELLED:
        raise FailedPrecondition("PERFORMANCE_STATE", "the performance was cancelled", state=performance.state.name)


def _seat_map(session: Session, values: PerformanceValues) -> tuple[SeatMapVersion, Venue]:
    """The wanted version of the wanted seat map (0: the newest), and its venue."""
    name = resources.seat_map(values.venue_id, values.seat_map_id)
    query = select(SeatMap).where(SeatMap.id == values.seat_map_id, SeatMap.venue_id == values.venue_id)
    seat_map = referred(session, query, name)
    number = values.seat_map_version or seat_map.current_version
    version = session.get(SeatMapVersion, (seat_map.id, number))
    venue = session.get(Venue, seat_map.venue_id)
    return found(version, f"version {number} of {name}"), found(venue, name)


def _set(performance: Performance, values: PerformanceValues, venue: Venue, version: SeatMapVersion) -> None:
    time_zone = values.time_zone or performance.time_zone or venue.time_zone
    require_time_zone(time_zone, "performance.time_zone")
    performance.venue_id = venue.id
    performance.seat_map_id = version.seat_map_id
    performance.seat_map_version = version.number
    performance.start_time = values.start_time
    performance.end_time = values.end_time
    performance.hall = values.hall
    performance.time_zone = time_zone


def _require_sound(performance: Performance) -> None:
    """Return if the times agree, those included that were said earlier."""
    if performance.end_time is not None and performance.end_time <= performance.start_time:
        raise InvalidArgument.of("performance.end_time", "must be after start_time")
    if performance.sale_end_time <= performance.sale_start_time:
        raise InvalidArgument.of("performance.sale_end_time", "must be after sale_start_time")


def _require_zones(session: Session, performance_id: int, version: SeatMapVersion) -> None:
    """Return if the seat map has every price zone that the ticket types name."""
    zones = {zone["name"] for zone in version.zones}
    named = session.scalars(select(func.unnest(TicketType.zones)).where(TicketType.performance_id == performance_id))
    missing = sorted(set(named) - zones)
    if missing:
        raise InvalidArgument.of(
            "performance.seat_map", f"has no zone {missing[0]!r}, for which there are ticket types"
        )


def _conditions(chosen: PerformanceFilter) -> Sequence[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if chosen.event_id is not None:
        conditions.append(Performance.event_id == chosen.event_id)
    if chosen.category_id is not None:
        conditions.append(Event.category_id == chosen.category_id)
    if chosen.venue_id is not None:
        conditions.append(Performance.venue_id == chosen.venue_id)
    if chosen.start_time_from is not None:
        conditions.append(Performance.start_time >= chosen.start_time_from)
    if chosen.start_time_before is not None:
        conditions.append(Performance.start_time < chosen.start_time_before)
    if chosen.text:
        conditions.append(
            or_(
                Event.title.icontains(chosen.text, autoescape=True),
                Event.description.icontains(chosen.text, autoescape=True),
            )
        )
    if chosen.state is not None:
        conditions.append(Performance.state == chosen.state)
    if chosen.only_available:
        conditions.append(Performance.state == PerformanceState.SCHEDULED)
        conditions.append(exists().where(Inventory.performance_id == Performance.id, Inventory.available > 0))
    return conditions


def _read(session: Session, ids: Select[int]) -> list[PerformanceView]:
    """The performances of ``ids``, in any order, by one statement."""
    chosen = ids.subquery()
    lowest = (
        select(TicketType.price, TicketType.currency)
        .where(TicketType.performance_id == chosen.c.id)
        .order_by(TicketType.price)
        .limit(1)
        .lateral()
    )
    query = (
        select(Performance, Event.title, Venue.display_name, Inventory, lowest.c.price, lowest.c.currency)
        .join(chosen, chosen.c.id == Performance.id)
        .join(Event, Event.id == Performance.event_id)
        .join(Venue, Venue.id == Performance.venue_id)
        .join(Inventory, Inventory.performance_id == Performance.id)
        .outerjoin(lowest, true())
        .execution_options(populate_existing=True)
    )
    return [
        PerformanceView(performance, title, venue, inventory, price_of(*price))
        for performance, title, venue, inventory, *price in session.execute(query)
    ]
