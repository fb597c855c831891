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
from server.db.clock import database_now
from server.db.models.catalogue import (
    Category,
    Event,
    Performance,
    SeatMap,
    SeatMapVersion,
    TicketType,
    Venue,
)
from server.seats.hall import Hall
from server.seats.inventory import create_inventory
from server.seats.seat_map_import import read
from server.states import EventState, PerformanceState

CURRENCY: Final = "EUR"
# Any constant: two that load at once do it one after the other.
_LOCK: Final = 0x526F776C44


@dataclass(frozen=True)
class Show:
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


SHOWS: Final = (
    Show(
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
    Show(
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
    Show(
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
    """What is on: resource names of the performances on sale, soonest of the first show first, by event title."""

    performances: tuple[tuple[str, str], ...]
    """Pairs of resource name and title."""
    made: int
    """How many of them are new."""


def load(session: Session) -> DemoVenue:
    """Make the houses and their performances, unless they are there.

    Raises:
        FileNotFoundError: the seat maps of the examples were not installed.
    """
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    performances: list[tuple[str, str]] = []
    made = 0
    for show in SHOWS:
        event = _event(session, show)
        on_sale = _on_sale(session, event)
        if not on_sale:
            on_sale = _perform(session, show, event)
            made += len(on_sale)
        performances += [(resources.performance(number), show.title) for number in on_sale]
    return DemoVenue(tuple(performances), made)


def _event(session: Session, show: Show) -> Event:
    found = session.scalar(select(Event).where(Event.title == show.title).order_by(Event.id).limit(1))
    if found is not None:
        return found
    category = session.scalar(select(Category).where(Category.display_name == show.category))
    if category is None:
        category = Category(display_name=show.category)
        session.add(category)
        session.flush()
    event = Event(
        title=show.title,
        description=show.description,
        category_id=category.id,
        running_time=show.running_time,
        state=EventState.PUBLISHED,
    )
    session.add(event)
    session.flush()
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


def _perform(session: Session, show: Show, event: Event) -> list[int]:
    """Put the show's performances on sale, counted from today."""
    venue, seat_map, hall = _house(session, show)
    now = database_now(session)
    made = []
    for days in show.in_days:
        start = datetime.combine(now.date() + timedelta(days=days), show.at)
        performance = Performance(
            event_id=event.id,
            venue_id=venue.id,
            hall=seat_map.display_name,
            seat_map_id=seat_map.id,
            seat_map_version=seat_map.current_version,
            start_time=start,
            end_time=start + show.running_time,
            time_zone=venue.time_zone,
            sale_start_time=now - timedelta(minutes=1),
            sale_end_time=start,
            customer_limit=4,
            hold_duration=timedelta(minutes=15),
            refund_deadline=start - timedelta(hours=3),
            state=PerformanceState.SCHEDULED,
        )
        session.add(performance)
        session.flush()
        session.add_all(_ticket_types(show, performance.id))
        create_inventory(session, performance.id, len(hall))
        made.append(performance.id)
    return made


def _ticket_types(show: Show, performance_id: int) -> list[TicketType]:
    """A full price for each zone, and half of it for students where there is one."""
    types = []
    for zone, price in show.prices.items():
        types.append((zone, price, zone))
        if show.reduced:
            types.append((f"{zone}, reduced", price // 2, zone))
    return [
        TicketType(
            performance_id=performance_id,
            display_name=name,
            price=price,
            currency=CURRENCY,
            zones=[zone],
            position=position,
        )
        for position, (name, price, zone) in enumerate(types)
    ]


def _house(session: Session, show: Show) -> tuple[Venue, SeatMap, Hall]:
    """The venue of a show with its seat map, made if absent."""
    venue = session.scalar(select(Venue).where(Venue.display_name == show.venue).order_by(Venue.id).limit(1))
    if venue is None:
        venue = Venue(display_name=show.venue, address=show.address, time_zone="Europe/London")
        session.add(venue)
        session.flush()
    seat_map = session.scalar(select(SeatMap).where(SeatMap.venue_id == venue.id).order_by(SeatMap.id).limit(1))
    if seat_map is not None:
        version = session.get_one(SeatMapVersion, (seat_map.id, seat_map.current_version))
        return venue, seat_map, Hall.from_document(version.document)
    document = read((_examples() / show.seat_map_file).read_bytes())
    hall = Hall.from_document(document)
    seat_map = SeatMap(venue_id=venue.id, display_name=str(document["name"]))
    session.add(seat_map)
    session.flush()
    session.add(SeatMapVersion(seat_map_id=seat_map.id, number=1, place_count=len(hall), document=document))
    session.flush()
    return venue, seat_map, hall


def _examples() -> Path:
    """The seat maps of the examples: beside the code in a checkout, within the package once installed."""
    installed = Path(__file__).parent / "examples"
    return installed if installed.exists() else Path(__file__).parent.parent / "examples"
