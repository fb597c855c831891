"""A line that waits for the begin of the sale moves when the sale begins, though that was moved meanwhile."""

from datetime import timedelta
from uuid import uuid4

from server import clock
from server.db.engine import Database
from server.states import QueueEntryState
from tests.invariants import assert_sound
from tests.lining import DRAW, HOUR, LineDesk


def test_a_line_is_found_to_be_open_soon_after_the_sale_was_brought_forward(fresh_database: Database) -> None:
    desk = LineDesk(fresh_database)
    house = desk.house(enabled=False)
    sale = "UPDATE performances SET sale_start_time = clock_timestamp() + :later WHERE id = :id"
    desk.run(sale, later=timedelta(days=3), id=house.performance_id)
    desk.change(house, enabled=True)
    (entry,) = desk.join(house, uuid4())
    assert desk.step() is None

    desk.run(sale, later=timedelta(0), id=house.performance_id)
    desk.run(
        "UPDATE waiting_rooms SET next_admission_time = next_admission_time - interval '31s'"
        " WHERE performance_id = :id",
        id=house.performance_id,
    )  # half a minute passes

    desk.step()
    assert desk.get(entry).state is QueueEntryState.ADMITTED
    assert_sound(fresh_database)


def test_a_draw_whose_seed_was_told_is_not_drawn_by_it_again(fresh_database: Database) -> None:
    desk = LineDesk(fresh_database)
    house = desk.shut(order=DRAW)
    desk.open_now(house)
    told = desk.room(house)
    assert not told.draws_at(told.read_time), "nobody came, and the seed is published"

    desk.change(house, open_time=clock.now() + HOUR)

    again = desk.room(house)
    assert again.draws_at(again.read_time)
    assert again.seed != told.seed
