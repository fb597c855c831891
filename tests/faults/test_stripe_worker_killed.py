"""kill -9 of a worker while it acts on a webhook or speaks to Stripe: the next one brings it to its end, once."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from server.config import Settings
from server.db.engine import Database
from server.domain import refunds
from server.states import BookingState, PaymentState, RefundState, WebhookState
from tests.invariants import assert_sound
from tests.staging import Staged, stage
from tests.stripe_desk import StripeDesk, stripe_desk_on
from tests.stripe_mock import stripe_mock
from tests.struck_workers import Workers, settings_of_workers

pytestmark = pytest.mark.fault

WHILE_IT_ACTS_ON_A_MESSAGE = [
    "message is taken up, not committed",
    "message was taken up",
    "message made its payment due, not committed",
    "message made its payment due",
    "message is written down, not committed",
    "message was written down",
    "Stripe has said what became of it",
    "Stripe has answered the capture",
    "ledger is about to commit",
    "ledger has committed",
]


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with stripe_mock() as address:
        yield address


@pytest.fixture
async def desk(fresh_database: Database, mock: str) -> AsyncIterator[StripeDesk]:
    async with stripe_desk_on(fresh_database, mock) as desk:
        yield desk


@pytest.fixture
def house(fresh_database: Database) -> Staged:
    return fresh_database.run_transaction(stage)


@pytest.fixture
def settings(desk: StripeDesk, fresh_database_url: str, fresh_valkey_url: str, tmp_path: Path) -> Settings:
    """Workers are paid by the desk's Stripe."""
    paid = {"stripe_secret_key": "sk_test_123", "stripe_api_base": desk.address}
    return settings_of_workers(fresh_database_url, fresh_valkey_url, tmp_path, **paid)


async def another_takes_over(desk: StripeDesk) -> None:
    """The dead worker's leases run out, and another works."""
    for table in ("provider_webhooks", "payments", "refunds"):
        desk.one(f"UPDATE {table} SET next_attempt_time = clock_timestamp() WHERE next_attempt_time IS NOT NULL")
    await desk.handle()
    await desk.carry_on()
    await desk.settle()


@pytest.mark.parametrize("point", WHILE_IT_ACTS_ON_A_MESSAGE)
async def test_killed_while_it_acts_on_a_message(desk: StripeDesk, house: Staged, workers: Workers, point: str) -> None:
    booking, payment = await desk.approved(house, 3)
    reference = str(payment.provider_reference)
    await desk.deliver(desk.stripe.intent_event("payment_intent.amount_capturable_updated", reference))

    await workers.die(point)
    assert_sound(desk.database)
    await another_takes_over(desk)

    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    assert desk.booking(booking).state is BookingState.CONFIRMED
    assert [message.state for message in desk.inbox()] == [WebhookState.DONE]
    assert desk.intent(payment)["amount_received"] == 2500
    assert desk.charge(payment)["amount_refunded"] == 0
    assert_sound(desk.database, quiet=True)


async def test_killed_after_stripe_has_made_the_intent(desk: StripeDesk, house: Staged, workers: Workers) -> None:
    payment = await desk.begin(await desk.hold(house, 3))

    await workers.die("Stripe has created")
    await another_takes_over(desk)

    assert desk.payment(payment).state is PaymentState.REQUIRES_ACTION
    assert list(desk.stripe.books.intents) == [desk.payment(payment).provider_reference]


async def test_killed_after_stripe_has_given_money_back(desk: StripeDesk, house: Staged, workers: Workers) -> None:
    _, payment = await desk.approved(house, 3, 4)
    await desk.capture(payment)
    await desk.settle()
    paid = desk.payment(payment)
    desk.database.run_transaction(
        lambda s: refunds.request(
            s,
            paid.performance_id,
            paid.booking_id,
            paid.id,
            amount=refunds.Amount(1000, "EUR"),
            reason="a test",
            actor_id=paid.customer_id,
        )
    )

    await workers.die("Stripe has answered the refund")
    await another_takes_over(desk)

    assert [refund.state for refund in desk.refunds(payment)] == [RefundState.SUCCEEDED]
    assert desk.charge(payment)["amount_refunded"] == 1000
