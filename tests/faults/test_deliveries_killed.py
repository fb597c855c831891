"""kill -9 of a worker between any two of its statements: a partner misses nothing, and hears nothing out of order.

What the receiver has taken and nobody wrote down comes again under the same id: that is what ids are for.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from server.db.engine import Database
from tests.invariants import assert_sound
from tests.partnering import PostOffice
from tests.receiver import Receiver, answering, receiving
from tests.staging import stage
from tests.struck_workers import Workers

pytestmark = pytest.mark.fault

BEFORE_IT_IS_SENT = [
    "changes were given positions, not committed",
    "changes were put into lanes, not committed",
    "lane was taken up",
]
AFTER_IT_WAS_TAKEN = ["receiver has answered", "delivery is written down, not committed"]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def office(database: Database) -> Iterator[PostOffice]:
    office = PostOffice(database)
    office.execute("DELETE FROM webhook_endpoints")
    yield office
    assert_sound(database)


async def tell_of_two_changes(office: PostOffice, receiver: Receiver) -> None:
    """Two changes that nobody has placed yet, for one endpoint."""
    house = office.database.run_transaction(stage)
    await office.deliverer.place()
    office.subscribe(receiver.uri)
    for name in ("A", "B"):
        office.execute(f"UPDATE performances SET hall = '{name}' WHERE id = {house.performance_id}")


def halls(receiver: Receiver) -> list[str]:
    return [arrival.message["data"]["hall"] for arrival in receiver.arrivals]


async def another_takes_over(office: PostOffice) -> None:
    """The dead worker's lease runs out, and another works."""
    office.make_due()
    await office.work()


@pytest.mark.parametrize("point", BEFORE_IT_IS_SENT)
async def test_killed_before_it_sends_another_sends_everything_once(
    office: PostOffice, receiver: Receiver, workers: Workers, point: str
) -> None:
    await tell_of_two_changes(office, receiver)

    await workers.die(point)
    assert receiver.arrivals == []
    await another_takes_over(office)

    assert halls(receiver) == ["A", "B"]


@pytest.mark.parametrize("point", AFTER_IT_WAS_TAKEN)
async def test_killed_after_it_has_sent_the_same_message_comes_again_and_nothing_is_missed(
    office: PostOffice, receiver: Receiver, workers: Workers, point: str
) -> None:
    await tell_of_two_changes(office, receiver)

    await workers.die(point)
    assert halls(receiver) == ["A"]
    await another_takes_over(office)

    assert halls(receiver) == ["A", "A", "B"]
    assert receiver.arrivals[0].id == receiver.arrivals[1].id
    assert receiver.arrivals[0].body == receiver.arrivals[1].body


async def test_killed_while_it_writes_a_failure_down_the_message_is_tried_again(
    office: PostOffice, receiver: Receiver, workers: Workers
) -> None:
    await tell_of_two_changes(office, receiver)
    receiver.answer(answering(500))

    await workers.die("failure is written down, not committed")
    receiver.answer(answering(200))
    await another_takes_over(office)

    assert halls(receiver) == ["A", "A", "B"]
    assert len({arrival.id for arrival in receiver.arrivals}) == 2
