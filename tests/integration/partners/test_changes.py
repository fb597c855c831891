"""The log of changes: everything that happens is in it, once, in order, and no reader misses what commits late."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg2
import pytest
from google.protobuf.json_format import ParseDict
from sqlalchemy import text
from sqlalchemy.engine import make_url

from rowlock.v1 import booking_pb2, payment_pb2, performance_pb2, ticket_pb2
from server.db.engine import Database
from server.domain import changes
from server.domain.changes import Sight
from server.errors import FailedPrecondition, InvalidArgument
from server.partners.snapshots import snapshot, type_of
from server.seats.halls import Halls
from server.states import ChangeKind
from tests.invariants import assert_sound
from tests.partnering import PostOffice
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage

MESSAGES = {
    ChangeKind.BOOKING: booking_pb2.Booking,
    ChangeKind.PAYMENT: payment_pb2.Payment,
    ChangeKind.REFUND: payment_pb2.Refund,
    ChangeKind.TICKET: ticket_pb2.Ticket,
    ChangeKind.PERFORMANCE: performance_pb2.Performance,
}


@pytest.fixture
def office(database: Database) -> Iterator[PostOffice]:
    yield PostOffice(database)
    assert_sound(database)


def types(office: PostOffice, house: Staged, after: int = 0, sight: Sight | None = None) -> list[str]:
    found = office.log(after, sight, performance_id=house.performance_id)
    return [type_of(change.kind, change.old_state, change.new_state) for change in found]


async def story(desk: Desk, house: Staged) -> None:
    """Two places are bought and given back."""
    booking = await desk.hold(house, 0, 1)
    await desk.captured(booking)
    await desk.settle()
    await desk.cancel(booking)
    await desk.settle()


async def test_everything_that_happens_is_in_the_log_in_order(office: PostOffice) -> None:
    house = office.database.run_transaction(stage)
    async with desk_on(office.database) as desk:
        await story(desk, house)

    await office.deliverer.place()

    found = types(office, house)
    assert found[:2] == ["performance.scheduled", "booking.held"]
    in_order = [one for one in found if one in {"payment.created", "payment.processing", "payment.succeeded"}]
    assert in_order == ["payment.created", "payment.processing", "payment.succeeded"]
    assert found.index("payment.created") < found.index("booking.confirmed") < found.index("booking.cancelled")
    assert found.count("ticket.issued") == found.count("ticket.void") == 2
    assert found[-1] == "refund.succeeded"
    positions = [change.position or 0 for change in office.log(performance_id=house.performance_id)]
    assert positions == sorted(positions)


async def test_what_it_says_is_what_the_api_says(office: PostOffice) -> None:
    house = office.database.run_transaction(stage)
    async with desk_on(office.database) as desk:
        await story(desk, house)
    await office.deliverer.place()
    hall = office.database.run_transaction(
        lambda session: Halls().of_performances(session, [house.performance_id])[house.performance_id]
    )

    kinds = set()
    for change in office.log(performance_id=house.performance_id):
        # Strict: a word that the contract does not know is an error.
        said = snapshot(change.kind, change.performance_id, change.data, hall)
        message = ParseDict(said, MESSAGES[change.kind]())
        assert message.name.startswith(f"performances/{house.performance_id}")
        assert "code" not in said
        kinds.add(change.kind)
    assert kinds == set(ChangeKind)
    held = next(change for change in office.log(performance_id=house.performance_id) if change.kind == 1)
    booking = ParseDict(snapshot(held.kind, held.performance_id, held.data, hall), booking_pb2.Booking())
    assert [seat.seat for seat in booking.seats] == [hall.places[0].id, hall.places[1].id]
    assert (booking.total.units, booking.total.currency_code) == (50, "EUR")


async def test_a_change_that_commits_late_is_not_missed(office: PostOffice) -> None:
    """Its number is lower than that of what was read before; its position is not."""
    house = office.database.run_transaction(stage)
    late = psycopg2.connect(make_url(office.database.url).set(drivername="postgresql").render_as_string(False))
    statement = f"UPDATE performances SET hall = 'The other' WHERE id = {house.performance_id}"
    with late.cursor() as cursor:
        cursor.execute(statement)  # numbered, and not committed
        async with desk_on(office.database) as desk:
            await desk.hold(house, 0)
        await office.deliverer.place()
        seen = office.end()
        assert types(office, house) == ["performance.scheduled", "booking.held"]
        late.commit()
    late.close()

    await office.deliverer.place()

    assert types(office, house, after=seen) == ["performance.updated"]
    numbers = [change.id for change in office.log(performance_id=house.performance_id)]
    assert numbers != sorted(numbers), "void: the late one had no lower number"


async def test_what_is_undone_is_not_in_the_log(office: PostOffice) -> None:
    house = office.database.run_transaction(stage)
    await office.deliverer.place()
    before = office.end()

    with pytest.raises(ZeroDivisionError):
        office.database.run_transaction(
            lambda session: (session.execute(text("UPDATE performances SET hall = 'No'")), 1 // 0)
        )
    await office.deliverer.place()

    assert office.end() == before
    assert types(office, house) == ["performance.scheduled"]


async def test_one_sees_ones_own_bookings_and_what_one_is_narrowed_to(office: PostOffice) -> None:
    house, other = office.database.run_transaction(stage), office.database.run_transaction(stage)
    async with desk_on(office.database) as desk:
        mine = await desk.hold(house, 0)
        await desk.hold(house, 1)
        await desk.hold(other, 0, customer=mine.customer_id)
    await office.deliverer.place()

    own = Sight(mine.customer_id)
    narrow = Sight(None, scopes=frozenset({f"venues/{house.venue_id}"}))

    assert types(office, house, sight=own) == ["performance.scheduled", "booking.held"]
    assert {change.performance_id for change in office.log(sight=narrow)} == {house.performance_id}
    assert types(office, house, sight=narrow) == ["performance.scheduled", "booking.held", "booking.held"]
    assert types(office, other, sight=Sight(mine.customer_id, frozenset({"events/1"}))) == []


async def test_drafts_are_seen_by_staff_alone(office: PostOffice) -> None:
    house = office.database.run_transaction(stage)
    office.execute(f"UPDATE events SET state = 1 WHERE id = {house.event_id}")
    await office.deliverer.place()

    draft = ["performance.scheduled", "performance.updated"]
    assert types(office, house, sight=Sight(None)) == []
    assert types(office, house, sight=Sight(None, drafts=True)) == draft


async def test_who_follows_hears_of_a_performance_when_its_event_is_published(office: PostOffice) -> None:
    house = office.database.run_transaction(stage)
    office.execute(f"UPDATE events SET state = 1 WHERE id = {house.event_id}")
    await office.deliverer.place()
    passed = office.end()

    office.execute(f"UPDATE events SET state = 2 WHERE id = {house.event_id}")
    await office.deliverer.place()

    assert types(office, house, after=passed, sight=Sight(None)) == ["performance.updated"]


async def test_old_changes_are_deleted_and_whoever_asks_for_them_is_told(fresh_database: Database) -> None:
    office = PostOffice(fresh_database)
    for _ in range(3):
        office.database.run_transaction(stage)
    await office.deliverer.place()
    office.execute("UPDATE changes SET change_time = now() - interval '20 days' WHERE position <= 2")

    retention = timedelta(days=14)
    gone = [office.database.run_transaction(lambda s: changes.delete_outdated(s, retention, 1)) for _ in range(3)]

    assert gone == [1, 1, 0]
    assert [change.position for change in office.log()] == [3]
    assert office.log(after=2)
    with pytest.raises(FailedPrecondition) as refused:
        office.log(after=1)
    assert (refused.value.reason, refused.value.metadata) == ("CHANGES_OUTDATED", {"outdated_position": "2"})
    with pytest.raises(InvalidArgument):
        office.log(after=4)
    assert_sound(fresh_database)
