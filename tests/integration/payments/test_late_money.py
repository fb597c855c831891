"""Money that comes in after its hold ran out: the same places under a successor, or all of it back; really stored."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from server.db.engine import Database
from server.domain.payments import give_up_abandoned
from server.payments.collecting import Patience
from server.payments.port import PaymentOrder
from server.payments.simulator import Simulator
from server.seats.booking import Booking
from server.seats.commands import Add, Block, Claim
from server.seats.rules import touch_rules
from server.states import BookingState, ConfirmedBy, PaymentState, RefundState, SimulatedOutcome
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage

IMPATIENT = Patience(call=timedelta(seconds=60), first_wait=timedelta(milliseconds=10), longest_hold=timedelta(0))
"""No booking waits for an unknown outcome: so its hold can run out under it."""


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    async with desk_on(database, patience=IMPATIENT) as desk:
        yield desk
        await desk.settle()
        assert_sound(database, quiet=True)


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


async def run_out_with_money_taken(desk: Desk, house: Staged, *places: int) -> tuple[Booking, UUID]:
    """A booking that ran out while nobody knew that its money had been taken; and the payment's id."""
    booking = await desk.hold(house, *places)
    payment = await desk.captured(booking, SimulatedOutcome.TIMEOUT_AFTER)
    await desk.carry_on()
    assert desk.payment(payment).state is PaymentState.UNKNOWN
    desk.let_time_pass(booking)
    return booking, payment.id


@pytest.mark.parametrize("swept", [True, False], ids=["swept", "before the sweeper came"])
async def test_the_same_places_are_bought_under_a_successor(desk: Desk, house: Staged, swept: bool) -> None:
    booking, payment_id = await run_out_with_money_taken(desk, house, 3, 4)
    if swept:
        await desk.expire(booking)

    await desk.settle()

    old = desk.booking(booking)
    assert (old.state, old.payment_id) == (BookingState.EXPIRED, None)
    assert old.replaced_by is not None
    new = desk.find_booking(house, old.replaced_by)
    assert (new.state, new.confirmed_by, new.replaces) == (BookingState.CONFIRMED, ConfirmedBy.PROVIDER, booking.id)
    assert (new.places, new.prices, new.customer_id) == (booking.places, booking.prices, booking.customer_id)
    assert new.payment_id == payment_id
    paid = desk.find_payment(house, payment_id)
    assert (paid.state, paid.booking_id, paid.bought_booking_id) == (PaymentState.SUCCEEDED, booking.id, new.id)
    assert desk.refunds(paid) == []
    assert desk.one("SELECT count(*) FROM tickets WHERE booking_id = :id AND state = 1", id=new.id) == 2


async def test_cancelling_the_successor_gives_the_money_back(desk: Desk, house: Staged) -> None:
    booking, payment_id = await run_out_with_money_taken(desk, house, 3)
    await desk.settle()
    successor = desk.find_booking(house, desk.booking(booking).replaced_by)

    await desk.cancel(successor)
    await desk.settle()

    payment = desk.find_payment(house, payment_id)
    assert [(r.amount, r.state) for r in desk.refunds(payment)] == [(2500, RefundState.SUCCEEDED)]
    assert desk.booking(successor).state is BookingState.CANCELLED
    await desk.hold(house, 3)


async def test_a_hold_that_has_run_out_is_not_in_the_way(desk: Desk, house: Staged) -> None:
    booking, _ = await run_out_with_money_taken(desk, house, 3)
    await desk.expire(booking)
    in_between = await desk.hold(house, 3, 7)
    desk.let_time_pass(in_between)

    await desk.settle()

    assert desk.booking(booking).replaced_by is not None
    assert desk.booking(in_between).state is BookingState.EXPIRED
    await desk.hold(house, 7)


@pytest.mark.mistake("a charge at sold-out")
async def test_one_place_that_is_gone_sends_all_the_money_back(desk: Desk, house: Staged) -> None:
    booking, payment_id = await run_out_with_money_taken(desk, house, 3, 4)
    await desk.expire(booking)
    await desk.hold(house, 4)

    await desk.settle()

    payment = desk.find_payment(house, payment_id)
    assert (payment.state, payment.error_reason) == (PaymentState.SUCCEEDED, "SEAT_TAKEN")
    assert payment.bought_booking_id is None
    assert [(r.amount, r.state) for r in desk.refunds(payment)] == [(5000, RefundState.SUCCEEDED)]
    assert desk.booking(booking).replaced_by is None
    await desk.hold(house, 3)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("NOT_ON_SALE", "UPDATE events SET state = 1 WHERE id = :event"),
        ("PERFORMANCE_CANCELLED", "UPDATE performances SET state = 2 WHERE id = :performance"),
        ("SALE_ENDED", "UPDATE performances SET sale_end_time = now() WHERE id = :performance"),
        (
            "SALE_NOT_STARTED",
            "UPDATE performances SET sale_start_time = now() + interval '1 h' WHERE id = :performance",
        ),
        ("NOT_ON_SALE", "UPDATE ticket_types SET sale_end_time = now() WHERE performance_id = :performance"),
    ],
)
async def test_what_may_not_be_sold_any_more_is_not_sold_for_late_money(
    desk: Desk, house: Staged, reason: str, change: str
) -> None:
    booking, payment_id = await run_out_with_money_taken(desk, house, 3)
    names = {"event": house.event_id, "performance": house.performance_id}
    desk.one(change, **{name: value for name, value in names.items() if f":{name}" in change})
    desk.database.run_transaction(lambda s: touch_rules(s, house.performance_id))

    await desk.settle()

    payment = desk.find_payment(house, payment_id)
    assert (payment.state, payment.error_reason) == (PaymentState.SUCCEEDED, reason)
    assert [(r.amount, r.state) for r in desk.refunds(payment)] == [(2500, RefundState.SUCCEEDED)]
    assert (await desk.expire(booking)).replaced_by is None  # type: ignore[union-attr]


async def test_the_limits_count_what_was_held_and_bought_meanwhile(desk: Desk, house: Staged) -> None:
    desk.one("UPDATE ticket_types SET quantity = 5 WHERE performance_id = :id", id=house.performance_id)
    busy, busy_payment = await run_out_with_money_taken(desk, house, 3)
    await desk.hold(house, 10, 11, 12, 13, customer=busy.customer_id)
    slow, slow_payment = await run_out_with_money_taken(desk, house, 4)
    await desk.expire(slow)
    await desk.hold(house, 14)

    await desk.settle()

    said = [desk.find_payment(house, payment_id).error_reason for payment_id in (busy_payment, slow_payment)]
    assert said == ["CUSTOMER_LIMIT_REACHED", "TICKET_TYPE_SOLD_OUT"]


async def test_a_place_that_was_blocked_meanwhile_stays_blocked(desk: Desk, house: Staged) -> None:
    booking, payment_id = await run_out_with_money_taken(desk, house, 3)
    await desk.expire(booking)
    await desk.ledger.execute(Block(performance_id=house.performance_id, places=(3,), actor_id=None))

    await desk.settle()

    assert [r.amount for r in desk.refunds(desk.find_payment(house, payment_id))] == [2500]


async def test_money_for_a_booking_that_the_customer_cancelled_goes_back(desk: Desk, house: Staged) -> None:
    booking, payment_id = await run_out_with_money_taken(desk, house, 3)
    desk.one(
        "UPDATE bookings SET hold_expire_time = clock_timestamp() + interval '9 min' WHERE id = :id", id=booking.id
    )
    await desk.cancel(booking)

    await desk.settle()

    payment = desk.find_payment(house, payment_id)
    assert (payment.error_reason, payment.bought_booking_id) == ("BOOKING_STATE", None)
    assert [r.amount for r in desk.refunds(payment)] == [2500]


async def test_a_booking_that_costs_something_else_by_now_is_not_bought_with_the_old_price(
    desk: Desk, house: Staged
) -> None:
    booking, payment_id = await run_out_with_money_taken(desk, house, 3)
    desk.one(
        "UPDATE bookings SET hold_expire_time = clock_timestamp() + interval '9 min' WHERE id = :id", id=booking.id
    )
    more = Add(
        performance_id=house.performance_id, booking_id=booking.id, actor_id=booking.customer_id, claims=(Claim(4),)
    )
    await desk.ledger.execute(more)
    desk.let_time_pass(booking)

    await desk.settle()

    payment = desk.find_payment(house, payment_id)
    assert payment.error_reason == "PAYMENT_STATE"
    assert [r.amount for r in desk.refunds(payment)] == [2500]


class TakesMoneyUnasked(Simulator):
    """A provider at which the customer approves at the last moment, and that then takes the money by itself."""

    async def cancel(self, order: PaymentOrder) -> object:  # type: ignore[override]
        """Come too late."""
        await super().capture(order)
        return await super().cancel(order)


@pytest.mark.parametrize("by_customer", [False, True], ids=["abandoned", "given up by the customer"])
async def test_money_of_a_payment_that_was_given_up(database: Database, house: Staged, by_customer: bool) -> None:
    provider = TakesMoneyUnasked(database, success_rate=1, delay=timedelta(0))
    async with desk_on(database, provider=provider) as desk:
        booking = await desk.hold(house, 3)
        payment = await desk.pay(booking)
        await desk.settle()
        if by_customer:
            await desk.give_up(payment)
        desk.let_time_pass(booking)
        await desk.expire(booking)
        database.run_transaction(lambda s: give_up_abandoned(s, 10))

        await desk.settle()

        ended = desk.payment(payment)
        assert ended.state is PaymentState.SUCCEEDED
        assert (ended.bought_booking_id is None) == by_customer
        assert len(desk.refunds(payment)) == by_customer
    assert_sound(database, quiet=True)


async def test_the_second_payment_that_comes_late_for_one_booking_goes_back(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    first = await desk.captured(booking, SimulatedOutcome.TIMEOUT_AFTER)
    await desk.carry_on()
    # What no provider should do: say that it declined, and take the money all the same.
    desk.one(
        "UPDATE payments SET state = 5, error_reason = 'DECLINED', next_attempt_time = NULL WHERE id = :id", id=first.id
    )
    desk.one("UPDATE bookings SET payment_id = NULL WHERE id = :id", id=booking.id)
    second = await desk.captured(booking, SimulatedOutcome.TIMEOUT_AFTER)
    await desk.carry_on()
    desk.let_time_pass(booking)
    await desk.expire(booking)
    desk.one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE id = :id", id=first.id)

    await desk.settle()

    ended = [desk.payment(first), desk.payment(second)]
    assert [p.state for p in ended] == [PaymentState.SUCCEEDED] * 2
    assert sorted(p.bought_booking_id is not None for p in ended) == [False, True]
    assert [r.amount for p in ended if p.bought_booking_id is None for r in desk.refunds(p)] == [2500]
