"""From the customer's wish to pay to sold seats, or to money given back: on a real database, with the simulator."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from server.db.engine import Database
from server.db.models.simulator import SimulatorOrder
from server.domain.payments import give_up_abandoned
from server.errors import FailedPrecondition, NotFound, RowlockError, Unavailable
from server.payments.collecting import Patience
from server.payments.port import Captured, PaymentOrder, Unknown
from server.payments.simulator import REFUND, Simulator
from server.seats.commands import Add, Claim, Confirm
from server.states import (
    BookingState,
    ConfirmedBy,
    PaymentState,
    RefundState,
    SimulatedOrder,
    SimulatedOutcome,
)
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    async with desk_on(database) as desk:
        yield desk
        assert_sound(database)
        await desk.settle()  # nothing is left to do for the next test


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


async def refused(awaitable: Any, kind: type[RowlockError] = FailedPrecondition) -> str:
    with pytest.raises(kind) as refusal:
        await awaitable
    return refusal.value.reason


@pytest.mark.promise("0.10")
@pytest.mark.promise("4.6")
async def test_a_paid_booking_is_confirmed_and_has_its_tickets(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3, 4)

    payment = await desk.captured(booking)
    await desk.settle()

    paid, bought = desk.payment(payment), desk.booking(booking)
    assert (paid.state, paid.amount, paid.currency) == (PaymentState.SUCCEEDED, 5000, "EUR")
    assert paid.provider_reference is not None
    assert paid.complete_time is not None
    assert (bought.state, bought.confirmed_by) == (BookingState.CONFIRMED, ConfirmedBy.PROVIDER)
    assert bought.payment_id == payment.id
    assert desk.one("SELECT count(*) FROM tickets WHERE booking_id = :id AND state = 1", id=booking.id) == 2
    assert_sound(desk.database, quiet=True)


@pytest.mark.promise("0.10")
@pytest.mark.promise("3.5")
@pytest.mark.promise("3.6")
async def test_a_declined_payment_leaves_the_hold_for_another_try(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)

    first = await desk.captured(booking, SimulatedOutcome.DECLINE)
    await desk.settle()

    declined = desk.payment(first)
    assert (declined.state, declined.error_reason) == (PaymentState.FAILED, "INSTRUMENT_DECLINED")
    assert desk.booking(booking).state is BookingState.HELD
    assert desk.booking(booking).payment_id is None

    await desk.captured(booking)
    await desk.settle()
    assert desk.booking(booking).state is BookingState.CONFIRMED
    assert_sound(desk.database, quiet=True)


async def test_the_provider_hears_of_a_payment_before_the_customer_has_to_act(desk: Desk, house: Staged) -> None:
    payment = await desk.pay(await desk.hold(house, 3))
    assert payment.state is PaymentState.CREATED

    await desk.settle()

    known = desk.payment(payment)
    assert known.state is PaymentState.REQUIRES_ACTION
    assert known.provider_reference is not None
    assert desk.order(payment) is not None


@pytest.mark.promise("1.8")
async def test_a_stranger_finds_neither_booking_nor_payment(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.pay(booking)
    stranger = UUID(int=1)

    payment.customer_id = stranger
    assert await refused(desk.capture(payment), NotFound) == "NOT_FOUND"
    assert await refused(desk.give_up(payment), NotFound) == "NOT_FOUND"


@pytest.mark.promise("3.3")
async def test_a_hold_that_has_run_out_cannot_be_paid(desk: Desk, house: Staged) -> None:
    late, later = await desk.hold(house, 3), await desk.hold(house, 4)
    payment = await desk.pay(later)
    desk.let_time_pass(late)
    desk.let_time_pass(later)

    assert await refused(desk.pay(late)) == "HOLD_EXPIRED"
    assert await refused(desk.capture(payment)) == "HOLD_EXPIRED"
    await desk.expire(late)
    assert await refused(desk.pay(late)) == "HOLD_EXPIRED"


@pytest.mark.promise("3.5")
async def test_a_hold_does_not_run_out_while_its_payment_is_in_flight(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    await desk.captured(booking)
    desk.let_time_pass(booking)

    assert (await desk.expire(booking)).state is BookingState.HELD  # type: ignore[union-attr]
    await desk.settle()
    assert desk.booking(booking).state is BookingState.CONFIRMED


@pytest.mark.promise("3.5")
async def test_a_payment_that_fails_after_the_time_lets_the_hold_run_out(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    await desk.captured(booking, SimulatedOutcome.DECLINE)
    desk.let_time_pass(booking)

    await desk.settle()

    assert desk.booking(booking).state is BookingState.EXPIRED
    assert (await desk.expire(booking)).state is BookingState.EXPIRED  # type: ignore[union-attr]
    await desk.hold(house, 3)


async def test_while_the_customer_has_the_next_move_the_clock_runs(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.pay(booking)
    await desk.settle()
    desk.let_time_pass(booking)
    await desk.expire(booking)

    assert desk.database.run_transaction(lambda s: give_up_abandoned(s, 10)) == 1
    await desk.settle()

    ended = desk.payment(payment)
    assert (ended.state, ended.error_reason) == (PaymentState.CANCELLED, "BOOKING_ENDED")
    order = desk.order(payment)
    assert order is not None
    assert order.state is SimulatedOrder.CANCELLED


async def test_one_payment_at_a_time(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    first = await desk.pay(booking)
    assert await refused(desk.pay(booking)) == "PAYMENT_IN_FLIGHT"

    await desk.give_up(first)
    second = await desk.pay(booking)
    await desk.capture(second)
    assert await refused(desk.pay(booking)) == "PAYMENT_IN_FLIGHT"
    assert await refused(desk.cancel(booking)) == "PAYMENT_IN_FLIGHT"
    await desk.settle()
    assert await refused(desk.pay(booking)) == "BOOKING_STATE"


async def test_what_was_added_after_the_payment_began_is_not_paid_by_it(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.pay(booking)
    await desk.ledger.execute(
        Add(
            performance_id=house.performance_id,
            booking_id=booking.id,
            actor_id=booking.customer_id,
            claims=(Claim(4),),
        )
    )

    assert await refused(desk.capture(payment)) == "PAYMENT_STATE"
    await desk.give_up(payment)
    again = await desk.captured(booking)
    assert again.amount == 5000


async def test_a_captured_payment_cannot_be_given_up(desk: Desk, house: Staged) -> None:
    payment = await desk.captured(await desk.hold(house, 3))
    assert await refused(desk.give_up(payment)) == "PAYMENT_STATE"
    await desk.settle()
    assert await refused(desk.give_up(payment)) == "PAYMENT_STATE"
    assert (await desk.capture(payment)).state is PaymentState.SUCCEEDED


async def test_a_payment_given_up_is_given_up_at_the_provider(desk: Desk, house: Staged) -> None:
    payment = await desk.pay(await desk.hold(house, 3))
    await desk.settle()
    await desk.give_up(payment)
    await desk.settle()

    order = desk.order(payment)
    assert order is not None
    assert order.state is SimulatedOrder.CANCELLED
    assert await refused(desk.capture(payment)) == "PAYMENT_STATE"


async def test_a_payment_given_up_before_the_provider_heard_of_it_is_never_sent(desk: Desk, house: Staged) -> None:
    payment = await desk.pay(await desk.hold(house, 3))
    await desk.give_up(payment)
    await desk.settle()
    assert desk.order(payment) is None


@pytest.mark.parametrize("silence", [SimulatedOutcome.TIMEOUT_BEFORE, SimulatedOutcome.TIMEOUT_AFTER])
async def test_an_unknown_outcome_is_asked_for_until_it_is_known(
    desk: Desk, house: Staged, silence: SimulatedOutcome
) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking, silence)
    await desk.carry_on()

    assert desk.payment(payment).state is PaymentState.UNKNOWN
    assert desk.booking(booking).payment_id == payment.id
    assert await refused(desk.capture(payment), Unavailable) == "PROVIDER_UNREACHABLE"
    desk.let_time_pass(booking)
    await desk.expire(booking)

    await desk.settle()
    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    assert desk.booking(booking).state is BookingState.CONFIRMED
    assert_sound(desk.database, quiet=True)


async def test_a_booking_does_not_wait_for_ever_and_late_money_goes_back(database: Database, house: Staged) -> None:
    impatient = Patience(call=timedelta(seconds=60), first_wait=timedelta(milliseconds=10), longest_hold=timedelta(0))
    async with desk_on(database, patience=impatient) as desk:
        booking = await desk.hold(house, 3)
        payment = await desk.captured(booking, SimulatedOutcome.TIMEOUT_AFTER)
        await desk.carry_on()
        assert desk.payment(payment).state is PaymentState.UNKNOWN
        desk.let_time_pass(booking)
        await desk.expire(booking)
        somebody_else = await desk.hold(house, 3)

        await desk.settle()

        late = desk.payment(payment)
        assert (late.state, late.error_reason) == (PaymentState.SUCCEEDED, "SEAT_TAKEN")
        assert [(r.amount, r.state) for r in desk.refunds(payment)] == [(2500, RefundState.SUCCEEDED)]
        assert desk.booking(somebody_else).state is BookingState.HELD
    assert_sound(database, quiet=True)


async def test_a_booking_left_to_its_clock_is_bought_if_the_money_comes_in_time(
    database: Database, house: Staged
) -> None:
    impatient = Patience(call=timedelta(seconds=60), first_wait=timedelta(milliseconds=10), longest_hold=timedelta(0))
    async with desk_on(database, patience=impatient) as desk:
        booking = await desk.hold(house, 3)
        await desk.captured(booking, SimulatedOutcome.TIMEOUT_AFTER)
        await desk.carry_on()
        assert desk.booking(booking).payment_id is None

        await desk.settle()

        assert desk.booking(booking).state is BookingState.CONFIRMED
    assert_sound(database, quiet=True)


async def test_what_was_never_taken_is_not_taken_for_a_booking_that_waits_no_longer(
    database: Database, house: Staged
) -> None:
    impatient = Patience(call=timedelta(seconds=60), first_wait=timedelta(milliseconds=10), longest_hold=timedelta(0))
    async with desk_on(database, patience=impatient) as desk:
        booking = await desk.hold(house, 3)
        payment = await desk.captured(booking, SimulatedOutcome.TIMEOUT_BEFORE)

        await desk.settle()

        assert desk.payment(payment).state is PaymentState.CANCELLED
        assert desk.booking(booking).state is BookingState.HELD
    assert_sound(database, quiet=True)


@pytest.mark.promise("1.9")
@pytest.mark.promise("4.2")
async def test_a_cancelled_booking_is_refunded_and_its_seats_are_free(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3, 4)
    payment = await desk.captured(booking)
    await desk.settle()

    await desk.cancel(booking)
    await desk.settle()

    (refund,) = desk.refunds(payment)
    assert (refund.amount, refund.state, refund.actor_id) == (5000, RefundState.SUCCEEDED, booking.customer_id)
    await desk.hold(house, 3, 4)
    assert_sound(desk.database, quiet=True)


@pytest.mark.parametrize("silence", [SimulatedOutcome.TIMEOUT_BEFORE, SimulatedOutcome.TIMEOUT_AFTER])
async def test_a_refund_without_an_answer_is_asked_for_again_and_done_once(
    desk: Desk, house: Staged, silence: SimulatedOutcome
) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    await desk.settle()
    desk.script(payment, silence, REFUND)

    await desk.cancel(booking)
    await desk.carry_on()
    assert [r.state for r in desk.refunds(payment)] == [RefundState.PROCESSING]
    await desk.settle()

    assert [r.state for r in desk.refunds(payment)] == [RefundState.SUCCEEDED]
    assert desk.one("SELECT count(*) FROM simulator_refunds WHERE payment_id = :id", id=payment.id) == 1
    assert_sound(desk.database, quiet=True)


async def test_a_refused_refund_stays_for_staff_to_see(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    await desk.settle()
    desk.script(payment, SimulatedOutcome.DECLINE, REFUND)

    await desk.cancel(booking)
    await desk.settle()

    failed = desk.refunds(payment)[0]
    assert (failed.state, failed.error_reason) == (RefundState.FAILED, "REFUND_REFUSED")
    assert failed.next_attempt_time is None


async def test_a_box_office_sale_ends_the_payment_that_was_begun(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.pay(booking)
    await desk.settle()

    await desk.ledger.execute(
        Confirm(
            performance_id=house.performance_id,
            booking_id=booking.id,
            actor_id=UUID(int=7),
            staff=True,
            confirmed_by=ConfirmedBy.CASH,
        )
    )
    desk.database.run_transaction(lambda s: give_up_abandoned(s, 10))
    await desk.settle()

    assert desk.payment(payment).state is PaymentState.CANCELLED
    assert_sound(desk.database, quiet=True)


@pytest.mark.promise("0.9")
@pytest.mark.parametrize(
    ("rate", "ends"),
    [
        (0.0, {PaymentState.FAILED}),
        (1.0, {PaymentState.SUCCEEDED}),
        (0.5, {PaymentState.FAILED, PaymentState.SUCCEEDED}),
    ],
)
async def test_a_payment_of_which_nothing_is_said_ends_by_chance(
    database: Database, house: Staged, rate: float, ends: set[PaymentState]
) -> None:
    provider = Simulator(database, success_rate=rate, delay=timedelta(0))
    async with desk_on(database, provider=provider) as desk:
        # That forty fair coins fall alike happens once in 550 thousand million times.
        payments = [await desk.pay(await desk.hold(house, place)) for place in range(40)]
        for payment in payments:
            await desk.capture(payment)
        await desk.settle()
        assert {desk.payment(payment).state for payment in payments} == ends
        assert_sound(database, quiet=True)


class TakesTheWrongAmount(Simulator):
    """A provider that takes another amount than it is asked for, until it is mended."""

    def __init__(self, database: Database, *, amount: int, currency: str = "EUR") -> None:
        super().__init__(database, success_rate=1, delay=timedelta(0))
        self._books = database
        self._wrong = {"amount": amount, "currency": currency}
        self.mended = False

    async def create(self, order: PaymentOrder) -> Any:
        """Write the wrong amount into its books."""
        answer = await super().create(order)
        if not self.mended:
            change = update(SimulatorOrder).where(SimulatorOrder.payment_id == order.payment_id).values(**self._wrong)
            await self._books.transaction(lambda session: session.execute(change))
        return answer


@pytest.mark.parametrize(("amount", "currency"), [(25_000, "EUR"), (24, "EUR"), (2500, "JPY")])
async def test_another_amount_than_was_asked_for_buys_nothing_and_goes_back(
    database: Database, house: Staged, amount: int, currency: str
) -> None:
    provider = TakesTheWrongAmount(database, amount=amount, currency=currency)
    async with desk_on(database, provider=provider) as desk:
        booking = await desk.hold(house, 3)
        payment = await desk.captured(booking)
        await desk.settle()

        wrong = desk.payment(payment)
        assert (wrong.state, wrong.amount, wrong.currency) == (PaymentState.SUCCEEDED, amount, currency)
        assert wrong.error_reason == f"AMOUNT_MISMATCH: {amount} {currency} was taken, 2500 EUR was asked for"
        refunds = [(r.amount, r.currency, r.state) for r in desk.refunds(payment)]
        assert refunds == [(amount, currency, RefundState.SUCCEEDED)]
        assert (desk.booking(booking).state, desk.booking(booking).payment_id) == (BookingState.HELD, None)
        assert_sound(database, quiet=True)

        provider.mended = True
        await desk.captured(booking)
        await desk.settle()
        assert desk.booking(booking).state is BookingState.CONFIRMED
    assert_sound(database, quiet=True)


async def test_a_wrong_amount_of_a_payment_given_up_goes_back_beside_the_next_payment(
    database: Database, house: Staged
) -> None:
    provider = TakesTheWrongAmount(database, amount=9900)
    async with desk_on(database, provider=provider) as desk:
        booking = await desk.hold(house, 3)
        given_up = await desk.pay(booking)
        await desk.settle()
        await desk.give_up(given_up)
        provider.mended = True
        await desk.pay(booking)
        await provider.capture(PaymentOrder(given_up.id, 2500, "EUR"))  # approved there at the last moment

        await desk.settle()

        assert desk.payment(given_up).state is PaymentState.SUCCEEDED
        assert [(r.amount, r.state) for r in desk.refunds(given_up)] == [(9900, RefundState.SUCCEEDED)]
    assert_sound(database, quiet=True)


async def test_a_worker_that_comes_late_does_not_hold_a_booking_for_money_that_went_back(
    database: Database, house: Staged
) -> None:
    async with desk_on(database, provider=TakesTheWrongAmount(database, amount=9900)) as desk:
        booking = await desk.hold(house, 3)
        payment = await desk.captured(booking)
        (late,) = await desk.collector.take(1)
        desk.one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE id = :id RETURNING 1", id=payment.id)
        await desk.settle()

        await desk.collector._confirm(late, Captured("late", 2500, "EUR"))

        assert (desk.booking(booking).state, desk.booking(booking).payment_id) == (BookingState.HELD, None)
        assert [r.amount for r in desk.refunds(payment)] == [9900]
    assert_sound(database, quiet=True)


class Breaks(Simulator):
    """A provider whose adapter has a fault."""

    async def capture(self, order: PaymentOrder) -> Any:
        """Do it, then break."""
        await super().capture(order)
        raise ZeroDivisionError


class IsSlow(Simulator):
    """A provider that does what it is asked and answers too late."""

    async def capture(self, order: PaymentOrder) -> Any:
        """Do it, then let the caller wait."""
        await super().capture(order)
        await asyncio.sleep(60)
        return Unknown("never heard")


@pytest.mark.parametrize("kind", [Breaks, IsSlow])
async def test_a_fault_of_the_provider_is_never_taken_for_a_no(
    database: Database, house: Staged, kind: type[Simulator]
) -> None:
    patience = Patience(call=timedelta(milliseconds=300), first_wait=timedelta(milliseconds=10))
    async with desk_on(
        database, patience=patience, provider=kind(database, success_rate=1, delay=timedelta(0))
    ) as desk:
        booking = await desk.hold(house, 3)
        await desk.captured(booking)
        await desk.settle()
        assert desk.booking(booking).state is BookingState.CONFIRMED
    assert_sound(database, quiet=True)


async def test_a_worker_that_knows_less_does_not_undo_what_another_has_learnt(desk: Desk, house: Staged) -> None:
    """A worker stopped for so long that another took its payment over wakes up with its old answer."""
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    (stopped,) = await desk.collector.take(1)
    desk.one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE id = :id RETURNING 1", id=payment.id)
    await desk.settle()
    assert desk.payment(payment).state is PaymentState.SUCCEEDED

    await desk.collector._write_down(stopped, Unknown("too late"))
    await desk.collector.carry_on(stopped)

    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    assert desk.refunds(payment) == []
    assert_sound(desk.database, quiet=True)
