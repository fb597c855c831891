"""Lines for tests, without going through services: rooms, customers, and the steps of a worker."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CursorResult, text
from sqlalchemy.orm import Session

from server import clock
from server.db.engine import Database
from server.domain import waiting_room, waiting_room_entries
from server.domain.waiting_room import RoomValues, RoomView
from server.domain.waiting_room_admission import Moved, move_next
from server.domain.waiting_room_answers import Join, Joined
from server.domain.waiting_room_entries import Entry
from server.domain.waiting_room_joining import join_all
from server.domain.waiting_room_leaving import leave
from server.states import LineOrder, QueueEntryState
from server.waiting_room.cycle import Terms
from tests.staging import Staged, stage

HOUR = timedelta(hours=1)


@dataclass
class LineDesk:
    """Everything about lines in one database."""

    database: Database

    def house(self, *, enabled: bool = True, **values: Any) -> Staged:
        """A performance on sale with a waiting room."""
        house = self.database.run_transaction(stage)
        self.change(house, enabled=enabled, **values)
        return house

    def change(self, house: Staged, **values: Any) -> None:
        """Have staff say otherwise: fields of ``RoomValues`` and ``Terms``."""

        def work(session: Session) -> None:
            row = waiting_room.lock(session, house.performance_id, "")
            before = waiting_room.read(session, house.performance_id)
            terms = {name: values.pop(name) for name in list(values) if name in Terms.__dataclass_fields__}
            said = RoomValues(before.enabled, replace(before.terms, **terms), before.order, before.open_time)
            waiting_room.update(session, row, replace(said, **values))

        self.database.run_transaction(work)

    def shut(self, **values: Any) -> Staged:
        """A performance whose waiting room opens in an hour."""
        return self.house(open_time=clock.now() + HOUR, **values)

    def open_now(self, house: Staged) -> None:
        """Let the opening be a moment ago."""
        self.run(
            "UPDATE waiting_rooms SET open_time = clock_timestamp() - interval '1 ms', "
            "next_admission_time = clock_timestamp() WHERE performance_id = :id",
            id=house.performance_id,
        )

    def join(self, house: Staged, *customers: UUID) -> list[Entry]:
        """Put customers in line, all in one transaction."""
        joins = [Join(house.performance_id, customer) for customer in customers]
        found = self.database.run_transaction(lambda session: join_all(session, joins))
        assert all(isinstance(one, Joined) for one in found), found
        return [one.entry for one in found if isinstance(one, Joined)]

    def join_many(self, house: Staged, count: int) -> list[Entry]:
        """Put so many new customers in line, at most a thousand in a transaction."""
        customers = [uuid4() for _ in range(count)]
        return [one for at in range(0, count, 1000) for one in self.join(house, *customers[at : at + 1000])]

    def leave(self, entry: Entry) -> Entry:
        """Have a customer leave."""
        return self.database.run_transaction(
            lambda session: leave(session, entry.performance_id, entry.id, entry.customer_id)
        )

    def step(self) -> Moved | None:
        """Carry out one step that is due, as a worker does."""
        return self.database.run_transaction(lambda session: move_next(session, 500))

    def admit(self, house: Staged, *customers: UUID) -> list[Entry]:
        """Put customers in line and admit them."""
        entries = self.join(house, *customers)
        while self.step() is not None:
            pass
        found = [self.get(entry) for entry in entries]
        assert {entry.state for entry in found} == {QueueEntryState.ADMITTED}
        return found

    def next_cycle(self, house: Staged) -> None:
        """Let the running interval be over, and the next step be due."""
        self.run(
            "UPDATE waiting_rooms SET cycle_end_time = clock_timestamp() - interval '1 ms', "
            "next_admission_time = clock_timestamp() WHERE performance_id = :id",
            id=house.performance_id,
        )

    def get(self, entry: Entry) -> Entry:
        """A place in line as it is now."""
        return self.database.run_transaction(
            lambda session: waiting_room_entries.get(session, entry.performance_id, entry.id, None)
        )

    def room(self, house: Staged) -> RoomView:
        """A waiting room as it is now."""
        return self.database.run_transaction(lambda session: waiting_room.read(session, house.performance_id))

    def admitted(self, house: Staged) -> Sequence[tuple[int, UUID]]:
        """(cycle, entry) of everybody who was admitted, in order of place."""
        query = (
            "SELECT cycle, id FROM queue_entries WHERE performance_id = :id AND cycle IS NOT NULL ORDER BY cycle, place"
        )
        return [(cycle, entry) for cycle, entry in self.run(query, id=house.performance_id)]

    def run(self, statement: str, **values: Any) -> Sequence[Any]:
        """Run a statement; returns its rows."""

        def work(session: Session) -> Sequence[Any]:
            done = session.execute(text(statement), values)
            return done.all() if isinstance(done, CursorResult) and done.returns_rows else ()

        return self.database.run_transaction(work)


FIRST_COME, DRAW = LineOrder.FIRST_COME, LineOrder.DRAW
