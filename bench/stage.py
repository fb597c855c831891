"""What a scenario plays on: real servers, a hall, performances on sale, customers with their tokens."""

import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from bench.generator import Chain, write_tokens
from bench.machine import ROOT, describe_postgres
from bench.programs import Program, free_port, running
from rowlock.v1 import booking_pb2
from server import clock, resources
from server.config import variable_name
from server.db.engine import Database
from server.db.ids import new_id
from server.db.migrate import upgrade
from server.db.models.accounts import User
from server.domain import events, performances, seat_maps, ticket_types, venues
from server.domain.signing_keys import shared_keys
from server.domain.tokens import Tokens
from server.embedded import PostgresServer, ValkeyServer
from server.seats.hall import FORMAT, VERSION, Hall
from server.states import Role

CREATE_BOOKING: Final = "/rowlock.v1.BookingService/CreateBooking"
WATCH_SEATS: Final = "/rowlock.v1.EventService/WatchSeats"
NO_LIMIT: Final = 1_000_000
_DEFAULTS: Final = performances.SaleDefaults(timedelta(minutes=15), NO_LIMIT, timedelta(hours=3))


@dataclass(frozen=True)
class Staged:
    """A performance on sale."""

    id: int
    hall: Hall
    ticket_type_id: int


class Stage:
    """Servers of this run, in a folder of its own; the database is empty at first.

    Args:
        folder: for the servers' data and logs; made anew.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = PostgresServer(folder / "postgres")
        self.valkey = ValkeyServer(folder / "valkey")
        self.database_url = ""
        self.database: Database
        self._seat_maps: dict[str, tuple[int, int, Hall]] = {}

    @contextmanager
    def open(self) -> Iterator["Stage"]:
        """Start the servers and migrate the database, for as long as the block lasts."""
        self.postgres.start()
        try:
            self.valkey.start()
            self.postgres.create_database("bench")
            self.database_url = self.postgres.url("bench")
            upgrade(self.database_url)
            self.database = Database(self.database_url, threads=4)
            yield self
            self.database.close()
        finally:
            self.valkey.stop()
            self.postgres.stop()

    def describe(self) -> dict[str, str]:
        """The database, as it says of itself."""
        return describe_postgres(self.postgres)

    @contextmanager
    def rowlock(self, command: str = "serve", name: str = "", **settings: object) -> Iterator[Program]:
        """One process of Rowlock with the settings of production, but no limit on the rate of calls that is met.

        Args:
            command: `serve` or `worker`, …
            name: also of its log; the command's if empty.
            settings: fields of `Settings` that differ.
        """
        chosen = {
            "database_url": self.database_url,
            "redis_url": self.valkey.url(),
            "data_dir": self.folder / "data",
            "grpc_address": "{address}",
            "admin_address": f"127.0.0.1:{free_port()}",
            "metrics_address": f"127.0.0.1:{free_port()}",
            "log_format": "json",
            # Both limits are looked at for each call, and never reached.
            "rate_limit_account": f"{NO_LIMIT}/second",
            "rate_limit_address": f"{NO_LIMIT}/second",
            **settings,
        }
        environment = {variable_name(key): str(value) for key, value in chosen.items()}
        program = Program(
            name or command, self.folder, ["-m", "server.cli", command], environment, listens=command == "serve"
        )
        with running(program):
            yield program

    def performance(self, document: Mapping[str, Any], **changed: Any) -> Staged:
        """Put a performance on sale in the hall of a seat map document; `changed` are values that differ."""
        return self.database.run_transaction(lambda session: self._stage(session, document, changed))

    def customers(self, count: int, *, role: Role = Role.CUSTOMER) -> tuple[list[UUID], Path]:
        """Make accounts; returns their ids and a file of their tokens, which hold for a day."""
        ids = [new_id() for _ in range(count)]

        def make(session: Session) -> list[str]:
            session.add_all(
                User(
                    id=one,
                    email=f"{one}@example.org",
                    email_key=f"{one}@example.org",
                    display_name="Customer",
                    password_hash="-",
                    role=role,
                    email_verify_time=clock.now(),
                )
                for one in ids
            )
            keys = shared_keys(session)
            tokens = Tokens(keys, issuer="https://rowlock.dev", audience="rowlock", ttl=timedelta(days=1))
            return [tokens.issue(one, role, session_id=uuid4()).text for one in ids]

        found = self.database.run_transaction(make)
        return ids, write_tokens(self.folder / f"tokens-{role.name}-{count}", found)

    def counts(self, performance_id: int) -> dict[str, int]:
        """The inventory's row, after comparing it with the seats themselves.

        Raises:
            RuntimeError: they differ, or a booking and its seats do.
        """
        return self.database.run_transaction(lambda session: _counts(session, performance_id))

    def _stage(self, session: Session, document: Mapping[str, Any], changed: Mapping[str, Any]) -> Staged:
        venue_id, seat_map_id, hall = self._seat_map(session, document)
        event = events.create(session, events.EventValues(document["name"], "", None, (), None)).event
        events.publish(session, event.id, "")
        values = performances.PerformanceValues(
            venue_id=venue_id,
            seat_map_id=seat_map_id,
            seat_map_version=1,
            start_time=clock.now() + timedelta(days=30),
            end_time=None,
            hall="",
            time_zone="",
            sale_start_time=None,
            sale_end_time=None,
            customer_limit=0,
            hold_duration=None,
            refund_deadline=None,
        )
        made = performances.create(session, event.id, replace(values, **changed), _DEFAULTS).performance
        price = ticket_types.TicketTypeValues(
            display_name="Adult",
            description="",
            price=2500,
            currency="EUR",
            zones=(),
            quantity=None,
            sale_start_time=None,
            sale_end_time=None,
            customer_limit=None,
            position=0,
        )
        kind = ticket_types.create(session, made.id, price).ticket_type
        return Staged(made.id, hall, kind.id)

    def _seat_map(self, session: Session, document: Mapping[str, Any]) -> tuple[int, int, Hall]:
        name = document["name"]
        if name not in self._seat_maps:
            venue = venues.create(session, venues.VenueValues(name, "", "UTC", ""))
            drawing = seat_maps.Drawing.of(dict(document))
            seat_map = seat_maps.create(session, venue.id, name, drawing).seat_map
            self._seat_maps[name] = (venue.id, seat_map.id, drawing.hall)
        return self._seat_maps[name]


@contextmanager
def open_stage(name: str) -> Iterator[Stage]:
    """A stage under `.rowlock/bench`, removed afterwards, but for its logs."""
    folder = ROOT / ".rowlock" / "bench" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for one in (folder, *folder.parents[:2]):
        one.chmod(0o711)  # PostgreSQL may run as a user of its own
    stage = Stage(folder)
    with stage.open():
        yield stage
    for one in {stage.postgres.folder, folder / "postgres", folder / "valkey"}:
        shutil.rmtree(one, ignore_errors=True)


def hall_document(places: int, *, row: int = 50, rows_per_section: int = 20) -> dict[str, Any]:
    """A hall of numbered seats, all in one price zone."""
    rows, per_section = places // row, rows_per_section
    sections = [
        {
            "name": f"S{first // per_section + 1}",
            "rows": [
                {
                    "label": str(number - first + 1),
                    "zone": "All",
                    "numbers": f"1-{row}",
                    "line": {"x": 0.0, "y": 90.0 * number, "spacing": 50, "angle": 0},
                }
                for number in range(first, min(first + per_section, rows))
            ],
        }
        for first in range(0, rows, per_section)
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": f"Hall of {places}",
        "size": {"width": 50.0 * row, "height": 90.0 * rows},
        "focus": {"x": 25.0 * row, "y": 0},
        "zones": [{"name": "All", "color": "#4477aa"}],
        "sections": sections,
    }


def random_holds(performance: Staged, customers: int) -> list[Chain]:
    """A hold for each two places of the hall, at random, so that each finds them free; customers take turns."""
    parent = resources.performance(performance.id)
    ids = [place.id for place in performance.hall.places]
    random.shuffle(ids)
    holds: list[Chain] = []
    for number, seats in enumerate(zip(ids[::2], ids[1::2], strict=True)):
        claims = [booking_pb2.SeatClaim(seat=one) for one in seats]
        request = booking_pb2.CreateBookingRequest(parent=parent, seats=claims, request_id=str(uuid4()))
        holds.append((number % customers, [request.SerializeToString()]))
    return holds


def _counts(session: Session, performance_id: int) -> dict[str, int]:
    wanted = {"id": performance_id}
    kept = session.execute(text("SELECT * FROM inventories WHERE performance_id = :id"), wanted).mappings().one()
    seats = text("SELECT state, count(*) FROM seats WHERE performance_id = :id GROUP BY state")
    counted = {int(state): int(count) for state, count in session.execute(seats, wanted)}
    for state, name in ((1, "available"), (2, "held"), (3, "sold"), (4, "blocked")):
        if counted.get(state, 0) != kept[name]:
            raise RuntimeError(f"{name}: {kept[name]} in the inventory, {counted.get(state, 0)} seats")
    # Oversold: a place that two live bookings claim, whatever the seats say.
    twice = text(
        "SELECT count(*) FROM (SELECT place FROM bookings, unnest(places) place WHERE performance_id = :id "
        "AND state IN (1, 2) GROUP BY place HAVING count(*) > 1) claimed"
    )
    return {**{key: int(value) for key, value in kept.items()}, "oversold": int(session.scalar(twice, wanted) or 0)}
