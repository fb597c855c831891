"""Something to book in: three houses, each with performances on sale, for trying Rowlock.

Loading again adds only what has passed since: there is always something on sale in the coming weeks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server import resources
from server.config import Settings
from server.db.clock import database_now
from server.db.models.catalogue import Category, Event, Performance, SeatMap, Venue
from server.domain import categories, events, performances, seat_maps, ticket_types, venues
from server.seats.seat_map_import import read
from server.states import PerformanceState

CURRENCY: Final = "EUR"
# Any constant: two that load at once do it one after the other.
_LOCK: Final = 0x526F776C44


@dataclass(frozen=True)
class DemoEvent:
    """One event of the demo venue: what, where, when, for how much (minor units by price zone)."""

    category: str
    title: str
    description: str
    venue: str
    address: str
    seat_map_file: str
    running_time: timedelta
    in_days: tuple[int, ...]
    at: time
    prices: Mapping[str, int]
    reduced: bool = True


EVENTS: Final = (
    DemoEvent(
        category="Theatre",
        title="The Tempest",
        description="An island, a storm, and a duke who has had enough of books.",
        venue="Theatre Royal",
        address="1 Playhouse Lane",
        seat_map_file="theatre.json",
        running_time=timedelta(minutes=150),
        in_days=(7, 8, 9),
        at=time(19, 30, tzinfo=UTC),
        prices={
            "Premium": 8500,
            "Stalls": 6200,
            "Circle": 5400,
            "Balcony": 3200,
            "Box": 7000,
            "Restricted view": 1800,
        },
    ),
    DemoEvent(
        category="Film",
        title="Metropolis",
        description="The restored film of 1927, with live piano.",
        venue="Cinema Aurora",
        address="12 Station Road",
        seat_map_file="cinema.json",
        running_time=timedelta(minutes=153),
        in_days=(3, 4),
        at=time(20, 15, tzinfo=UTC),
        prices={"Front": 900, "Standard": 1200, "Premium": 1500, "Love seats": 3200},
    ),
    DemoEvent(
        category="Concert",
        title="Northern Lights",
        description="Two stages, one night, twenty thousand voices.",
        venue="Northgate Arena",
        address="Northgate 1",
        seat_map_file="arena.json",
        running_time=timedelta(minutes=180),
        in_days=(21,),
        at=time(19, 0, tzinfo=UTC),
        prices={
            "Front standing": 9500,
            "Standing": 7500,
            "Gold": 11000,
            "Silver": 8500,
            "Bronze": 6500,
            "Upper": 4500,
        },
        reduced=False,
    ),
)


@dataclass(frozen=True)
class DemoVenue:
    """What is on: resource names of the performances on sale, soonest of the first event first, by event title."""

    performances: tuple[tuple[str, str], ...]
    """Pairs of resource name and title."""
    made: int
    """How many of them are new."""


def load(session: Session, settings: Settings) -> DemoVenue:
    """Make the houses and their performances, unless they are there.

    Args:
        session: an open transaction.
        settings: the limit, the hold time and the refund deadline of the performances.

    Raises:
        FileNotFoundError: the seat maps of the examples were not installed.
    """
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    on_sale: list[tuple[str, str]] = []
    made = 0
    for demo in EVENTS:
        event = _event(session, demo)
        numbers = _on_sale(session, event)
        if not numbers:
            numbers = _perform(session, demo, event, settings)
            made += len(numbers)
        on_sale += [(resources.performance(number), demo.title) for number in numbers]
    return DemoVenue(tuple(on_sale), made)


def _event(session: Session, demo: DemoEvent) -> Event:
    found = session.scalar(select(Event).where(Event.title == demo.title).order_by(Event.id).limit(1))
    if found is not None:
        return found
    category = session.scalar(select(Category).where(Category.display_name == demo.category))
    if category is None:
        category = categories.create(session, categories.CategoryValues(demo.category, ""))
    values = events.EventValues(demo.title, demo.description, category.id, (), demo.running_time)
    event = events.create(session, values).event
    events.publish(session, event.id, "")
    return event


def _on_sale(session: Session, event: Event) -> list[int]:
    now = database_now(session)
    return list(
        session.scalars(
            select(Performance.id)
            .where(
                Performance.event_id == event.id,
                Performance.sale_end_time > now,
                Performance.state == PerformanceState.SCHEDULED,
            )
            .order_by(Performance.start_time, Performance.id)
        )
    )


def _perform(session: Session, demo: DemoEvent, event: Event, settings: Settings) -> list[int]:
    """Put the performances of a demo event on sale, counted from today."""
    venue = _house(session, demo)
    seat_map = _seat_map(session, venue, demo)
    defaults = performances.SaleDefaults(settings.hold_duration, settings.customer_limit, settings.refund_deadline)
    today = database_now(session).date()
    made = []
    for days in demo.in_days:
        start = datetime.combine(today + timedelta(days=days), demo.at)
        values = performances.PerformanceValues(
            venue_id=venue.id,
            seat_map_id=seat_map.id,
            seat_map_version=seat_map.current_version,
            start_time=start,
            end_time=start + demo.running_time,
            hall=seat_map.display_name.removeprefix(f"{venue.display_name}, "),
            time_zone="",
            sale_start_time=None,
            sale_end_time=None,
            customer_limit=0,
            hold_duration=None,
            refund_deadline=None,
        )
        number = performances.create(session, event.id, values, defaults).performance.id
        _add_ticket_types(session, demo, number)
        made.append(number)
    return made


def _add_ticket_types(session: Session, demo: DemoEvent, performance_id: int) -> None:
    """A full price for each zone, and half of it for students where there is one."""
    types = []
    for zone, price in demo.prices.items():
        types.append((zone, price, zone))
        if demo.reduced:
            types.append((f"{zone}, reduced", price // 2, zone))
    for position, (name, price, zone) in enumerate(types):
        values = ticket_types.TicketTypeValues(
            display_name=name,
            description="",
            price=price,
            currency=CURRENCY,
            zones=(zone,),
            quantity=None,
            sale_start_time=None,
            sale_end_time=None,
            customer_limit=None,
            position=position,
        )
        ticket_types.create(session, performance_id, values)


def _house(session: Session, demo: DemoEvent) -> Venue:
    """The venue of a demo event, made if absent."""
    found = session.scalar(select(Venue).where(Venue.display_name == demo.venue).order_by(Venue.id).limit(1))
    return found or venues.create(session, venues.VenueValues(demo.venue, demo.address, "Europe/London", ""))


def _seat_map(session: Session, venue: Venue, demo: DemoEvent) -> SeatMap:
    """The seat map of its venue, imported if absent."""
    found = session.scalar(select(SeatMap).where(SeatMap.venue_id == venue.id).order_by(SeatMap.id).limit(1))
    if found is not None:
        return found
    drawing = seat_maps.Drawing.of(read((_examples() / demo.seat_map_file).read_bytes()))
    return seat_maps.create(session, venue.id, str(drawing.document["name"]), drawing).seat_map


def _examples() -> Path:
    """The seat maps of the examples: beside the code in a checkout, within the package once installed."""
    installed = Path(__file__).parent / "examples"
    return installed if installed.exists() else Path(__file__).parent.parent / "examples"
