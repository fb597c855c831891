"""Races for returned tickets and refunds between two processes, and between a counter and a door."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.db.models.payments import Payment
from server.domain import books, refunds
from server.domain.refunds import Amount
from server.errors import RowlockError
from server.payments.simulator import REFUND
from server.seats.booking import Booking
from server.seats.commands import Cancel, Confirm, Return
from server.seats.money_statements import LOCK_TICKETS
from server.states import BookingState, ConfirmedBy, RefundState, SimulatedOutcome
from tests.eventually import eventually
from tests.invariants import assert_sound, faults
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage

pytestmark = pytest.mark.race

STAFF = UUID(int=7)
ROUNDS = 8


@pytest.fixture
def database(fresh_database: Database) -> Database:
    return fresh_database


@pytest.fixture
async def desks(database: Database) -> AsyncIterator[tuple[Desk, Desk]]:
    """Two processes, as far as the database can tell."""
    async with desk_on(database) as first, desk_on(database) as second:
        yield first, second


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


async def outcomes(*calls: Any) -> list[Any]:
    """What each call gave or was refused with; anything else is a fault."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    errors = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(error, RowlockError) for error in errors), errors
    return answers


def reasons(answers: list[Any]) -> set[str]:
    return {answer.reason for answer in answers if isinstance(answer, RowlockError)}


async def bought(desk: Desk, house: Staged, *places: int) -> tuple[Booking, Payment]:
    booking = await desk.hold(house, *places)
    payment = await desk.captured(booking)
    await desk.settle()
    return desk.booking(booking), payment


def returning(booking: Booking, *places: int) -> Return:
    return Return(
        performance_id=booking.performance_id, booking_id=booking.id, actor_id=booking.customer_id, places=places
    )


@pytest.mark.promise("1.9")
@pytest.mark.mistake("double cancel or double refund")
async def test_a_ticket_returned_by_many_is_refunded_once(desks: tuple[Desk, Desk], house: Staged) -> None:
    booking, payment = await bought(desks[0], house, 3, 4)

    answers = await outcomes(*(desks[n % 2].ledger.execute(returning(booking, 3)) for n in range(10)))

    assert sum(isinstance(answer, Booking) for answer in answers) == 1
    assert reasons(answers) == {"TICKET_VOID"}
    await asyncio.gather(*(desk.settle() for desk in desks))
    assert [(r.amount, r.state) for r in desks[0].refunds(payment)] == [(2500, RefundState.SUCCEEDED)]
    assert_sound(desks[0].database, quiet=True)


@pytest.mark.mistake("double cancel or double refund")
async def test_returning_against_cancelling_gives_back_what_was_paid_and_no_more(
    desks: tuple[Desk, Desk], house: Staged
) -> None:
    for n in range(ROUNDS):
        booking, payment = await bought(desks[0], house, 3, 4, 5)
        staff = Amount(500 * n, "EUR") if n else None
        calls = [desks[0].ledger.execute(returning(booking, 3)), desks[1].cancel(booking)]
        if staff is not None:
            calls.append(desks[n % 2].database.transaction(lambda s, p=payment, a=staff: goodwill(s, p, a)))  # type: ignore[misc]
        answers = await outcomes(*calls)
        assert reasons(answers) <= {"BOOKING_STATE", "TICKET_VOID", "REFUND_EXCEEDS_PAYMENT"}
        await asyncio.gather(*(desk.settle() for desk in desks))
        assert desks[0].booking(booking).state is BookingState.CANCELLED
        assert sum(refund.amount for refund in desks[0].refunds(payment)) == 7500
    assert_sound(desks[0].database, quiet=True)


def goodwill(session: Session, payment: Payment, amount: Amount) -> Any:
    return refunds.request(
        session,
        payment.performance_id,
        payment.booking_id,
        payment.id,
        amount=amount,
        reason="a gesture",
        actor_id=STAFF,
    )


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
@pytest.mark.parametrize("cancels", [True, False], ids=["cancel", "return"])
async def test_who_is_being_let_in_gives_nothing_back(
    desks: tuple[Desk, Desk], house: Staged, monkeypatch: pytest.MonkeyPatch, guarded: bool, cancels: bool
) -> None:
    """The door has taken the ticket and not committed yet, when its customer gives it back."""
    booking, payment = await bought(desks[0], house, 3)
    if not guarded:
        unlocked = LOCK_TICKETS.replace("FOR NO KEY UPDATE OF t", "")
        monkeypatch.setattr("server.seats.locking.LOCK_TICKETS", unlocked)
    command = (
        Cancel(performance_id=booking.performance_id, booking_id=booking.id, actor_id=booking.customer_id)
        if cancels
        else returning(booking, 3)
    )
    with desks[1].database.engine.connect() as door:
        door.execute(text("SELECT id FROM tickets WHERE booking_id = :id FOR NO KEY UPDATE"), {"id": booking.id})
        gives_back = asyncio.create_task(desks[0].ledger.execute(command))
        await until_waiting(desks[1].database)
        door.execute(
            text(
                "WITH used AS (UPDATE tickets SET state = 2, check_in_time = now() WHERE booking_id = :id"
                " RETURNING performance_id, id, booking_id) INSERT INTO check_ins (performance_id, id, ticket_id,"
                " booking_id, outcome, round, offline, admitted, conflict, scan_time, create_time)"
                " SELECT performance_id, gen_random_uuid(), id, booking_id, 1, 0, false, true, false, now(), now()"
                " FROM used"
            ),
            {"id": booking.id},
        )
        door.commit()
    (answer,) = await outcomes(gives_back)

    if guarded:
        assert reasons([answer]) == {"ALREADY_CHECKED_IN"}
        assert desks[0].refunds(payment) == []
        assert_sound(desks[0].database, quiet=True)
    else:
        assert isinstance(answer, Booking), "inside, and the money back"
        assert len(desks[0].refunds(payment)) == 1
        found = desks[0].database.run_transaction(faults)
        assert any("has let somebody in was not taken back" in fault for fault in found), found


async def until_waiting(database: Database) -> None:
    """Until somebody waits for a row."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    await eventually(lambda: bool(database.run_transaction(lambda s: s.scalar(waiting))))


async def test_cash_that_many_hand_out_is_handed_out_once(desks: tuple[Desk, Desk], house: Staged) -> None:
    booking = await desks[0].hold(house, 3)
    await desks[0].ledger.execute(
        Confirm(
            performance_id=booking.performance_id,
            booking_id=booking.id,
            actor_id=STAFF,
            staff=True,
            confirmed_by=ConfirmedBy.CASH,
        )
    )
    await desks[0].cancel(booking)

    def pay(session: Session) -> books.Balance:
        return books.pay_cash_out(session, booking.performance_id, booking.id, STAFF)

    answers = await outcomes(*(desks[n % 2].database.transaction(pay) for n in range(8)))

    assert sum(isinstance(answer, books.Balance) for answer in answers) == 1
    assert reasons(answers) == {"NO_CASH_DUE"}
    assert_sound(desks[0].database, quiet=True)


async def test_workers_at_a_refund_and_staff_who_retry_it_pay_once(desks: tuple[Desk, Desk], house: Staged) -> None:
    booking, payment = await bought(desks[0], house, 3)
    desks[0].script(payment, SimulatedOutcome.DECLINE, REFUND)
    await desks[0].cancel(booking)
    await desks[0].settle()
    (failed,) = desks[0].refunds(payment)
    desks[0].script(payment, SimulatedOutcome.APPROVE, REFUND)

    def retry(session: Session) -> Any:
        name = failed.performance_id, failed.booking_id, failed.payment_id, failed.id
        return refunds.retry(session, *name, reason="")

    async def retries_and_works(desk: Desk) -> None:
        for _ in range(4):
            await desk.database.transaction(retry)
            await desk.carry_on()

    await asyncio.gather(*(retries_and_works(desk) for desk in desks))
    await desks[0].settle()

    assert desks[0].one("SELECT count(*) FROM simulator_refunds WHERE payment_id = :id", id=payment.id) == 1
    assert [refund.state for refund in desks[0].refunds(payment)] == [RefundState.SUCCEEDED]
    assert_sound(desks[0].database, quiet=True)
