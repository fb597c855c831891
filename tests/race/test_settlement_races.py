"""Staff say that a refund was paid by bank transfer, while others have it tried anew and its provider says yes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.db.models.payments import Payment, Refund
from server.domain import refund_settlement, refunds
from server.errors import RowlockError
from server.payments.simulator import REFUND
from server.states import RefundMethod, RefundState, SimulatedOutcome
from tests.eventually import eventually
from tests.invariants import assert_sound, faults
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage

pytestmark = pytest.mark.race

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


async def refused(desk: Desk, house: Staged) -> tuple[Payment, Refund]:
    """A refund that its provider refused, and would make now."""
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    await desk.settle()
    desk.script(payment, SimulatedOutcome.DECLINE, REFUND)
    await desk.cancel(booking)
    await desk.settle()
    desk.one("DELETE FROM simulator_scripts")
    (refund,) = desk.refunds(payment)
    return payment, refund


def retrying(desk: Desk, refund: Refund) -> Any:
    name = refund.performance_id, refund.booking_id, refund.payment_id, refund.id
    return desk.database.transaction(lambda s: refunds.retry(s, *name, reason="mended"))


async def test_of_settling_and_trying_anew_one_pays_the_customer(desks: tuple[Desk, Desk], house: Staged) -> None:
    for _ in range(ROUNDS):
        payment, refund = await refused(desks[0], house)
        answers = await asyncio.gather(
            desks[0].settle_refund(refund, RefundMethod.BANK_TRANSFER),
            retrying(desks[1], refund),
            desks[1].settle_refund(refund, RefundMethod.OTHER),
            desks[0].carry_on(),
            return_exceptions=True,
        )
        refusals = [answer for answer in answers if isinstance(answer, BaseException)]
        assert {getattr(refusal, "reason", repr(refusal)) for refusal in refusals} <= {"REFUND_STATE"}
        await asyncio.gather(*(desk.settle() for desk in desks))
        (done,) = desks[0].refunds(payment)
        assert (done.state, done.discrepancy) == (RefundState.SUCCEEDED, None)
        # Either the house has paid, or the provider: never both.
        assert (done.settle_method is None) is (done.provider_reference is not None)
    assert_sound(desks[0].database, quiet=True)


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
async def test_who_settles_waits_for_who_tries_anew(
    desks: tuple[Desk, Desk], house: Staged, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """Staff have the refund tried anew and have not committed yet, when others say that they have paid it."""
    payment, refund = await refused(desks[0], house)
    if not guarded:
        monkeypatch.setattr(refund_settlement, "_locked", lambda session, *key: session.get(Refund, key))
    name = refund.performance_id, refund.booking_id, refund.payment_id, refund.id
    with Session(desks[1].database.engine) as retry:
        refunds.retry(retry, *name, reason="mended")
        settling = asyncio.create_task(desks[0].settle_refund(refund, RefundMethod.BANK_TRANSFER))
        await eventually(lambda: desks[0].one("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        retry.commit()
    (answer,) = await asyncio.gather(settling, return_exceptions=True)
    await desks[0].settle()
    if guarded:
        assert isinstance(answer, RowlockError)
        assert answer.reason == "REFUND_STATE"
        assert desks[0].refunds(payment)[0].settle_method is None
        assert_sound(desks[0].database, quiet=True)
    else:
        assert desks[0].database.run_transaction(faults)
