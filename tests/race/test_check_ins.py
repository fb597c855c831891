"""Races at the doors, between two processes. What stops them is taken away in the controls, which show the fault."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from server import clock
from server.db.engine import Database
from server.db.models.inventory import Ticket
from server.domain import check_ins
from server.domain.check_in_rules import Scan
from server.domain.check_ins import Recorded
from server.errors import RowlockError
from server.seats.arrays import booking_columns
from server.seats.commands import Cancel
from server.seats.money_statements import LOCK_TICKETS
from server.services.scan_queue import ScanQueue
from server.states import CheckInOutcome, TicketState
from tests.doors import POLICY, sold, tickets_of
from tests.invariants import assert_sound, faults
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage

pytestmark = pytest.mark.race


@pytest.fixture
def database(fresh_database: Database) -> Database:
    return fresh_database


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(lambda s: stage(s, start_time=clock.now() + timedelta(hours=1)))


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    async with desk_on(database) as desk:
        yield desk


@pytest.fixture
async def doors(database: Database) -> AsyncIterator[tuple[ScanQueue, ScanQueue]]:
    """The queues of two server processes."""
    queues = ScanQueue(database, POLICY), ScanQueue(Database(database.url), POLICY)
    yield queues
    for queue in queues:
        await queue.close()


def scan_of(ticket: Ticket, **fields: Any) -> Scan:
    given: dict[str, Any] = {
        "performance_id": ticket.performance_id,
        "ticket_id": ticket.id,
        "ticket_performance_id": ticket.performance_id,
        "nonce": ticket.nonce,
        "place": "gate",
        "actor_id": uuid4(),
    }
    return Scan(**given | fields)


def results(answers: list[Any]) -> Counter[str]:
    assert all(isinstance(answer, Recorded | RowlockError) for answer in answers), answers
    return Counter(
        answer.check_in.outcome.name if isinstance(answer, Recorded) else answer.reason for answer in answers
    )


@pytest.mark.promise("2.10")
async def test_of_many_scans_at_two_servers_one_lets_in(
    desk: Desk, house: Staged, doors: tuple[ScanQueue, ScanQueue], database: Database
) -> None:
    for ticket in await sold(desk, house, 0, 1, 2, 3):
        answers = await asyncio.gather(
            *(doors[n % 2].record(scan_of(ticket, place=f"gate {n}")) for n in range(30)), return_exceptions=True
        )
        assert results(answers) == {"ADMITTED": 1, "ALREADY_CHECKED_IN": 29}
        (won,) = [a.check_in.place for a in answers if a.check_in.outcome is CheckInOutcome.ADMITTED]  # type: ignore[union-attr]
        assert {
            a.check_in.first_place  # type: ignore[union-attr]
            for a in answers
            if a.check_in.outcome is CheckInOutcome.ALREADY_CHECKED_IN  # type: ignore[union-attr]
        } == {won}
    assert_sound(database)


async def test_control_without_the_lock_both_doors_believe_they_were_first_and_the_index_stops_one(
    desk: Desk, house: Staged, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ticket,) = await sold(desk, house, 0)
    without = str(check_ins._LOCK).replace("FOR NO KEY UPDATE OF t", "")
    monkeypatch.setattr(check_ins, "_LOCK", text(without))
    assert await two_at_once(database, ticket) == {"ADMITTED": 1, "IntegrityError": 1}, "the second guard"

    database.run_transaction(lambda s: s.execute(text("DROP INDEX uq_check_ins_admission")))
    (other,) = await sold(desk, house, 1)
    assert await two_at_once(database, other) == {"ADMITTED": 2}
    found = database.run_transaction(faults)
    assert any(fault.startswith("S10 a ticket lets in once") for fault in found), found


async def two_at_once(database: Database, ticket: Ticket) -> Counter[str]:
    """Two transactions that have both read the ticket before either writes."""
    both = asyncio.Event()
    loop = asyncio.get_running_loop()
    reading = 0

    def record(session: Session) -> str:
        original = session.execute

        def execute(statement: Any, *args: Any, **options: Any) -> Any:
            if statement is check_ins._WRITE:
                asyncio.run_coroutine_threadsafe(meet(), loop).result(20)
            return original(statement, *args, **options)

        session.execute = execute  # type: ignore[method-assign]
        (outcome,) = check_ins.record(session, [scan_of(ticket)], POLICY)
        assert isinstance(outcome, Recorded)
        return outcome.check_in.outcome.name

    async def meet() -> None:
        nonlocal reading
        reading += 1
        if reading == 2:
            both.set()
        await both.wait()

    answers = await asyncio.gather(*(database.transaction(record) for _ in range(2)), return_exceptions=True)
    return Counter(type(answer).__name__ if isinstance(answer, BaseException) else answer for answer in answers)


async def test_a_ticket_that_somebody_holds_keeps_nobody_else_out(
    desk: Desk, house: Staged, doors: tuple[ScanQueue, ScanQueue], database: Database
) -> None:
    held, *others = [ticket for n in range(5) for ticket in await sold(desk, house, *range(4 * n, 4 * n + 4))]
    with Session(database.engine) as holder:
        holder.execute(text("SELECT 1 FROM tickets WHERE id = :id FOR UPDATE"), {"id": held.id})
        # The first one is on its way alone; the held ticket travels with those that come meanwhile.
        every = [others[0], held, *others[1:]]
        waiting = [asyncio.ensure_future(doors[0].record(scan_of(ticket))) for ticket in every]
        stuck = waiting.pop(1)
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*waiting)
        assert results(answers) == {"ADMITTED": 19}
        assert not stuck.done()
        holder.rollback()
    assert results([await stuck]) == {"ADMITTED": 1}
    assert_sound(database)


async def test_one_request_at_two_servers_is_one_scan(
    desk: Desk, house: Staged, doors: tuple[ScanQueue, ScanQueue], database: Database
) -> None:
    for ticket in await sold(desk, house, 0, 1, 2, 3):
        same = scan_of(ticket, actor_id=uuid4(), scope="apiKeys/1", request_id=str(uuid4()), fingerprint=b"same")
        answers = await asyncio.gather(*(doors[n % 2].record(same) for n in range(20)), return_exceptions=True)
        assert results(answers) == {"ADMITTED": 20}
        assert desk.one("SELECT count(*) FROM check_ins WHERE ticket_id = :id", id=ticket.id) == 1
    assert_sound(database)


async def test_one_request_id_for_two_tickets_lets_one_in(
    desk: Desk, house: Staged, doors: tuple[ScanQueue, ScanQueue], database: Database
) -> None:
    tickets = await sold(desk, house, 0, 1, 2, 3)
    for one, other in zip(tickets[::2], tickets[1::2], strict=True):
        request_id = str(uuid4())
        scans = [
            scan_of(ticket, scope="apiKeys/1", request_id=request_id, fingerprint=ticket.id.bytes)
            for ticket in (one, other)
        ]
        answers = await asyncio.gather(*(doors[n % 2].record(scans[n % 2]) for n in range(12)), return_exceptions=True)
        assert results(answers) == {"ADMITTED": 6, "REQUEST_ID_REUSED": 6}
    assert_sound(database)


async def test_a_ticket_is_given_back_or_used_never_both(
    desk: Desk, house: Staged, doors: tuple[ScanQueue, ScanQueue], database: Database
) -> None:
    seen: Counter[str] = Counter()
    for place in range(20):
        (ticket,) = await sold(desk, house, place)
        await asyncio.gather(cancel_later(desk, ticket, seen, place), scan_later(doors[1], ticket, seen, 3 - place % 4))
        (now,) = tickets_of(database, ticket.booking_id)
        assert now.state in {TicketState.VOID, TicketState.CHECKED_IN}
    assert seen["ADMITTED"] == seen["ALREADY_CHECKED_IN"]
    assert seen["TICKET_VOID"] == seen["cancelled"]
    assert_sound(database)


async def cancel_later(desk: Desk, ticket: Ticket, seen: Counter[str], turn: int) -> None:
    for _ in range(turn % 4):
        await asyncio.sleep(0)
    command = Cancel(
        performance_id=ticket.performance_id,
        booking_id=ticket.booking_id,
        actor_id=uuid4(),
        staff=True,
        reason="illness",
    )
    try:
        await desk.ledger.execute(command)
    except RowlockError as refusal:
        seen[refusal.reason] += 1
    else:
        seen["cancelled"] += 1


async def scan_later(door: ScanQueue, ticket: Ticket, seen: Counter[str], turn: int) -> None:
    for _ in range(turn):
        await asyncio.sleep(0)
    seen[(await door.record(scan_of(ticket))).check_in.outcome.name] += 1


async def test_control_without_the_lock_on_tickets_a_used_one_is_given_back(
    desk: Desk, house: Staged, doors: tuple[ScanQueue, ScanQueue], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ticket,) = await sold(desk, house, 0)
    unlocked = LOCK_TICKETS.replace("FOR NO KEY UPDATE OF t", "")

    async def lock_tickets(connection: Any, keys: Any) -> frozenset[Any]:
        if keys:
            await connection.fetch(unlocked, booking_columns(keys))
            await doors[0].record(scan_of(ticket))
        return frozenset()

    monkeypatch.setattr("server.seats.batch.lock_tickets", lock_tickets)
    seen: Counter[str] = Counter()
    await cancel_later(desk, ticket, seen, 0)
    (now,) = tickets_of(database, ticket.booking_id)
    assert seen == {"cancelled": 1}
    assert (now.state, now.check_in_time is not None) == (TicketState.VOID, True), "let in, and the money goes back"


async def test_two_doors_upload_what_they_scanned_of_one_ticket(
    desk: Desk, house: Staged, doors: tuple[ScanQueue, ScanQueue], database: Database
) -> None:
    for ticket in await sold(desk, house, 0, 1, 2, 3):
        scans = [
            scan_of(
                ticket,
                scope=f"devices/{device}",
                request_id="1",
                device=device,
                offline_time=clock.now() - timedelta(minutes=minutes),
                let_in=True,
            )
            for device, minutes in (("north", 5), ("south", 9))
        ]
        uploads = (upload(door, scan) for door, scan in zip(doors, scans, strict=True))
        answers = await asyncio.gather(*uploads)
        assert sorted(one.check_in.conflict for one in answers) == [False, True]
        assert {one.check_in.outcome for one in answers} == {
            CheckInOutcome.ADMITTED,
            CheckInOutcome.ALREADY_CHECKED_IN,
        }
    assert_sound(database)


async def upload(door: ScanQueue, scan: Scan) -> Recorded:
    database = door._database
    (recorded,) = await database.transaction(lambda session: door.record_together(session, [scan]))
    return recorded
