"""Refunds that a provider refused and the house paid back in another way; and cash that waits at the box office."""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.db.models.box_office import Shift, TillEntry
from server.db.models.payments import Payment, Refund
from server.domain import books, cash_dues, refund_attempts, refunds
from server.domain.refund_settlement import Settlement, settle
from server.errors import FailedPrecondition, InvalidArgument, NotFound
from server.payments.book_comparison import books_equal
from server.payments.simulator import REFUND
from server.seats.booking import Booking
from server.seats.commands import Confirm, Return
from server.states import (
    Account,
    ConfirmedBy,
    Provider,
    RefundMethod,
    RefundState,
    ShiftState,
    SimulatedOutcome,
    TillEntryKind,
)
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage

pytestmark = [pytest.mark.asyncio, pytest.mark.promise("1.9")]

STAFF = UUID(int=7)


@pytest_asyncio.fixture
async def desk(fresh_database: Database) -> AsyncIterator[Desk]:
    async with desk_on(fresh_database) as found:
        yield found
    assert_sound(fresh_database)


@pytest.fixture
def house(fresh_database: Database) -> Staged:
    return fresh_database.run_transaction(stage)


async def refused(desk: Desk, house: Staged, *places: int) -> tuple[Payment, Refund]:
    """A refund that its provider refused for good."""
    booking = await desk.hold(house, *places)
    payment = await desk.captured(booking)
    await desk.settle()
    desk.script(payment, SimulatedOutcome.DECLINE, REFUND)
    await desk.cancel(booking)
    await desk.settle()
    (refund,) = desk.refunds(payment)
    assert refund.state is RefundState.FAILED
    return payment, refund


def balances(desk: Desk) -> dict[Account, int]:
    found = desk.database.run_transaction(books.balances)
    return {balance.account: balance.amount for balance in found if balance.amount}


@pytest.mark.parametrize(
    ("method", "account"),
    [
        (RefundMethod.CASH, Account.CASH),
        (RefundMethod.BANK_TRANSFER, Account.BANK),
        (RefundMethod.OTHER, Account.OTHER_MEANS),
    ],
)
async def test_what_was_paid_back_in_another_way_is_owed_no_more(
    desk: Desk, house: Staged, method: RefundMethod, account: Account
) -> None:
    payment, refund = await refused(desk, house, 3)
    await desk.settle_refund(refund, method)

    (settled,) = desk.refunds(payment)
    assert (settled.state, settled.settle_method, settled.settle_reference) == (
        RefundState.SUCCEEDED,
        method,
        "transfer 1",
    )
    assert (settled.next_attempt_time, settled.error_reason, settled.provider_reference) == (None, None, None)
    assert settled.settler_id is not None
    assert settled.settle_time == settled.complete_time
    assert balances(desk) == {Account.SIMULATOR: 2500, account: -2500}
    told = "SELECT count(*) FROM notifications WHERE kind = 8 AND about LIKE '%/refunds/' || CAST(:id AS text)"
    assert desk.one(told, id=str(refund.id)) == 1
    # The provider has the money still, by its books and by ours.
    assert await books_equal(desk.database, {Provider.SIMULATOR: desk.simulator})
    await desk.compare()
    assert desk.payment(payment).discrepancy is None
    assert_sound(desk.database, quiet=True)


async def test_cash_is_counted_in_the_open_shift_of_whoever_hands_it_out(desk: Desk, house: Staged) -> None:
    _, refund = await refused(desk, house, 3)
    shift = Shift(id=uuid4(), staff_id=STAFF, till="1", state=ShiftState.OPEN, currency="EUR", opening_cash=10_000)
    desk.database.run_transaction(lambda s: s.add(shift))
    name = refund.performance_id, refund.booking_id, refund.payment_id, refund.id
    paid = Settlement(RefundMethod.CASH, "", "the card was closed", STAFF)
    desk.database.run_transaction(lambda s: settle(s, *name, settlement=paid))
    (entry,) = desk.database.run_transaction(lambda s: s.query(TillEntry).all())
    assert (entry.kind, entry.amount, entry.tickets) == (TillEntryKind.CASH_REFUND, 2500, 1)


async def test_only_what_was_refused_can_be_settled_and_only_once(desk: Desk, house: Staged) -> None:
    payment, refund = await refused(desk, house, 3)
    with pytest.raises(InvalidArgument, match="what proves"):
        await desk.settle_refund(refund, RefundMethod.BANK_TRANSFER, "")
    await desk.settle_refund(refund, RefundMethod.BANK_TRANSFER)
    with pytest.raises(FailedPrecondition, match="SUCCEEDED") as refusal:
        await desk.settle_refund(refund, RefundMethod.BANK_TRANSFER)
    assert refusal.value.reason == "REFUND_STATE"
    with pytest.raises(NotFound):
        desk.database.run_transaction(
            lambda s: settle(
                s,
                refund.performance_id,
                uuid4(),
                payment.id,
                refund.id,
                settlement=Settlement(RefundMethod.CASH, "", "x", STAFF),
            )
        )
    # Nor is it tried anew: it is answered as it is.
    name = refund.performance_id, refund.booking_id, refund.payment_id, refund.id
    again = desk.database.run_transaction(lambda s: refunds.retry(s, *name, reason="once more"))
    assert (again.state, again.next_attempt_time) == (RefundState.SUCCEEDED, None)


async def test_a_provider_that_gives_the_money_back_after_all_is_entered_and_shown_to_staff(
    desk: Desk, house: Staged
) -> None:
    payment, refund = await refused(desk, house, 3)
    # A worker asked once more under the same key, has a yes in its hand, and sleeps.
    desk.database.run_transaction(lambda s: refund_attempts.look_now(s, refund.performance_id, refund.id))
    (sleeper,) = await desk.refunder.take(1)
    desk.database.run_transaction(lambda s: refund_attempts.failed(s, sleeper, "CLOSED"))
    await desk.settle_refund(refund, RefundMethod.BANK_TRANSFER)
    order = desk.order(payment)
    assert order is not None
    desk.one("DELETE FROM simulator_scripts")
    await desk.simulator.refund(sleeper.order, refund.provider_key, refund.amount)
    assert not await books_equal(desk.database, {Provider.SIMULATOR: desk.simulator})

    await desk.refunder.carry_on(sleeper)
    await desk.refunder.carry_on(sleeper)

    (twice,) = desk.refunds(payment)
    assert (twice.state, twice.discrepancy) == (RefundState.SUCCEEDED, refund_attempts.PAID_TWICE)
    assert balances(desk) == {Account.BANK: -2500, Account.REFUNDED_TWICE: 2500}
    assert await books_equal(desk.database, {Provider.SIMULATOR: desk.simulator})
    assert_sound(desk.database, quiet=True)

    with pytest.raises(InvalidArgument, match="no till"):
        await desk.settle_refund(refund, RefundMethod.CASH)
    await desk.settle_refund(refund, RefundMethod.BANK_TRANSFER, "came back, transfer 2")
    (sorted_out,) = desk.refunds(payment)
    assert (sorted_out.discrepancy, sorted_out.settle_reference) == (None, "transfer 1")
    assert balances(desk) == {}
    assert await books_equal(desk.database, {Provider.SIMULATOR: desk.simulator})


# --- cash that waits ------------------------------------------------------------------------------------------------


async def sold(desk: Desk, house: Staged, *places: int) -> Booking:
    """Sold at the box office for cash."""
    booking = await desk.hold(house, *places)
    confirmed = await desk.ledger.execute(
        Confirm(
            performance_id=booking.performance_id,
            booking_id=booking.id,
            actor_id=STAFF,
            staff=True,
            confirmed_by=ConfirmedBy.CASH,
        )
    )
    assert confirmed is not None
    return confirmed


def listed(
    desk: Desk, performance_id: int | None = None, after: tuple[datetime, UUID] | None = None, limit: int = 10
) -> list[tuple[UUID, int]]:
    def work(session: Session) -> list[tuple[UUID, int]]:
        page = cash_dues.list_cash_due(session, performance_id=performance_id, after=after, limit=limit)
        return [(due.booking_id, due.amount) for due in page.dues]

    return desk.database.run_transaction(work)


async def test_who_is_owed_cash_is_listed_until_it_is_fetched(desk: Desk, house: Staged) -> None:
    first, second, kept = [await sold(desk, house, *places) for places in ((3, 4), (5,), (6,))]
    await desk.cancel(first)
    await desk.cancel(second)
    assert listed(desk) == [(first.id, 5000), (second.id, 2500)]
    assert listed(desk, house.performance_id) == listed(desk)
    assert listed(desk, house.performance_id + 1) == []
    page = desk.database.run_transaction(lambda s: cash_dues.list_cash_due(s, performance_id=None, after=None, limit=1))
    assert (page.total, page.dues[0].customer_id) == (2, first.customer_id)
    assert listed(desk, after=(page.dues[0].due_time, page.dues[0].booking_id)) == [(second.id, 2500)]

    desk.database.run_transaction(lambda s: books.pay_cash_out(s, house.performance_id, first.id, STAFF))
    assert listed(desk) == [(second.id, 2500)]
    assert kept.id not in dict(listed(desk))


async def test_tickets_given_back_one_by_one_are_one_due(desk: Desk, house: Staged) -> None:
    booking = await sold(desk, house, 3, 4, 5)

    async def give_back(place: int) -> None:
        await desk.ledger.execute(
            Return(
                performance_id=booking.performance_id,
                booking_id=booking.id,
                actor_id=booking.customer_id,
                places=(place,),
            )
        )

    await give_back(3)
    await give_back(4)
    assert listed(desk) == [(booking.id, 5000)]
    desk.database.run_transaction(lambda s: books.pay_cash_out(s, house.performance_id, booking.id, STAFF))
    assert listed(desk) == []
    await give_back(5)
    assert listed(desk) == [(booking.id, 2500)]
