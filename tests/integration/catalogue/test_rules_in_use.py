"""What staff change counts from the next command, in every process, whatever each of them has in memory."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update

from server import clock
from server.db.engine import Database
from server.db.models.box_office import Allocation
from server.db.models.catalogue import Event, Performance, SeatMap, SeatMapVersion
from server.domain import events, performances, seat_maps
from server.domain.performances import PerformanceValues
from server.domain.seat_maps import Drawing
from server.errors import RowlockError
from server.seats.booking import Booking
from server.seats.commands import BestAvailable, Block, Claim, Hold, SetAside, Want
from server.seats.hall import Hall
from server.seats.ledger import Ledger
from server.states import AllocationState, EventState
from tests.invariants import assert_sound
from tests.staging import Staged, hall_document, stage


@pytest.fixture
async def processes(database: Database) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """Two ledgers, each with a memory of its own."""
    ledgers = Ledger(database, lambda _published: None), Ledger(database, lambda _published: None)
    yield ledgers
    for ledger in ledgers:
        await ledger.close()
    assert_sound(database)


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


async def hold(
    ledger: Ledger, house: Staged, *places: int, wants: tuple[Want, ...] = (), hall: Hall | None = None
) -> Booking:
    customer = uuid4()
    claims = tuple(Claim(place) for place in places)
    return await ledger.execute(
        Hold(
            performance_id=house.performance_id,
            customer_id=customer,
            actor_id=customer,
            claims=claims,
            wants=wants,
            hall=hall,
        )
    )


async def refused(ledger: Ledger, house: Staged, *places: int, hall: Hall | None = None) -> str:
    with pytest.raises(RowlockError) as refusal:
        await hold(ledger, house, *places, hall=hall)
    return refusal.value.reason


def values(performance: Performance, version: int = 1, **changes: object) -> PerformanceValues:
    columns: dict[str, object] = {
        "venue_id": performance.venue_id,
        "seat_map_id": performance.seat_map_id,
        "seat_map_version": version,
        "start_time": performance.start_time,
        "end_time": None,
        "hall": "",
        "time_zone": "",
        "sale_start_time": None,
        "sale_end_time": None,
        "customer_limit": 0,
        "hold_duration": None,
        "refund_deadline": None,
    }
    return PerformanceValues(**(columns | changes))  # type: ignore[arg-type]


def change(database: Database, house: Staged, **changes: object) -> None:
    def work(session) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        performance = performances.lock(session, house.performance_id, "")
        performances.update(session, performance, values(performance, **changes))  # type: ignore[arg-type]

    database.run_transaction(work)


def enlarge(database: Database, house: Staged) -> None:
    """A second version of the seat map, of which row A is the last one, and the performance in it."""

    def work(session) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        document = hall_document(rows=8)
        document["sections"][0]["rows"].reverse()
        seat_map = seat_maps.lock(session, house.venue_id, house.seat_map_id, "")
        seat_maps.update(session, seat_map, "Larger", Drawing.of(document))

    database.run_transaction(work)
    change(database, house, version=2)


async def test_nobody_is_refused_by_rules_that_were_changed(
    database: Database, processes: tuple[Ledger, Ledger], house: Staged
) -> None:
    here, there = processes
    change(database, house, sale_start_time=clock.now() + timedelta(hours=1))
    assert await refused(here, house, 0) == await refused(there, house, 0) == "SALE_NOT_STARTED"
    change(database, house, sale_start_time=clock.now() - timedelta(hours=1))
    await hold(here, house, 0)
    await hold(there, house, 1)
    change(database, house, customer_limit=1)
    assert await refused(here, house, 2, 3) == await refused(there, house, 2, 3) == "CUSTOMER_LIMIT_REACHED"
    change(database, house, customer_limit=2)
    await hold(here, house, 2, 3)
    await hold(there, house, 4, 5)


async def test_publishing_is_seen_by_a_process_that_knew_the_draft(
    database: Database, processes: tuple[Ledger, Ledger], house: Staged
) -> None:
    database.run_transaction(
        lambda session: session.execute(update(Event).where(Event.id == house.event_id).values(state=EventState.DRAFT))
    )
    ledger, _ = processes
    assert await refused(ledger, house, 0) == "NOT_ON_SALE"
    database.run_transaction(lambda session: events.publish(session, house.event_id, ""))
    await hold(ledger, house, 0)


async def test_places_of_an_old_seat_map_are_never_taken_for_those_of_the_new_one(
    database: Database, processes: tuple[Ledger, Ledger], house: Staged
) -> None:
    ledger, _ = processes
    old = await ledger.rules(house.performance_id)
    assert old is not None
    seat = old.hall.index_of["Stalls-A-1"]
    enlarge(database, house)
    assert await refused(ledger, house, seat, hall=old.hall) == "CONTENDED"
    new = await ledger.rules(house.performance_id)
    assert new is not None
    assert new.hall.index_of["Stalls-A-1"] != seat
    booking = await hold(ledger, house, new.hall.index_of["Stalls-A-1"], hall=new.hall)
    assert booking.places == (70,)


async def test_best_available_of_a_new_seat_map_is_chosen_in_it(
    database: Database, processes: tuple[Ledger, Ledger], house: Staged
) -> None:
    ledger, _ = processes
    with pytest.raises(RowlockError):  # which leaves the old hall's states in memory
        await hold(ledger, house, wants=(BestAvailable(quantity=10),))
    enlarge(database, house)
    booking = await hold(ledger, house, wants=(BestAvailable(quantity=2),))
    new = await ledger.rules(house.performance_id, fresh=True)
    assert new is not None
    assert len(new.hall) == 80
    assert len(booking.places) == 2


async def test_names_are_looked_up_in_the_newest_rules_if_asked_for(
    database: Database, processes: tuple[Ledger, Ledger], house: Staged
) -> None:
    ledger, _ = processes
    before = await ledger.rules(house.performance_id)
    assert await ledger.rules(house.performance_id, fresh=True) is before
    enlarge(database, house)
    after = await ledger.rules(house.performance_id, fresh=True)
    assert before is not None
    assert after is not None
    assert (len(before.hall), len(after.hall)) == (50, 80)


async def test_a_deleted_performance_is_not_found_by_a_process_that_knew_it(
    database: Database, processes: tuple[Ledger, Ledger], house: Staged
) -> None:
    ledger, _ = processes
    assert await ledger.rules(house.performance_id) is not None
    database.run_transaction(lambda session: performances.delete(session, house.performance_id, ""))
    assert await refused(ledger, house, 0) == "NOT_FOUND"
    assert await ledger.rules(house.performance_id) is None


async def set_aside(ledger: Ledger, house: Staged) -> None:
    until = clock.now() + timedelta(hours=1)
    aside = SetAside("Sponsor", "", until)
    await ledger.execute(Block(performance_id=house.performance_id, places=(0, 1), actor_id=uuid4(), aside=aside))


def allocations_of(database: Database, house: Staged) -> list[AllocationState]:
    def read(session) -> list[AllocationState]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        rows = session.query(Allocation).filter_by(performance_id=house.performance_id)
        return [row.state for row in rows]

    return database.run_transaction(read)


async def test_what_was_set_aside_of_a_deleted_performance_is_not_left_to_be_released(
    database: Database, processes: tuple[Ledger, Ledger], house: Staged
) -> None:
    await set_aside(processes[0], house)
    database.run_transaction(lambda session: performances.delete(session, house.performance_id, ""))
    assert allocations_of(database, house) == []


async def test_an_allocation_ends_with_the_seat_map_that_its_places_are_of(
    database: Database, processes: tuple[Ledger, Ledger], house: Staged
) -> None:
    await set_aside(processes[0], house)
    enlarge(database, house)
    assert allocations_of(database, house) == [AllocationState.RELEASED]


def test_the_seat_map_of_a_performance_keeps_its_versions(database: Database, house: Staged) -> None:
    enlarge(database, house)

    def read(session) -> tuple[int, list[int]]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        seat_map = session.get_one(SeatMap, house.seat_map_id)
        versions = session.query(SeatMapVersion.place_count).filter_by(seat_map_id=house.seat_map_id)
        return seat_map.current_version, sorted(row[0] for row in versions)

    assert database.run_transaction(read) == (2, [50, 80])
