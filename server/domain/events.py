"""Events: what is shown. Drafts are for staff; a published event is seen by everybody and sold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, exists, func, or_, select, true
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.catalogue import Category, Event, Performance, TicketType
from server.db.models.inventory import Booking, Inventory
from server.domain import cancellation
from server.domain.prices import Price, price_of
from server.domain.rows import Listing, SortKey, behind, changed, count, found, locked, referred
from server.errors import FailedPrecondition
from server.seats.rules import touch_rules_of_event
from server.states import EventState, PerformanceState

_NO_START: Final = {False: datetime(9999, 1, 1, tzinfo=UTC), True: datetime(1, 1, 1, tzinfo=UTC)}
"""Stands for "no performance to come", by whether the order descends: such events come last in both orders."""


@dataclass(frozen=True, slots=True)
class EventValues:
    """What staff say of an event."""

    title: str
    description: str
    category_id: int | None
    image_uris: tuple[str, ...]
    running_time: timedelta | None


@dataclass(frozen=True, slots=True)
class EventView:
    """An event with the start of its next scheduled performance, and the lowest price of those to come."""

    event: Event
    next_start_time: datetime | None
    lowest_price: Price | None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to list. Conditions add up; venue, times and availability must hold for one performance."""

    category_id: int | None = None
    venue_id: int | None = None
    start_time_from: datetime | None = None
    start_time_before: datetime | None = None
    text: str = ""
    only_available: bool = False
    state: EventState | None = None


def readable(event: type[Event] = Event) -> ColumnElement[bool]:
    """Events that everybody may read by name: those that are published, or were until they were cancelled."""
    return or_(
        event.state == EventState.PUBLISHED,
        and_(event.state == EventState.CANCELLED, event.publish_time.is_not(None)),
    )


def create(session: Session, values: EventValues) -> EventView:
    """Make a draft.

    Raises:
        NotFound: the category.
    """
    event = Event()
    _set(session, event, values)
    session.add(event)
    session.flush()
    return EventView(event, None, None)


def get(session: Session, event_id: int, *, staff: bool) -> EventView:
    """Read an event.

    Raises:
        NotFound: there is none, or it is not for the caller to see.
    """
    query = select(Event.id).where(Event.id == event_id)
    views = _read(session, query if staff else query.where(readable()))
    return found(views[0] if views else None, resources.event(event_id))


def page(
    session: Session,
    chosen: EventFilter,
    *,
    staff: bool,
    descending: bool,
    after: tuple[datetime, int] | None,
    limit: int,
) -> Listing[EventView]:
    """Events by the start of their next performance, those behind ``after`` (see ``sort_key``).

    Others than staff get published events only.
    """
    query = select(Event.id).where(*_conditions(chosen))
    if not staff:
        query = query.where(Event.state == EventState.PUBLISHED)
    keys: list[SortKey] = [
        func.coalesce(_next_start(), _NO_START[descending]),
        Event.id,
    ]
    rows = query if after is None else query.where(behind(keys, after, descending=descending))
    order = [key.desc() for key in keys] if descending else keys
    views = _read(session, rows.order_by(*order).limit(limit))
    views.sort(key=lambda view: sort_key(view, descending=descending), reverse=descending)
    return Listing(views, count(session, query))


def sort_key(view: EventView, *, descending: bool) -> tuple[datetime, int]:
    """Where an event stands in the order of ``page``."""
    return view.next_start_time or _NO_START[descending], view.event.id


def lock(session: Session, event_id: int, etag: str, *, delete: bool = False) -> Event:
    """Lock an event for a change.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
    """
    return locked(session, select(Event).where(Event.id == event_id), resources.event(event_id), etag, key=delete)


def update(session: Session, event: Event, values: EventValues) -> None:
    """Give a locked event new values.

    Raises:
        NotFound: the category.
        FailedPrecondition: EVENT_STATE, it was cancelled.
    """
    require_not_cancelled(event)
    _set(session, event, values)
    changed(session, event)


def delete(session: Session, event_id: int, etag: str) -> None:
    """Delete an event that has no performances.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: HAS_BOOKINGS or IN_USE.
    """
    event = lock(session, event_id, etag, delete=True)
    ids = session.scalars(select(Performance.id).where(Performance.event_id == event_id)).all()
    if ids and session.scalar(select(exists().where(Booking.performance_id.in_(ids)))):
        raise FailedPrecondition("HAS_BOOKINGS", "the event has bookings; it can only be cancelled")
    if ids:
        raise FailedPrecondition(
            "IN_USE", f"the event has {len(ids)} performances", dependants=f"{len(ids)} performances"
        )
    session.delete(event)


def publish(session: Session, event_id: int, etag: str) -> None:
    """Show a draft to everybody. A published event stays as it is.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: EVENT_STATE, it was cancelled.
    """
    event = lock(session, event_id, etag)
    require_not_cancelled(event)
    if event.state is EventState.PUBLISHED:
        return
    touch_rules_of_event(session, event_id)
    event.state = EventState.PUBLISHED
    event.publish_time = database_now(session)
    changed(session, event)


def cancel(session: Session, event_id: int, etag: str, reason: str) -> Sequence[int]:
    """Cancel an event with every performance of it that has not begun. A cancelled event stays as it is.

    Returns:
        The performances that were cancelled now, to be wound up.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
    """
    event = lock(session, event_id, etag)
    if event.state is EventState.CANCELLED:
        return ()
    cancelled = cancellation.cancel_coming(session, event_id, reason)
    event.state = EventState.CANCELLED
    changed(session, event)
    return cancelled


def require_not_cancelled(event: Event) -> None:
    """Return unless the event was cancelled, which is final.

    Raises:
        FailedPrecondition: EVENT_STATE.
    """
    if event.state is EventState.CANCELLED:
        raise FailedPrecondition("EVENT_STATE", "the event was cancelled", state=event.state.name)


def _set(session: Session, event: Event, values: EventValues) -> None:
    if values.category_id is not None:
        query = select(Category).where(Category.id == values.category_id)
        referred(session, query, resources.category(values.category_id))
    event.title = values.title
    event.description = values.description
    event.category_id = values.category_id
    event.image_uris = list(values.image_uris)
    event.running_time = values.running_time


def _conditions(chosen: EventFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if chosen.category_id is not None:
        conditions.append(Event.category_id == chosen.category_id)
    if chosen.state is not None:
        conditions.append(Event.state == chosen.state)
    if chosen.text:
        conditions.append(
            or_(
                Event.title.icontains(chosen.text, autoescape=True),
                Event.description.icontains(chosen.text, autoescape=True),
            )
        )
    wanted: list[ColumnElement[bool]] = []
    if chosen.venue_id is not None:
        wanted.append(Performance.venue_id == chosen.venue_id)
    if chosen.start_time_from is not None:
        wanted.append(Performance.start_time >= chosen.start_time_from)
    if chosen.start_time_before is not None:
        wanted.append(Performance.start_time < chosen.start_time_before)
    if chosen.only_available:
        wanted.append(Performance.state == PerformanceState.SCHEDULED)
        wanted.append(exists().where(Inventory.performance_id == Performance.id, Inventory.available > 0))
    if wanted:
        conditions.append(exists().where(Performance.event_id == Event.id, *wanted))
    return conditions


def _read(session: Session, ids: Select[int]) -> list[EventView]:
    """The events of ``ids``, in any order, by one statement; prices are looked up for these only."""
    chosen = ids.add_columns(_next_start().label("next_start_time")).subquery()
    lowest = (
        select(TicketType.price, TicketType.currency)
        .join(Performance, Performance.id == TicketType.performance_id)
        .where(Performance.event_id == chosen.c.id, *_coming())
        .order_by(TicketType.price)
        .limit(1)
        .lateral()
    )
    query = (
        select(Event, chosen.c.next_start_time, lowest.c.price, lowest.c.currency)
        .join(chosen, chosen.c.id == Event.id)
        .outerjoin(lowest, true())
        .execution_options(populate_existing=True)
    )
    return [EventView(event, start, price_of(*price)) for event, start, *price in session.execute(query)]


def _next_start() -> ScalarSelect[datetime]:
    return (
        select(func.min(Performance.start_time))
        .where(Performance.event_id == Event.id, *_coming())
        .correlate(Event)
        .scalar_subquery()
    )


def _coming() -> tuple[ColumnElement[bool], ...]:
    return Performance.state == PerformanceState.SCHEDULED, Performance.start_time > func.now()
