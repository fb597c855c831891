"""A refund that its provider takes back is heard of from all sides at once: messages, and comparisons of books."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.db.models.payments import Payment, Refund
from server.domain import refund_attempts, refunds
from server.states import RefundMethod, RefundState
from tests.fake_paypal import FakePayPal, fake_paypal
from tests.invariants import assert_sound
from tests.paypal_desk import PayPalDesk, paypal_desk_on
from tests.staging import Staged, stage

pytestmark = pytest.mark.race

ROUNDS = 4
AT_ONCE = 4


@pytest.fixture
def paypal() -> Iterator[FakePayPal]:
    with fake_paypal() as found:
        yield found


@pytest.fixture
async def desks(fresh_database: Database, paypal: FakePayPal) -> AsyncIterator[tuple[PayPalDesk, PayPalDesk]]:
    """Two processes that are paid by one PayPal."""
    async with paypal_desk_on(fresh_database, paypal) as one, paypal_desk_on(fresh_database, paypal) as other:
        yield one, other


@pytest.fixture
def house(fresh_database: Database) -> Staged:
    return fresh_database.run_transaction(stage)


async def taken_back(desk: PayPalDesk, house: Staged, place: int) -> tuple[Payment, Refund]:
    """A refund that PayPal made and took back, which nobody here knows yet."""
    booking, payment = await desk.approved(house, place)
    await desk.capture(payment)
    await desk.settle()
    await desk.cancel(booking)
    await desk.settle()
    (refund,) = desk.refunds(payment)
    assert refund.state is RefundState.SUCCEEDED
    await asyncio.to_thread(desk.paypal.control.take_back, str(refund.provider_reference))
    return payment, refund


async def hear(desk: PayPalDesk, payment: Payment) -> None:
    for message in (await desk.told(payment))[-2:]:
        await desk.deliver(message)
    await desk.handle()


def times_entered(desk: PayPalDesk, refund: Refund) -> int:
    return int(desk.one("SELECT count(*) FROM book_entries WHERE kind = 8 AND source_id = :id", id=refund.id))


async def test_however_many_find_out_at_once_it_is_owed_once_more(
    desks: tuple[PayPalDesk, PayPalDesk], house: Staged
) -> None:
    one, other = desks
    for place in range(ROUNDS):
        payment, refund = await taken_back(one, house, place)
        await asyncio.gather(hear(one, payment), hear(other, payment), one.compare(), other.compare())
        (failed,) = one.refunds(payment)
        assert (failed.state, times_entered(one, refund)) == (RefundState.FAILED, 1)
        # Staff are as fast: of trying it anew and paying it otherwise one wins, whoever still finds out.
        name = refund.performance_id, refund.booking_id, refund.payment_id, refund.id
        await asyncio.gather(
            one.database.transaction(lambda s, name=name: refunds.retry(s, *name, reason="")),  # type: ignore[misc]
            other.settle_refund(refund, RefundMethod.BANK_TRANSFER),
            one.compare(),
            hear(other, payment),
            return_exceptions=True,
        )
        await asyncio.gather(one.settle(), other.settle())
        (done,) = one.refunds(payment)
        assert (done.state, times_entered(one, refund)) == (RefundState.SUCCEEDED, 1)
        assert (done.settle_method is None) is (done.provider_reference is not None)
    await one.assert_books_equal()
    assert_sound(one.database, quiet=True)


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
async def test_transactions_that_write_it_down_at_once_enter_it_once(
    desks: tuple[PayPalDesk, PayPalDesk], house: Staged, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """All look before any writes: by the lock all but one find it done, without it they trip over the first entry."""
    desk = desks[0]
    payment, refund = await taken_back(desk, house, 3)
    looked = threading.Barrier(AT_ONCE)
    if not guarded:

        def look(session: Session, performance_id: int, refund_id: UUID) -> Refund:
            found = session.get_one(Refund, (performance_id, refund_id))
            looked.wait(60)
            return found

        monkeypatch.setattr(refund_attempts, "_locked", look)

    def write(_: int) -> Refund | BaseException:
        try:
            return desk.database.run_transaction(lambda s: refund_attempts.taken_back(s, refund, "CLOSED"))
        except IntegrityError as error:
            return error

    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = await asyncio.gather(
            *(asyncio.get_running_loop().run_in_executor(threads, write, number) for number in range(AT_ONCE))
        )

    stumbled = [answer for answer in answers if isinstance(answer, IntegrityError)]
    assert len(stumbled) == (0 if guarded else AT_ONCE - 1)
    assert times_entered(desk, refund) == 1
    assert [one.state for one in desk.refunds(payment)] == [RefundState.FAILED]
    assert_sound(desk.database, quiet=True)
