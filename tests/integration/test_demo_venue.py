"""The demo venue: always something on sale, however often it is loaded."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from server import clock
from server.config import Settings
from server.db.engine import Database
from server.db.models.catalogue import Performance, Venue
from server.db.models.inventory import Inventory
from server.demo_venue import EVENTS, DemoEvent, DemoVenue, load
from server.seats.seat_map_import import read

ROOT = Path(__file__).resolve().parents[2]

PERFORMANCES = sum(len(demo.in_days) for demo in EVENTS)


def loaded(database: Database) -> DemoVenue:
    return database.run_transaction(lambda session: load(session, Settings()))


def count(session: Session, table: type) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def test_it_brings_houses_of_three_kinds(fresh_database: Database) -> None:
    venue = loaded(fresh_database)
    assert venue.made == len(venue.performances) == PERFORMANCES
    totals = set(fresh_database.run_transaction(lambda session: session.scalars(select(Inventory.total)).all()))
    assert len(totals) == 3
    assert max(totals) >= 20_000


@pytest.mark.parametrize("demo", EVENTS, ids=lambda demo: demo.title)
def test_every_place_of_a_house_has_a_price(demo: DemoEvent) -> None:
    document = read((ROOT / "examples" / demo.seat_map_file).read_bytes())
    assert {zone["name"] for zone in document["zones"]} == set(demo.prices)


def test_loading_again_adds_nothing(fresh_database: Database) -> None:
    first = loaded(fresh_database)
    second = loaded(fresh_database)
    assert second.made == 0
    assert second.performances == first.performances
    assert fresh_database.run_transaction(lambda session: count(session, Venue)) == 3


def test_when_everything_is_over_new_performances_come_in_the_same_houses(fresh_database: Database) -> None:
    loaded(fresh_database)
    past = clock.now() - timedelta(days=1)
    fresh_database.run_transaction(
        lambda session: session.execute(
            update(Performance).values(sale_start_time=past - timedelta(days=9), sale_end_time=past)
        )
    )
    assert loaded(fresh_database).made == PERFORMANCES
    assert fresh_database.run_transaction(lambda session: count(session, Venue)) == 3
