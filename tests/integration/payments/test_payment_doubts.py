"""Money of which the provider says that it is another payment's: it waits, and does what staff decide."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from server.db.engine import Database
from server.domain.backlog import backlog
from server.errors import FailedPrecondition
from server.payments.book_comparison import compare
from server.payments.port import Captured, PaymentOrder
from server.payments.simulator import Simulator
from server.states import BookingState, PaymentState, Provider, RefundState, Resolution, SimulatedOutcome
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage

pytestmark = pytest.mark.asyncio


class NamesAnother(Simulator):
    """A provider whose books call every payment by another's name, until they are put right."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, success_rate=1, delay=timedelta(0))
        self.names: UUID | None = uuid4()

    async def capture(self, order: PaymentOrder) -> Any:
        """Take the money, and call it another's."""
        return self._renamed(await super().capture(order))

    async def find(self, order: PaymentOrder) -> Any:
        """Look the order up, and call it another's."""
        return self._renamed(await super().find(order))

    async def cancel(self, order: PaymentOrder) -> Any:
        """Close the order; what was taken is called another's."""
        return self._renamed(await super().cancel(order))

    def _renamed(self, answer: Any) -> Any:
        if isinstance(answer, Captured) and self.names is not None:
            return replace(answer, payment_id=self.names)
        return answer


@pytest.fixture
def database(fresh_database: Database) -> Database:
    return fresh_database


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


@pytest.fixture
def provider(database: Database) -> NamesAnother:
    return NamesAnother(database)


@pytest_asyncio.fixture
async def desk(database: Database, provider: NamesAnother) -> AsyncIterator[Desk]:
    async with desk_on(database, provider=provider) as found:
        yield found
        await found.settle()
    assert_sound(database, quiet=True)


def for_people(desk: Desk, kind: str) -> int:
    return {one.kind: one.for_people for one in desk.database.run_transaction(backlog)}[kind]


async def test_it_buys_nothing_goes_back_to_nobody_and_is_shown_to_staff(
    desk: Desk, house: Staged, provider: NamesAnother
) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    await desk.settle()

    held = desk.payment(payment)
    assert (held.state, held.error_reason, held.next_attempt_time) == (PaymentState.UNKNOWN, "REFERENCE_MISMATCH", None)
    assert held.discrepancy == f"REFERENCE_MISMATCH: the provider took 2500 EUR for payment {provider.names}"
    assert desk.refunds(payment) == []
    assert (desk.booking(booking).state, desk.booking(booking).payment_id) == (BookingState.HELD, None)
    assert for_people(desk, "money in doubt") == 1
    found = await compare(desk.database, {Provider.SIMULATOR: desk.simulator})
    assert [one.ours for one in found.differences] == ["nothing"]
    assert_sound(desk.database)

    await desk.resolve(payment, Resolution.GIVE_BACK)
    await desk.settle()
    assert [(one.state, one.amount) for one in desk.refunds(payment)] == [(RefundState.SUCCEEDED, 2500)]
    assert for_people(desk, "money in doubt") == 0


async def test_a_hint_has_it_asked_about_and_it_waits_again(desk: Desk, house: Staged, provider: NamesAnother) -> None:
    payment = await desk.captured(await desk.hold(house, 3))
    await desk.settle()
    for names in (uuid4(), None):
        provider.names = names
        desk.one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE id = :id", id=payment.id)
        await desk.settle()
    # The provider's books were put right: nobody has to decide any more.
    assert (desk.payment(payment).state, desk.payment(payment).discrepancy) == (PaymentState.SUCCEEDED, None)


@pytest.mark.parametrize("late", [False, True])
async def test_staff_say_that_it_is_ours_and_it_buys_what_it_can(desk: Desk, house: Staged, late: bool) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    await desk.settle()
    if late:
        desk.let_time_pass(booking)
        await desk.expire(booking)

    await desk.resolve(payment, Resolution.OURS)
    await desk.settle()

    used = desk.payment(payment)
    assert (used.state, used.discrepancy, used.resolution) == (PaymentState.SUCCEEDED, None, Resolution.OURS)
    bought = desk.find_booking(house, used.bought_booking_id or booking.id)
    assert (bought.state, bought.payment_id) == (BookingState.CONFIRMED, payment.id)
    assert (used.bought_booking_id is not None) is late


async def test_ours_but_the_seat_is_gone_goes_back(desk: Desk, house: Staged, provider: NamesAnother) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    await desk.settle()
    desk.let_time_pass(booking)
    await desk.expire(booking)
    await desk.hold(house, 3)
    await desk.resolve(payment, Resolution.OURS)
    await desk.settle()
    assert [one.state for one in desk.refunds(payment)] == [RefundState.SUCCEEDED]


async def test_staff_say_that_it_is_not_ours_and_the_booking_may_be_paid_anew(
    desk: Desk, house: Staged, provider: NamesAnother
) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    await desk.settle()
    with pytest.raises(FailedPrecondition, match="under way"):
        await desk.pay(booking)

    await desk.resolve(payment, Resolution.NOT_OURS)
    await desk.settle()
    assert (desk.payment(payment).state, desk.refunds(payment)) == (PaymentState.FAILED, [])
    # A hint, and the comparison with the provider's books, find nothing new in it.
    desk.one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE id = :id", id=payment.id)
    await desk.settle()
    await desk.compare()
    assert (desk.payment(payment).state, desk.payment(payment).discrepancy) == (PaymentState.FAILED, None)

    provider.names = None
    again = await desk.captured(booking)
    await desk.settle()
    assert desk.payment(again).state is PaymentState.SUCCEEDED
    assert desk.booking(booking).state is BookingState.CONFIRMED


async def test_money_that_was_found_after_a_payment_was_given_up_waits_too(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.pay(booking)
    await desk.settle()
    desk.one("UPDATE simulator_orders SET state = 2 WHERE payment_id = :id", id=payment.id)
    await desk.give_up(payment)
    await desk.settle()

    held = desk.payment(payment)
    assert held.state is PaymentState.CANCELLED
    assert str(held.discrepancy).startswith("REFERENCE_MISMATCH")
    assert desk.refunds(payment) == []

    await desk.resolve(payment, Resolution.OURS)
    await desk.settle()
    assert desk.payment(payment).error_reason == "PAYMENT_CANCELLED"
    assert [one.state for one in desk.refunds(payment)] == [RefundState.SUCCEEDED]


async def test_only_what_is_in_doubt_is_decided(desk: Desk, house: Staged, provider: NamesAnother) -> None:
    provider.names = None
    payment = await desk.captured(await desk.hold(house, 3), SimulatedOutcome.DECLINE)
    await desk.settle()
    with pytest.raises(FailedPrecondition, match="not in doubt") as refused:
        await desk.resolve(payment, Resolution.OURS)
    assert refused.value.reason == "PAYMENT_STATE"


async def test_a_worker_that_slept_through_the_decision_changes_nothing(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    (sleeper,) = await desk.collector.take(1)
    desk.one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE id = :id", id=payment.id)
    await desk.carry_on()
    await desk.resolve(payment, Resolution.OURS)

    await desk.collector.carry_on(sleeper)
    await desk.settle()
    assert desk.booking(booking).state is BookingState.CONFIRMED
    assert desk.payment(payment).discrepancy is None
