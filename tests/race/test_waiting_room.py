"""Races in and around lines, between processes as they are: ledgers, workers, joiners; each with a control."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.domain import waiting_room_admission, waiting_room_joining
from server.domain.waiting_room_admission import Moved
from server.domain.waiting_room_answers import Join, Joined
from server.domain.waiting_room_joining import join_all
from server.errors import RowlockError
from server.seats import statements
from server.seats.batch import Batch
from server.seats.booking import Booking
from server.seats.commands import Admission, Claim, Hold
from server.seats.connection import LedgerConnection
from server.seats.ledger import Ledger
from server.seats.state import State
from server.states import QueueEntryState
from server.waiting_room import joining
from server.waiting_room.joining import Joiner
from tests.invariants import assert_sound, faults
from tests.lining import HOUR, LineDesk
from tests.staging import Staged

pytestmark = pytest.mark.race


@pytest.fixture
def desk(fresh_database: Database) -> LineDesk:
    return LineDesk(fresh_database)


@pytest.fixture
async def ledgers(fresh_database: Database) -> AsyncIterator[tuple[Ledger, Ledger]]:
    pair = Ledger(fresh_database, lambda _: None), Ledger(fresh_database, lambda _: None)
    yield pair
    for ledger in pair:
        await ledger.close()


@pytest.fixture
def both_have_read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two batches that have read wait for each other before they decide, unless one waits for the other's commit."""
    meeting = asyncio.Barrier(2)
    decide = Batch._decide
    is_control = "control" in request.node.name

    async def wait_then_decide(self: Batch, connection: LedgerConnection, state: State) -> Any:
        with suppress(TimeoutError, asyncio.BrokenBarrierError):
            async with asyncio.timeout(30 if is_control else 0.3):
                await meeting.wait()
            if is_control:
                await meeting.abort()  # they have met, and whoever comes alone later has nobody to wait for
        return await decide(self, connection, state)

    monkeypatch.setattr(Batch, "_decide", wait_then_decide)


async def holds(
    ledgers: tuple[Ledger, Ledger], house: Staged, customer: UUID, entry_id: UUID, count: int
) -> Counter[str]:
    """So many holds of different seats with one admission, over two ledgers at once; how they ended."""
    commands = [
        Hold(
            performance_id=house.performance_id,
            customer_id=customer,
            actor_id=customer,
            claims=(Claim(place),),
            admission=Admission(entry_id),
        )
        for place in range(count)
    ]
    answers: list[Any] = await asyncio.gather(
        *(ledgers[number % 2].execute(command) for number, command in enumerate(commands)), return_exceptions=True
    )
    assert all(isinstance(one, Booking | RowlockError) for one in answers), answers
    return Counter("OK" if isinstance(one, Booking) else one.reason for one in answers)


@pytest.mark.promise("2.7", "2.8")
@pytest.mark.mistake("admission token used twice")
async def test_one_admission_and_fifty_holds_make_one_booking(
    ledgers: tuple[Ledger, Ledger], desk: LineDesk, both_have_read: None
) -> None:
    house, anna = desk.house(), uuid4()
    (entry,) = desk.admit(house, anna)

    answers = await holds(ledgers, house, anna, entry.id, 50)

    assert answers == {"OK": 1, "ADMISSION_USED": 49}
    assert_sound(desk.database)


async def test_control_without_the_entrys_lock_one_admission_makes_two_bookings(
    ledgers: tuple[Ledger, Ledger], desk: LineDesk, both_have_read: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "LOCK_ADMISSIONS", statements.LOCK_ADMISSIONS.replace("FOR NO KEY UPDATE OF e", ""))
    house, anna = desk.house(), uuid4()
    (entry,) = desk.admit(house, anna)

    answers = await holds(ledgers, house, anna, entry.id, 2)

    assert answers == {"OK": 2}
    found = desk.database.run_transaction(faults)
    assert any(fault.startswith("Q3") for fault in found), found


async def test_a_hold_and_the_end_of_its_admission_never_both_happen(
    ledgers: tuple[Ledger, Ledger], desk: LineDesk
) -> None:
    house = desk.house(admit_count=40)
    customers = [uuid4() for _ in range(20)]
    entries = desk.admit(house, *customers)

    async def leave(number: int) -> str:
        found = await asyncio.to_thread(desk.leave, entries[number])
        return found.state.name

    books = [
        ledgers[number % 2].execute(
            Hold(
                performance_id=house.performance_id,
                customer_id=customer,
                actor_id=customer,
                claims=(Claim(number),),
                admission=Admission(entries[number].id),
            )
        )
        for number, customer in enumerate(customers)
    ]
    ends: list[Any] = await asyncio.gather(*(leave(n) for n in range(20)), *books, return_exceptions=True)

    for left, booked in zip(ends[:20], ends[20:], strict=True):
        assert (left, isinstance(booked, Booking)) in {("LEFT", False), ("USED", True)}
    assert_sound(desk.database)


def step_twice(desk: LineDesk) -> None:
    """Two workers look at the same moment."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: desk.step(), range(2)))


@pytest.mark.promise("2.6")
def test_two_workers_admit_no_more_than_one_interval_allows(desk: LineDesk) -> None:
    house = desk.shut(admit_count=10, admit_interval=HOUR)
    desk.join_many(house, 200)
    desk.open_now(house)

    for _ in range(6):
        step_twice(desk)
    assert len(desk.admitted(house)) == 10

    for _ in range(5):
        desk.next_cycle(house)
        step_twice(desk)
    assert Counter(cycle for cycle, _ in desk.admitted(house)) == dict.fromkeys(range(1, 7), 10)
    assert_sound(desk.database)


def test_a_line_moves_though_somebody_joins_whenever_a_worker_looks(desk: LineDesk) -> None:
    house = desk.shut(admit_count=10, admit_interval=HOUR)
    desk.join_many(house, 20)
    desk.open_now(house)
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")

    with ThreadPoolExecutor(1) as pool:

        def join_and_look(session: Session) -> "Future[Moved | None]":
            join_all(session, [Join(house.performance_id, uuid4())])
            worker = pool.submit(desk.step)
            while not worker.done() and not desk.database.run_transaction(lambda other: other.scalar(waiting)):
                pass
            return worker

        assert desk.database.run_transaction(join_and_look).result() == Moved(house.performance_id, 10, 0)
    assert_sound(desk.database)


def test_control_without_the_rooms_lock_two_workers_both_use_what_the_interval_has(
    desk: LineDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = desk.shut(admit_count=10, admit_interval=HOUR)
    desk.join_many(house, 200)
    desk.open_now(house)
    monkeypatch.setattr(Select, "with_for_update", lambda self, **_: self)
    meeting = threading.Barrier(2)
    admit = waiting_room_admission._admit

    def wait_then_admit(*arguments: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(60)
            meeting.abort()  # they have met, and whoever comes alone later has nobody to wait for
        return admit(*arguments)

    monkeypatch.setattr(waiting_room_admission, "_admit", wait_then_admit)

    # Both have used all that the interval has; what keeps that from being committed is the check on the interval's row.
    with pytest.raises(IntegrityError, match="ck_admission_cycles_within"):
        step_twice(desk)


@pytest.mark.promise("2.5")
async def test_one_customer_at_two_processes_a_hundred_times_has_one_place(desk: LineDesk) -> None:
    house = desk.shut()
    joiners = Joiner(desk.database), Joiner(desk.database)
    anna = Join(house.performance_id, uuid4())
    others = [Join(house.performance_id, uuid4()) for _ in range(100)]

    joined = await asyncio.gather(
        *(joiners[number % 2].join(join) for number, other in enumerate(others) for join in (anna, other))
    )

    assert len({one.entry.id for one in joined if one.entry.customer_id == anna.customer_id}) == 1
    assert desk.room(house).waiting_count == 101
    positions = [one.position for one in joined if one.entry.customer_id != anna.customer_id]
    assert len(set(positions)) == 100
    assert_sound(desk.database)


def test_control_without_the_rooms_lock_two_customers_have_one_position(
    desk: LineDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = desk.shut()
    monkeypatch.setattr(Select, "with_for_update", lambda self, **_: self)
    meeting = threading.Barrier(2)
    existing = waiting_room_joining._existing

    def wait_then_look(*arguments: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(60)
            meeting.abort()  # they have met, and whoever comes alone later has nobody to wait for
        return existing(*arguments)

    monkeypatch.setattr(waiting_room_joining, "_existing", wait_then_look)

    with ThreadPoolExecutor(2) as pool:
        entries = [one for found in pool.map(lambda _: desk.join(house, uuid4()), range(2)) for one in found]

    assert entries[0].place == entries[1].place
    assert any(fault.startswith("Q4") for fault in desk.database.run_transaction(faults))


async def test_nobody_who_joins_while_lines_move_is_overtaken(desk: LineDesk) -> None:
    house = desk.house(admit_count=7, admit_interval=timedelta(milliseconds=20))
    joiners = Joiner(desk.database), Joiner(desk.database)
    ended = asyncio.Event()

    async def work() -> None:
        while not ended.is_set():
            await asyncio.to_thread(desk.step)

    workers = [asyncio.create_task(work()) for _ in range(2)]
    joined = []
    for _ in range(30):
        joined += await asyncio.gather(*(joiners[n % 2].join(Join(house.performance_id, uuid4())) for n in range(10)))
        if len(joined) % 30 == 0:
            await asyncio.to_thread(desk.leave, joined[-1].entry)
    async with asyncio.timeout(60):
        while desk.room(house).waiting_count:  # noqa: ASYNC110 - nobody could set an event: it happens in a database
            await asyncio.sleep(0.02)
    ended.set()
    await asyncio.gather(*workers)

    states = Counter(desk.get(one.entry).state for one in joined)
    assert states[QueueEntryState.WAITING] == 0
    assert sum(states.values()) == 300
    assert_sound(desk.database, quiet=False)


async def test_switching_on_lets_no_hold_through_that_decided_before(
    ledgers: tuple[Ledger, Ledger], desk: LineDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = desk.house(enabled=False)
    decide = Batch._decide
    switched = False

    async def switch_then_decide(self: Batch, connection: LedgerConnection, state: State) -> Any:
        nonlocal switched
        if not switched:
            switched = True
            await asyncio.to_thread(desk.change, house, enabled=True)
        return await decide(self, connection, state)

    monkeypatch.setattr(Batch, "_decide", switch_then_decide)
    anna = uuid4()
    with pytest.raises(RowlockError) as refused:
        await ledgers[0].execute(
            Hold(performance_id=house.performance_id, customer_id=anna, actor_id=anna, claims=(Claim(1),))
        )
    assert refused.value.reason == "ADMISSION_REQUIRED"
    assert_sound(desk.database)


async def test_a_join_that_breaks_its_batch_fails_alone(desk: LineDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    house = desk.shut()
    poison = uuid4()
    original = join_all

    def broken(session: Any, joins: Any) -> Any:
        if any(join.customer_id == poison for join in joins):
            raise ZeroDivisionError
        return original(session, joins)

    monkeypatch.setattr(joining, "join_all", broken)
    joiner = Joiner(desk.database)
    customers = [uuid4() for _ in range(5)]
    ends = await asyncio.gather(
        *(joiner.join(Join(house.performance_id, one)) for one in (*customers, poison)), return_exceptions=True
    )
    assert [isinstance(end, Joined) for end in ends] == [True] * 5 + [False]
    assert isinstance(ends[-1], ZeroDivisionError)
    assert desk.room(house).waiting_count == 5
