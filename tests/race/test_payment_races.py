"""Races for money between two processes: who pays, who expires, who cancels, who refunds. Each guard has its control.

A control takes one guard away and shows the fault that the guard prevents, so that the tests beside it mean something.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.db.models.inventory import Booking as BookingRow
from server.db.models.payments import Payment
from server.domain import payment_rules, payments, refunds
from server.domain.payments import GiveUp, alone
from server.domain.refunds import Amount
from server.errors import FailedPrecondition, RowlockError
from server.seats.booking import Booking
from server.seats.commands import Add, Claim
from server.states import BookingState, PaymentState, RefundState, SimulatedOrder
from tests.invariants import assert_sound, faults
from tests.paying import Desk, desk_on, named
from tests.staging import Staged, stage

pytestmark = pytest.mark.race

ROUNDS = 12


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
    unexpected = [answer for answer in answers if isinstance(answer, BaseException | None)]
    assert all(isinstance(answer, RowlockError) for answer in unexpected), unexpected
    return answers


def reasons(answers: list[Any]) -> set[str]:
    return {answer.reason for answer in answers if isinstance(answer, RowlockError)}


@pytest.mark.mistake("payment and expiry race leaves a paid order without seats")
@pytest.mark.mistake("a charge at sold-out")
async def test_expiry_against_payment_leaves_either_a_sold_seat_or_no_charge(
    desks: tuple[Desk, Desk], house: Staged
) -> None:
    pays, sweeps = desks
    paid = expired = 0
    for place in range(ROUNDS):
        booking = await pays.hold(house, place)
        payment = await pays.pay(booking)
        # The time is over in the very moment in which the customer asks for the capture.
        sweeps.one(
            "UPDATE bookings SET hold_expire_time = clock_timestamp() + interval '3 ms' WHERE id = :id", id=booking.id
        )
        await asyncio.sleep(0.001 * (place % 5))
        captured, *_ = await outcomes(pays.capture(payment), sweeps.expire(booking), sweeps.expire(booking))
        await pays.settle()
        await sweeps.expire(booking)
        now = pays.booking(booking)
        if isinstance(captured, Payment):
            assert now.state is BookingState.CONFIRMED
            assert pays.refunds(payment) == []
            paid += 1
        else:
            assert captured.reason == "HOLD_EXPIRED"
            assert now.state is BookingState.EXPIRED
            order = pays.order(payment)
            assert order is None or order.state is not SimulatedOrder.CAPTURED
            expired += 1
        payments_left = "UPDATE payments SET state = 6, next_attempt_time = NULL, complete_time = now() WHERE state = 2"
        pays.one(payments_left)
    assert paid + expired == ROUNDS
    assert_sound(pays.database)


async def test_control_without_the_wait_for_its_payment_a_hold_runs_out_under_it(
    desks: tuple[Desk, Desk], house: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    pays, sweeps = desks
    monkeypatch.setattr(payment_rules, "attach", lambda *_: None)
    booking = await pays.hold(house, 3)
    payment = await pays.captured(booking)
    pays.let_time_pass(booking)
    await sweeps.expire(booking)
    await sweeps.hold(house, 3)
    await pays.settle()

    assert pays.booking(booking).state is BookingState.EXPIRED
    assert [refund.amount for refund in pays.refunds(payment)] == [2500], "charged for seats that were gone"


async def test_a_payment_captured_by_many_is_taken_once(desks: tuple[Desk, Desk], house: Staged) -> None:
    booking = await desks[0].hold(house, 3)
    payment = await desks[0].pay(booking)
    await desks[0].settle()

    answers = await outcomes(*(desks[n % 2].capture(payment) for n in range(10)))
    assert {answer.state for answer in answers} == {PaymentState.PROCESSING}
    await asyncio.gather(*(desk.settle() for desk in desks))

    assert desks[0].booking(booking).state is BookingState.CONFIRMED
    assert desks[0].one("SELECT count(*) FROM command_log WHERE command = 'confirm'") == 1
    assert_sound(desks[0].database, quiet=True)


async def test_two_workers_at_the_same_payment_have_one_effect(desks: tuple[Desk, Desk], house: Staged) -> None:
    bookings = [await desks[0].hold(house, place) for place in range(8)]
    for booking in bookings:
        await desks[0].captured(booking)
    first = await desks[0].collector.take(100)
    desks[0].one("UPDATE payments SET next_attempt_time = clock_timestamp()")
    second = await desks[1].collector.take(100)
    assert len(first) == len(second) == 8

    await asyncio.gather(
        *(desks[0].collector.carry_on(attempt) for attempt in first),
        *(desks[1].collector.carry_on(attempt) for attempt in second),
    )
    await desks[0].settle()

    assert {desks[0].booking(booking).state for booking in bookings} == {BookingState.CONFIRMED}
    assert desks[0].one("SELECT count(*) FROM refunds") == 0
    assert_sound(desks[0].database, quiet=True)


async def test_due_payments_are_shared_out(desks: tuple[Desk, Desk], house: Staged) -> None:
    for place in range(20):
        await desks[0].captured(await desks[0].hold(house, place))

    shares = await asyncio.gather(*(desks[n % 2].collector.take(3) for n in range(10)))

    taken = [attempt.order.payment_id for share in shares for attempt in share]
    assert len(taken) == len(set(taken))


async def test_only_one_payment_is_begun_at_a_time(desks: tuple[Desk, Desk], house: Staged) -> None:
    booking = await desks[0].hold(house, 3)
    answers = await outcomes(*(desks[n % 2].pay(booking) for n in range(10)))
    assert sum(isinstance(answer, Payment) for answer in answers) == 1
    assert reasons(answers) == {"PAYMENT_IN_FLIGHT"}


async def test_cancelling_against_paying_gives_the_seats_back_or_sells_them(
    desks: tuple[Desk, Desk], house: Staged
) -> None:
    for place in range(ROUNDS):
        booking = await desks[0].hold(house, place)
        payment = await desks[0].pay(booking)
        captured, cancelled = await outcomes(desks[0].capture(payment), desks[1].cancel(booking))
        assert isinstance(captured, Payment) != isinstance(cancelled, Booking)
        await desks[0].settle()
        state = desks[0].booking(booking).state
        assert state is (BookingState.CONFIRMED if isinstance(captured, Payment) else BookingState.CANCELLED)
        desks[0].database.run_transaction(lambda s: payments.give_up_abandoned(s, 10))
    await desks[0].settle()
    assert_sound(desks[0].database, quiet=True)


async def test_what_is_added_while_a_payment_begins_is_paid_or_refused(desks: tuple[Desk, Desk], house: Staged) -> None:
    for place in range(ROUNDS):
        booking = await desks[0].hold(house, place)
        payment = await desks[0].pay(booking)
        add = Add(
            performance_id=house.performance_id,
            booking_id=booking.id,
            actor_id=booking.customer_id,
            claims=(Claim(49 - place),),
        )
        captured, added = await outcomes(desks[0].capture(payment), desks[1].ledger.execute(add))
        assert isinstance(captured, Payment) != isinstance(added, Booking)
        await desks[0].settle()
    assert_sound(desks[0].database)


async def test_a_booking_cancelled_by_many_is_refunded_once(desks: tuple[Desk, Desk], house: Staged) -> None:
    booking = await desks[0].hold(house, 3)
    payment = await desks[0].captured(booking)
    await desks[0].settle()

    answers = await outcomes(*(desks[n % 2].cancel(booking) for n in range(10)))

    assert sum(isinstance(answer, Booking) for answer in answers) == 1
    assert reasons(answers) == {"BOOKING_STATE"}
    await asyncio.gather(*(desk.settle() for desk in desks))
    assert [(r.amount, r.state) for r in desks[0].refunds(payment)] == [(2500, RefundState.SUCCEEDED)]
    assert_sound(desks[0].database, quiet=True)


async def test_no_more_is_given_back_than_was_paid_however_many_ask(desks: tuple[Desk, Desk], house: Staged) -> None:
    booking = await desks[0].hold(house, 3)
    payment = await desks[0].captured(booking)
    await desks[0].settle()

    answers = await outcomes(
        *(desks[n % 2].database.transaction(lambda s: staff_refund(s, payment, 1000)) for n in range(6)),
        desks[1].cancel(booking),
    )

    assert reasons(answers) <= {"REFUND_EXCEEDS_PAYMENT"}
    await asyncio.gather(*(desk.settle() for desk in desks))
    assert sum(refund.amount for refund in desks[0].refunds(payment)) == 2500
    assert_sound(desks[0].database, quiet=True)


def staff_refund(session: Session, payment: Payment, amount: int) -> Any:
    return refunds.request(
        session,
        payment.performance_id,
        payment.booking_id,
        payment.id,
        amount=Amount(amount, "EUR"),
        reason="goodwill",
        actor_id=UUID(int=1),
    )


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
async def test_staff_refund_against_a_cancellation(
    desks: tuple[Desk, Desk], house: Staged, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """Staff have read what is left to refund, when the booking is cancelled; with the guard the cancellation waits."""
    booking = await desks[0].hold(house, 3)
    payment = await desks[0].captured(booking)
    await desks[0].settle()
    has_read, goes_on = threading.Event(), threading.Event()
    rest_of = refunds._rest

    def read_then_wait(session: Session, payment: Payment) -> int:
        rest = rest_of(session, payment)
        has_read.set()
        goes_on.wait(60)
        return rest

    monkeypatch.setattr(refunds, "_rest", read_then_wait)
    if not guarded:
        monkeypatch.setattr(
            refunds, "lock_booking", lambda s, performance, booking: s.get(BookingRow, (performance, booking))
        )
        monkeypatch.setattr(
            refunds, "lock_payment", lambda s, performance, payment: s.get(Payment, (performance, payment))
        )

    asked = asyncio.create_task(desks[0].database.transaction(lambda s: staff_refund(s, payment, 1000)))
    await asyncio.to_thread(has_read.wait, 60)
    cancelled = asyncio.create_task(desks[1].cancel(booking))
    await asyncio.wait({cancelled}, timeout=0.5 if guarded else 60)
    goes_on.set()
    await asyncio.gather(asked, cancelled)

    found = desks[0].database.run_transaction(faults)
    if guarded:
        assert found == []
    else:
        assert any(fault.startswith("M3") for fault in found)


async def test_strangers_never_win_a_race(desks: tuple[Desk, Desk], house: Staged) -> None:
    booking = await desks[0].hold(house, 3)
    payment = await desks[0].pay(booking)
    stranger = uuid4()
    answers = await outcomes(
        desks[0].capture(payment),
        desks[1].database.transaction(lambda s: alone(s, GiveUp(**named(payment) | {"owner": stranger}))),
    )
    assert reasons(answers) == {"NOT_FOUND"}
    with pytest.raises(FailedPrecondition):
        await desks[1].give_up(payment)
