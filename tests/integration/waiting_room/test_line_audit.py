"""Each promise of waiting rooms has a checker that finds its breach, and none that finds one where there is none."""

from uuid import uuid4

import pytest

from server.audit import audit
from server.db.engine import Database
from server.seats.commands import Admission, Claim, Hold
from server.seats.ledger import Ledger
from server.states import QueueEntryState
from tests.lining import DRAW, HOUR, LineDesk
from tests.staging import Staged


async def a_line_that_has_moved(desk: LineDesk) -> Staged:
    """Ten of thirty were admitted in two intervals, one has booked, one has left, one was too late."""
    house = desk.shut(admit_count=5, admit_interval=HOUR)
    entries = desk.join_many(house, 30)
    desk.open_now(house)
    desk.step()
    desk.next_cycle(house)
    desk.step()
    ledger = Ledger(desk.database, lambda _: None)
    await ledger.execute(
        Hold(
            performance_id=house.performance_id,
            customer_id=entries[0].customer_id,
            actor_id=entries[0].customer_id,
            claims=(Claim(3),),
            admission=Admission(entries[0].id),
        )
    )
    await ledger.close()
    desk.leave(entries[20])
    desk.run(
        "UPDATE queue_entries SET state = 5, end_time = clock_timestamp() WHERE id = :id",
        id=entries[1].id,
    )
    return house


@pytest.mark.parametrize(
    ("damage", "promise"),
    [
        ("UPDATE queue_entries SET cycle = 1 WHERE cycle = 2", "Q1"),
        ("UPDATE admission_cycles SET admitted = admitted - 1 WHERE number = 2", "Q1"),
        ("UPDATE waiting_rooms SET cycle_left = 3", "Q1"),
        ("UPDATE admission_cycles SET begin_time = begin_time - interval '1 hour' WHERE number = 2", "Q1"),
        ("UPDATE queue_entries SET place = 1 WHERE id = (SELECT max(id::text)::uuid FROM queue_entries)", "Q2"),
        (
            "UPDATE queue_entries SET place = place + 100 WHERE cycle = 1 AND state = 2",
            "Q2",
        ),
        ("UPDATE queue_entries SET state = 4, booking_id = NULL WHERE state = 3", "Q3"),
        ("UPDATE queue_entries SET customer_id = gen_random_uuid() WHERE state = 3", "Q3"),
        ("UPDATE queue_entries SET admission_expire_time = admit_time WHERE state = 3", "Q3"),
        ("DELETE FROM queue_entries WHERE state = 1 AND id = (SELECT max(id::text)::uuid FROM queue_entries)", "Q4"),
        ("UPDATE waiting_rooms SET waiting_count = waiting_count - 1", "Q4"),
        ("UPDATE waiting_rooms SET next_admission_time = NULL", "Q4"),
        ("UPDATE queue_entries SET revision = revision + 100 WHERE state = 1", "Q4"),
    ],
)
async def test_each_damage_is_found(fresh_database: Database, damage: str, promise: str) -> None:
    desk = LineDesk(fresh_database)
    await a_line_that_has_moved(desk)
    assert not audit(fresh_database)

    desk.run(damage)

    found = audit(fresh_database)
    assert any(fault.startswith(promise) for fault in found), found


async def test_a_line_that_opens_anew_with_a_draw_is_sound(database: Database) -> None:
    desk = LineDesk(database)
    house = await a_line_that_has_moved(desk)
    while desk.room(house).waiting_count:
        desk.next_cycle(house)
        desk.step()
    before = desk.room(house)

    # The same room again, for the seats that came back.
    desk.change(house, order=DRAW, open_time=before.read_time + HOUR)
    entries = desk.join(house, *(uuid4() for _ in range(20)))
    desk.open_now(house)
    desk.next_cycle(house)
    desk.step()

    after = desk.room(house)
    assert after.seed != before.seed
    states = [desk.get(entry).state for entry in sorted(entries, key=lambda entry: entry.place)]
    assert states == [QueueEntryState.ADMITTED] * 5 + [QueueEntryState.WAITING] * 15
    assert not audit(database)
