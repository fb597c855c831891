"""What one command, one locked row or one lost connection may do to the others of its batch: as little as possible."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.errors import RowlockError, Unavailable
from server.seats import batch as batch_module
from server.seats.attempts import Attempts
from server.seats.booking import Booking
from server.seats.commands import BestAvailable, Claim, Hold, RequestKey, Want
from server.seats.connection import LedgerConnection
from server.seats.decide import decide
from server.seats.ledger import Ledger
from server.seats.state import State
from tests.invariants import assert_sound
from tests.staging import Staged, hall_document, stage

pytestmark = pytest.mark.race


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Ledger]:
    ledger = Ledger(database, lambda _: None)
    yield ledger
    await ledger.close()
    assert_sound(database)


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


def hold(
    house: Staged,
    *places: int,
    customer: UUID | None = None,
    wants: tuple[Want, ...] = (),
    request: RequestKey | None = None,
) -> Hold:
    customer = customer or uuid4()
    return Hold(
        performance_id=house.performance_id,
        customer_id=customer,
        actor_id=customer,
        claims=tuple(Claim(place) for place in places),
        wants=wants,
        request=request,
    )


async def together(ledger: Ledger, *commands: Hold) -> list[Booking | str]:
    """Send commands so that they share a batch; a refusal is told by its reason."""
    answers = await asyncio.gather(*(ledger.execute(command) for command in commands), return_exceptions=True)
    told: list[Booking | str] = []
    for answer in answers:
        if isinstance(answer, RowlockError):
            told.append(answer.reason)
        else:
            assert isinstance(answer, Booking), answer
            told.append(answer)
    return told


@contextmanager
def locked(database: Database, house: Staged, place: int) -> Iterator[None]:
    """Somebody else holds the lock of one seat, and does not let go."""
    with Session(database.engine) as session, session.begin():
        session.execute(
            text("SELECT 1 FROM seats WHERE performance_id = :id AND place = :place FOR UPDATE"),
            {"id": house.performance_id, "place": place},
        )
        yield


async def test_a_seat_that_somebody_keeps_locked_stops_neither_other_seats_nor_other_performances(
    prompt_ledger: None, ledger: Ledger, house: Staged, database: Database
) -> None:
    elsewhere = database.run_transaction(stage)
    with locked(database, house, 7):
        stuck = [hold(house, 7) for _ in range(20)]
        answers = await together(ledger, hold(house, 3), *stuck, hold(elsewhere, 7))

    assert isinstance(answers[0], Booking)
    assert isinstance(answers[-1], Booking)
    assert set(answers[1:-1]) == {"CONTENDED"}
    assert isinstance((await together(ledger, hold(house, 7)))[0], Booking)


async def test_a_poison_command_fails_alone(ledger: Ledger, house: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    poison = hold(house, 1)

    def trip(state: State, command: Any, chosen: tuple[Claim, ...] = ()) -> Any:
        if command is poison:
            raise KeyError("poison")
        return decide(state, command, chosen)

    monkeypatch.setattr(batch_module, "decide", trip)
    answers = await together(ledger, hold(house, 0), poison, hold(house, 2))

    assert isinstance(answers[0], Booking)
    assert answers[1] == "INTERNAL"
    assert isinstance(answers[2], Booking)


async def test_places_put_aside_for_a_refused_command_go_to_the_next(ledger: Ledger, database: Database) -> None:
    house = database.run_transaction(lambda s: stage(s, hall_document(rows=1, seats=5)))
    anna = uuid4()
    await ledger.execute(hold(house, 0, 1, 2, 3, customer=anna))

    best = (BestAvailable(1),)
    answers = await together(ledger, hold(house, customer=anna, wants=best), hold(house, wants=best))

    assert answers[0] == "CUSTOMER_LIMIT_REACHED"
    assert isinstance(answers[1], Booking)
    assert answers[1].places == (4,)


async def test_a_request_that_was_granted_is_granted_again_when_nothing_is_left(
    ledger: Ledger, database: Database
) -> None:
    house = database.run_transaction(lambda s: stage(s, hall_document(rows=1, seats=2)))
    command = hold(house, wants=(BestAvailable(2),), request=RequestKey("r1", b"body"))

    first = await ledger.execute(command)
    again = await ledger.execute(command)

    assert again == first
    assert await together(ledger, hold(house, wants=(BestAvailable(1),))) == ["SOLD_OUT"]


async def test_a_lost_connection_is_replaced_and_nobody_notices(
    ledger: Ledger, house: Staged, database: Database
) -> None:
    await ledger.execute(hold(house, 0))
    database.run_transaction(
        lambda s: s.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rowlock-ledger'")
        )
    )

    assert isinstance((await together(ledger, hold(house, 1)))[0], Booking)


async def test_a_connection_lost_during_the_commit_is_told_as_unknown_and_the_request_can_be_repeated(
    ledger: Ledger, house: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = hold(house, 0, request=RequestKey("r1", b"body"))
    execute = LedgerConnection.execute

    async def lose_the_answer(self: LedgerConnection, statements: str, values: Any = ()) -> None:
        await execute(self, statements, values)
        if statements == "COMMIT":
            monkeypatch.undo()
            self.close()
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(LedgerConnection, "execute", lose_the_answer)

    assert await together(ledger, command) == ["OUTCOME_UNKNOWN"]
    (booking,) = await together(ledger, command)
    assert isinstance(booking, Booking)
    assert booking.id == command.booking_id
    assert await together(ledger, hold(house, 0)) == ["SEAT_TAKEN"]


async def test_a_database_that_takes_no_writes_is_unavailable_and_not_a_fault_of_ours(
    ledger: Ledger, house: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = LedgerConnection.execute

    async def as_a_replica(self: LedgerConnection, statements: str, values: Any = ()) -> None:
        await execute(self, statements.replace("BEGIN;", "BEGIN READ ONLY;"), values)

    monkeypatch.setattr(LedgerConnection, "execute", as_a_replica)
    assert await together(ledger, hold(house, 0), hold(house, 1)) == ["DATABASE_UNAVAILABLE"] * 2
    monkeypatch.undo()

    assert isinstance((await together(ledger, hold(house, 0)))[0], Booking)


async def test_what_was_committed_is_told_even_if_the_board_in_memory_is_of_a_smaller_hall(
    ledger: Ledger, database: Database
) -> None:
    house = database.run_transaction(lambda s: stage(s, hall_document(rows=1, seats=5)))
    await ledger.execute(hold(house, wants=(BestAvailable(1),)))
    board = ledger._attempts._boards.get(house.performance_id)
    assert board is not None
    del board.states[2:]

    assert isinstance((await together(ledger, hold(house, 4)))[0], Booking)
    assert isinstance((await together(ledger, hold(house, wants=(BestAvailable(1),))))[0], Booking)


async def test_a_publication_that_fails_keeps_nobody_waiting(database: Database, house: Staged) -> None:
    def fail(_: object) -> None:
        raise ConnectionError("nobody listens")

    ledger = Ledger(database, fail, batch_size=1)
    async with asyncio.timeout(60):
        answers = await together(ledger, *(hold(house, place) for place in range(5)))
        assert all(isinstance(answer, Booking) for answer in answers)
    with suppress(ConnectionError):
        await ledger.close()


async def test_a_database_that_goes_away_is_not_asked_by_each_command_of_a_batch(
    ledger: Ledger, house: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def refuse(_: Any, commands: Any, *__: Any, **___: Any) -> Any:
        nonlocal asked
        asked += 1
        raise psycopg2.DataError if len(commands) > 1 else Unavailable("DATABASE_UNAVAILABLE", "away")

    monkeypatch.setattr(Attempts, "_together", refuse)
    answers = await asyncio.gather(*(ledger.execute(hold(house, n)) for n in range(8)), return_exceptions=True)

    assert {answer.reason for answer in answers if isinstance(answer, RowlockError)} == {"DATABASE_UNAVAILABLE"}
    assert len(answers) == 8
    assert asked <= 3, "the first batch may have had one command"
