"""Races for providers' messages: many deliveries of one, many workers at one. Each guard has its control."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.db.models.webhooks import ProviderWebhook
from server.domain import webhooks
from server.payments.webhook_port import ProviderEvent
from server.states import BookingState, Provider, WebhookState, WebhookSubject
from tests.invariants import assert_sound
from tests.staging import stage
from tests.stripe_desk import StripeDesk, stripe_desk_on
from tests.stripe_mock import stripe_mock

pytestmark = pytest.mark.race

AT_ONCE = 5
EVENT = ProviderEvent("evt_1", "payment_intent.succeeded", datetime.now(UTC), WebhookSubject.PAYMENT)


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with stripe_mock() as address:
        yield address


@pytest.fixture
async def desks(fresh_database: Database, mock: str) -> AsyncIterator[tuple[StripeDesk, StripeDesk]]:
    """Two processes that are paid by one Stripe."""
    async with stripe_desk_on(fresh_database, mock) as first:
        second = StripeDesk(fresh_database, first.stripe, first.provider, first.address)
        yield first, second
        await second.ledger.close()


def at_once(database: Database, work: object) -> list[object]:
    """What transactions that are all open at the same time come to."""
    together = threading.Barrier(AT_ONCE)

    def run(_: int) -> object:
        return database.run_transaction(lambda session: (together.wait(60), work(session))[1])  # type: ignore[operator]

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(run, range(AT_ONCE)))


def receive(session: Session) -> bool:
    return webhooks.receive(session, Provider.STRIPE, EVENT, b"{}", {})


def count(database: Database) -> int:
    return int(database.run_transaction(lambda s: s.scalar(select(func.count()).select_from(ProviderWebhook))) or 0)


@pytest.mark.mistake("check-then-insert without a lock")
def test_five_deliveries_at_once_are_one_message(fresh_database: Database) -> None:
    new = at_once(fresh_database, receive)

    assert sorted(map(bool, new)) == [False] * (AT_ONCE - 1) + [True]
    assert fresh_database.run_transaction(lambda s: s.scalar(select(ProviderWebhook.delivery_count))) == AT_ONCE


def test_control_without_the_unique_name_they_are_five(fresh_database: Database) -> None:
    """Looking first and storing then is what a careful handler does; the constraint is what makes it right."""
    name = "uq_provider_webhooks_provider_event_id"
    fresh_database.run_transaction(lambda s: s.execute(text(f"ALTER TABLE provider_webhooks DROP CONSTRAINT {name}")))
    looked = threading.Barrier(AT_ONCE)

    def look_then_store(session: Session) -> bool:
        known = session.scalar(select(ProviderWebhook.id).where(ProviderWebhook.event_id == EVENT.event_id))
        looked.wait(60)
        if known is None:
            row = webhooks.row_of(Provider.STRIPE, EVENT, b"{}", {}) | {"next_attempt_time": EVENT.event_time}
            session.add(ProviderWebhook(**row))
        return known is None

    at_once(fresh_database, look_then_store)

    assert count(fresh_database) == AT_ONCE


def test_workers_never_take_the_same_message(fresh_database: Database) -> None:
    fresh_database.run_transaction(receive)

    taken = at_once(fresh_database, lambda s: len(webhooks.take_due(s, 10, timedelta(minutes=1))))

    assert sorted(taken) == [0] * (AT_ONCE - 1) + [1]  # type: ignore[type-var]


def test_control_without_the_lock_all_of_them_take_it(fresh_database: Database) -> None:
    fresh_database.run_transaction(receive)
    looked = threading.Barrier(AT_ONCE)

    def take_without_lock(session: Session) -> int:
        due = session.scalars(select(ProviderWebhook).where(ProviderWebhook.state == WebhookState.RECEIVED)).all()
        looked.wait(60)
        for row in due:
            row.next_attempt_time = row.create_time + timedelta(minutes=1)
        return len(due)

    assert at_once(fresh_database, take_without_lock) == [1] * AT_ONCE


async def test_many_messages_of_one_payment_at_two_workers_that_are_at_it_already(
    desks: tuple[StripeDesk, StripeDesk], fresh_database: Database
) -> None:
    """Customer, webhooks and two workers at the same moment: one capture, one ticket for each seat, nothing back."""
    house = fresh_database.run_transaction(stage)
    one, other = desks
    for place in range(6):
        booking, payment = await one.approved(house, place)
        reference = str(payment.provider_reference)
        bodies = [one.stripe.intent_event("payment_intent.amount_capturable_updated", reference) for _ in range(3)]
        await asyncio.gather(one.capture(payment), *map(one.deliver, bodies), *map(other.deliver, bodies))
        for _ in range(2):
            await asyncio.gather(one.handle(), other.handle(), one.carry_on(), other.carry_on())
        await asyncio.gather(one.settle(), other.settle())

        assert one.booking(booking).state is BookingState.CONFIRMED
        assert (one.intent(payment)["amount_received"], one.charge(payment)["amount_refunded"]) == (2500, 0)
    assert len(one.inbox()) == 18
    assert {message.state for message in one.inbox()} == {WebhookState.DONE}
    assert_sound(fresh_database, quiet=True)


async def test_a_worker_that_stood_still_does_not_undo_what_another_wrote(
    desks: tuple[StripeDesk, StripeDesk], fresh_database: Database
) -> None:
    """Its lease ran out while it was stopped; another worker has taken the message up and is done with it."""
    one, other = desks
    await one.deliver(one.stripe.event("charge.dispute.created", {"object": "dispute", "id": "dp_1"}))
    (stopped,) = await one.handler.take(10)
    one.one("UPDATE provider_webhooks SET next_attempt_time = clock_timestamp()")
    (taken,) = await other.handler.take(10)
    await fresh_database.transaction(lambda s: webhooks.done(s, taken, "by the other"))

    await fresh_database.transaction(lambda s: webhooks.put_off(s, stopped, "by the one", timedelta(0)))
    await fresh_database.transaction(lambda s: webhooks.needs_attention(s, stopped, "by the one"))

    assert one.outcome() == "DONE by the other"
