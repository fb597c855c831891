"""Refunds of single tickets, by policy and over it; refused ones, that wait for staff; how fast they are asked for."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from server.db.engine import Database
from server.db.models.payments import Payment
from server.domain import bookings, refund_attempts, refund_pace, refunds
from server.domain.refunds import Amount
from server.errors import FailedPrecondition, InvalidArgument, NotFound, RowlockError
from server.payments.simulator import REFUND
from server.seats.booking import Booking
from server.seats.commands import Cancel, Return
from server.states import BookingState, Provider, RefundState, SimulatedOutcome
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage

STAFF = UUID(int=7)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def desk(fresh_database: Database) -> AsyncIterator[Desk]:
    async with desk_on(fresh_database) as desk:
        yield desk


@pytest.fixture
def house(fresh_database: Database) -> Staged:
    return fresh_database.run_transaction(stage)


async def bought(desk: Desk, house: Staged, *places: int) -> tuple[Booking, Payment]:
    """A confirmed booking, and what it was paid with."""
    booking = await desk.hold(house, *places)
    payment = await desk.captured(booking)
    await desk.settle()
    return desk.booking(booking), desk.payment(payment)


def tickets(desk: Desk, booking: Booking) -> dict[int, UUID]:
    """The booking's tickets by place, void ones included."""
    page = desk.database.run_transaction(
        lambda s: bookings.list_tickets(
            s,
            performance_id=booking.performance_id,
            booking_id=booking.id,
            owner=None,
            state=None,
            after=None,
            limit=100,
        )
    )
    return {ticket.place: ticket.id for ticket in page.tickets}


async def give_back(desk: Desk, booking: Booking, *places: int, **changes: Any) -> Booking | None:
    """Return tickets, as their customer unless said otherwise."""
    known = tickets(desk, booking)
    command = Return(
        performance_id=booking.performance_id,
        booking_id=booking.id,
        actor_id=booking.customer_id,
        places=places,
        ticket_ids=tuple(known[place] for place in places),
    )
    return await desk.ledger.execute(replace(command, **changes))


async def refused(call: Any) -> str:
    with pytest.raises(RowlockError) as refusal:
        await call
    return refusal.value.reason


def deadline_passes(desk: Desk, house: Staged) -> None:
    desk.one(
        "WITH late AS (UPDATE performances SET refund_deadline = clock_timestamp() - interval '1s' WHERE id = :id)"
        " UPDATE inventories SET rules_version = rules_version + 1 WHERE performance_id = :id",
        id=house.performance_id,
    )


def let_in(desk: Desk, booking: Booking, place: int) -> None:
    """As a door does it."""
    desk.one(
        "WITH used AS (UPDATE tickets SET state = 2, check_in_time = now() WHERE booking_id = :id AND place = :place"
        " RETURNING performance_id, id, booking_id) INSERT INTO check_ins (performance_id, id, ticket_id, booking_id,"
        " outcome, round, offline, admitted, conflict, scan_time, create_time)"
        " SELECT performance_id, gen_random_uuid(), id, booking_id, 1, 0, false, true, false, now(), now() FROM used",
        id=booking.id,
        place=place,
    )


# --- single tickets -------------------------------------------------------------------------------------------------


@pytest.mark.promise("1.9")
async def test_one_ticket_of_three_is_returned_and_its_place_sold_again(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3, 4, 5)
    ids = tickets(desk, booking)

    left = await give_back(desk, booking, 4, reason="ill")
    await desk.settle()

    assert left is not None
    assert (left.state, left.places, left.total) == (BookingState.CONFIRMED, (3, 5), 5000)
    refund = desk.refunds(payment)[0]
    assert (refund.amount, refund.state, refund.reason) == (2500, RefundState.SUCCEEDED, "ill")
    assert (refund.actor_id, refund.ticket_ids) == (booking.customer_id, [ids[4]])
    states = "SELECT array_agg(state ORDER BY place) FROM tickets WHERE booking_id = :id"
    assert desk.one(states, id=booking.id) == [1, 3, 1]
    assert (await desk.hold(house, 4)).places == (4,)
    assert_sound(desk.database, quiet=True)


async def test_returning_frees_the_customers_limit(desk: Desk, house: Staged) -> None:
    booking, _ = await bought(desk, house, 0, 1, 2, 3)
    await give_back(desk, booking, 0, 1)
    again = await desk.hold(house, 0, 1, customer=booking.customer_id)
    assert again.places == (0, 1)
    assert_sound(desk.database)


async def test_ticket_after_ticket_until_none_is_left_ends_the_booking(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3, 4)
    first = await give_back(desk, booking, 3)
    assert first is not None
    assert first.state is BookingState.CONFIRMED
    last = await give_back(desk, booking, 4)
    assert last is not None
    assert last.state is BookingState.CANCELLED
    await desk.settle()
    assert [refund.amount for refund in desk.refunds(payment)] == [2500, 2500]
    assert_sound(desk.database, quiet=True)


async def test_after_a_return_the_rest_is_cancelled_for_the_rest_of_the_money(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3, 4, 5)
    await give_back(desk, booking, 5)
    await desk.cancel(booking)
    await desk.settle()
    assert [refund.amount for refund in desk.refunds(payment)] == [2500, 5000]
    assert_sound(desk.database, quiet=True)


async def test_returned_tickets_cost_no_more_than_what_is_left_of_the_payment(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3, 4)
    staff_refund(desk, payment, 4000)
    await asyncio.gather(give_back(desk, booking, 3), give_back(desk, booking, 4))
    await desk.settle()
    assert sorted(refund.amount for refund in desk.refunds(payment)) == [1000, 4000]
    assert_sound(desk.database, quiet=True)


async def test_a_ticket_is_returned_once(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3, 4)
    await give_back(desk, booking, 3)
    assert await refused(give_back(desk, booking, 3)) == "TICKET_VOID"
    assert len(desk.refunds(payment)) == 1


async def test_what_is_not_confirmed_has_no_tickets_to_return(desk: Desk, house: Staged) -> None:
    held = await desk.hold(house, 3)
    command = Return(performance_id=held.performance_id, booking_id=held.id, actor_id=held.customer_id, places=(3,))
    assert await refused(desk.ledger.execute(command)) == "BOOKING_STATE"


async def test_strangers_return_nothing(desk: Desk, house: Staged) -> None:
    booking, _ = await bought(desk, house, 3)
    assert await refused(give_back(desk, booking, 3, actor_id=UUID(int=99))) == "NOT_FOUND"


# --- the policy -----------------------------------------------------------------------------------------------------


@pytest.mark.promise("1.10")
async def test_after_the_deadline_only_staff_take_back_and_they_say_why(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3, 4, 5)
    deadline_passes(desk, house)
    assert await refused(give_back(desk, booking, 3)) == "REFUND_DEADLINE_PASSED"
    assert await refused(give_back(desk, booking, 3, reason="please")) == "REFUND_DEADLINE_PASSED"
    assert await refused(give_back(desk, booking, 3, actor_id=STAFF, staff=True)) == "REFUND_DEADLINE_PASSED"

    await give_back(desk, booking, 3, actor_id=STAFF, staff=True, reason="the lift was broken")
    cancel = Cancel(performance_id=booking.performance_id, booking_id=booking.id, actor_id=STAFF, staff=True)
    assert await refused(desk.ledger.execute(cancel)) == "REFUND_DEADLINE_PASSED"
    await desk.ledger.execute(replace(cancel, reason="storm"))
    await desk.settle()

    asked = [(refund.amount, refund.reason, refund.actor_id) for refund in desk.refunds(payment)]
    assert asked == [(2500, "the lift was broken", STAFF), (5000, "storm", STAFF)]
    assert_sound(desk.database, quiet=True)


async def test_a_ticket_that_let_somebody_in_is_not_taken_back_but_its_neighbour_is(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3, 4)
    let_in(desk, booking, 3)
    assert await refused(give_back(desk, booking, 3)) == "ALREADY_CHECKED_IN"
    assert await refused(desk.cancel(booking)) == "ALREADY_CHECKED_IN"
    left = await give_back(desk, booking, 4)
    assert left is not None
    assert left.places == (3,)
    staff_refund(desk, payment, 2500)  # over every policy, and the guest keeps the seat
    await desk.settle()
    assert_sound(desk.database, quiet=True)


def staff_refund(desk: Desk, payment: Payment, amount: int | None, reason: str = "the heating failed") -> Any:
    return desk.database.run_transaction(
        lambda s: refunds.request(
            s,
            payment.performance_id,
            payment.booking_id,
            payment.id,
            amount=None if amount is None else Amount(amount, payment.currency),
            reason=reason,
            actor_id=STAFF,
        )
    )


async def test_staff_give_back_with_a_reason_or_not_at_all(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3)
    with pytest.raises(InvalidArgument, match="reason"):
        staff_refund(desk, payment, None, reason="")
    refund = staff_refund(desk, payment, None)
    assert (refund.amount, refund.reason, refund.actor_id) == (2500, "the heating failed", STAFF)
    await desk.settle()
    assert desk.booking(booking).state is BookingState.CONFIRMED
    with pytest.raises(FailedPrecondition, match="left to be refunded"):
        staff_refund(desk, payment, 1)
    assert_sound(desk.database, quiet=True)


# --- refused refunds ------------------------------------------------------------------------------------------------


@pytest.mark.promise("1.9")
async def test_a_refused_refund_is_owed_until_staff_have_it_tried_anew(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3)
    desk.script(payment, SimulatedOutcome.DECLINE, REFUND)
    await desk.cancel(booking)
    await desk.settle()
    failed = desk.refunds(payment)[0]
    assert (failed.state, failed.error_reason, failed.next_attempt_time) == (RefundState.FAILED, "REFUND_REFUSED", None)
    with pytest.raises(FailedPrecondition, match="left to be refunded"):
        staff_refund(desk, payment, None)  # it was asked for already: a second one would pay twice
    assert owed(desk) == 2500
    assert_sound(desk.database, quiet=True)

    desk.script(payment, SimulatedOutcome.APPROVE, REFUND)
    retry(desk, failed, reason="the account was topped up")
    await desk.settle()

    (done,) = desk.refunds(payment)
    assert (done.state, done.error_reason) == (RefundState.SUCCEEDED, None)
    assert done.reason == "booking cancelled; the account was topped up"
    assert done.provider_key != done.id, "a provider repeats its answer to a key that it knows"
    assert owed(desk) == 0
    assert_sound(desk.database, quiet=True)


async def test_only_a_refused_refund_is_tried_anew(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3)
    await desk.cancel(booking)
    await desk.settle()
    done = desk.refunds(payment)[0]
    assert retry(desk, done).state is RefundState.SUCCEEDED
    assert not desk.is_due_some_time()
    with pytest.raises(NotFound):
        desk.database.run_transaction(
            lambda s: refunds.retry(s, done.performance_id, done.booking_id, done.payment_id, UUID(int=1), reason="")
        )


async def test_two_who_retry_at_once_pay_once(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3)
    desk.script(payment, SimulatedOutcome.DECLINE, REFUND)
    await desk.cancel(booking)
    await desk.settle()
    desk.script(payment, SimulatedOutcome.APPROVE, REFUND)
    failed = desk.refunds(payment)[0]
    await asyncio.gather(*(asyncio.to_thread(retry, desk, failed) for _ in range(5)))
    await desk.settle()
    assert desk.one("SELECT count(*) FROM simulator_refunds WHERE payment_id = :id", id=payment.id) == 1
    assert_sound(desk.database, quiet=True)


async def test_a_worker_that_comes_late_with_a_refusal_does_not_undo_the_retry(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3)
    desk.script(payment, SimulatedOutcome.DECLINE, REFUND)
    await desk.cancel(booking)
    (slow,) = await desk.refunder.take(10)
    desk.database.run_transaction(lambda s: refund_attempts.failed(s, slow, "REFUND_REFUSED"))
    retry(desk, desk.refunds(payment)[0])
    desk.database.run_transaction(lambda s: refund_attempts.failed(s, slow, "REFUND_REFUSED"))
    assert desk.refunds(payment)[0].state is RefundState.REQUESTED


def retry(desk: Desk, refund: Any, reason: str = "") -> Any:
    return desk.database.run_transaction(
        lambda s: refunds.retry(
            s, refund.performance_id, refund.booking_id, refund.payment_id, refund.id, reason=reason
        )
    )


def owed(desk: Desk) -> int:
    return -int(desk.one("SELECT coalesce(sum(amount), 0) FROM book_legs WHERE account = 31"))


# --- the pace -------------------------------------------------------------------------------------------------------


async def test_all_workers_together_keep_the_pace(desk: Desk, house: Staged) -> None:
    for booking in [(await bought(desk, house, place))[0] for place in range(16)]:
        await desk.cancel(booking)

    def take(rate: float | None = 3) -> refund_pace.Taken:
        return desk.database.run_transaction(lambda s: refund_pace.take_due(s, 100, MINUTE, rate))

    begin = desk.one("SELECT clock_timestamp()")
    first = take()
    # What nobody used in the last second may be made up for, and no more.
    assert len(first.attempts) == 3
    assert first.pause is not None
    assert 0 < first.pause <= 1 / 3
    others = await asyncio.gather(*(asyncio.to_thread(take) for _ in range(3)))
    seconds = (desk.one("SELECT clock_timestamp()") - begin).total_seconds()
    assert sum(len(other.attempts) for other in others) <= 3 * seconds

    desk.one("UPDATE refund_paces SET free_time = clock_timestamp() - interval '10 s'")
    assert len(take().attempts) == 3, "a pause does not save up for more than a second"
    desk.one("UPDATE refund_paces SET free_time = clock_timestamp() + interval '1 h'")
    held_up = take()
    assert held_up.attempts == []
    assert held_up.pause is not None
    assert 3000 < held_up.pause < 3601
    rest = take(rate=None)
    assert rest.pause is None
    taken = [*first.attempts, *(a for other in others for a in other.attempts), *rest.attempts]
    assert len({attempt.refund_id for attempt in taken}) == len(taken)


async def test_one_provider_does_not_slow_the_other(desk: Desk, house: Staged) -> None:
    for booking in [(await bought(desk, house, place))[0] for place in range(4)]:
        await desk.cancel(booking)
    desk.one("UPDATE refunds SET provider = 2 WHERE id IN (SELECT id FROM refunds LIMIT 2)")
    taken = desk.database.run_transaction(lambda s: refund_pace.take_due(s, 100, MINUTE, 2.0))
    assert len(taken.attempts) == 4
    assert {attempt.provider for attempt in taken.attempts} == {Provider.SIMULATOR}  # the payments' own
