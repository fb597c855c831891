"""HandleProviderWebhook over a socket: who is believed, and a payment with Stripe from the wish to the tickets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from rowlock.v1 import booking_pb2, payment_pb2
from server import clock
from server.config import Settings
from server.db.engine import Database
from server.payments.stripe_webhooks import SIGNATURE_HEADER, sign
from tests.eventually import eventually
from tests.fake_stripe import FakeStripe, fake_stripe
from tests.rpc.auth.conftest import refusal, served
from tests.rpc.booking.conftest import FAST, BoxOffice
from tests.staging import Staged
from tests.stripe_mock import stripe_mock

pytestmark = pytest.mark.asyncio(loop_scope="module")

Payment = payment_pb2.Payment
Request = payment_pb2.HandleProviderWebhookRequest

SECRET, OLD_SECRET = "whsec_new", "whsec_old"
EVENT = b'{"id": "evt_%d", "type": "account.updated", "created": 1700000000, "data": {"object": {"object": "account"}}}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stripe() -> AsyncIterator[tuple[FakeStripe, str]]:
    """A Stripe, and its address."""
    with stripe_mock() as mock:
        async with fake_stripe(mock) as running:
            yield running


@pytest.fixture(scope="module")
def fast(settings: Settings, stripe: tuple[FakeStripe, str]) -> Settings:
    """A server and a worker that are paid by it."""
    paid_by_stripe: dict[str, Any] = {
        "stripe_secret_key": "sk_test_123",
        "stripe_webhook_secrets": (SECRET, OLD_SECRET),
        "stripe_api_base": stripe[1],
        "payment_ask_interval": timedelta(hours=1),  # what is known in time is known by webhooks
    }
    return settings.model_copy(update={**FAST, **paid_by_stripe})


def signed(body: bytes, *, secret: str = SECRET, age: timedelta = timedelta(0), **fields: Any) -> Request:
    """A delivery as Stripe makes it."""
    headers = {"Stripe-Signature": sign(body, secret, clock.now() - age), "content-type": "application/json"}
    whole: dict[str, Any] = {"provider": Payment.STRIPE, "body": body, "headers": headers} | fields
    return Request(**whole)


def edited(body: bytes) -> Request:
    """A delivery that somebody has changed on its way."""
    request = signed(body)
    request.body += b" "
    return request


def stored(database: Database, event_id: str) -> list[Any]:
    """The rows of one event."""
    query = text("SELECT state, outcome, delivery_count FROM provider_webhooks WHERE event_id = :id")
    return list(database.run_transaction(lambda session: session.execute(query, {"id": event_id}).all()))


def count(database: Database) -> int:
    """How many messages are stored."""
    query = text("SELECT count(*) FROM provider_webhooks")
    return int(database.run_transaction(lambda session: session.scalar(query)) or 0)


async def test_a_customer_pays_with_stripe_and_the_webhook_brings_the_tickets(
    office: BoxOffice, house: Staged, stripe: tuple[FakeStripe, str]
) -> None:
    anna = await office.customer()
    booking = await office.book(house, anna, "Stalls-A-1")
    payment = await office.payments.CreatePayment(
        payment_pb2.CreatePaymentRequest(parent=booking.name, payment=Payment(provider=Payment.STRIPE)), metadata=anna
    )
    name = payment_pb2.GetPaymentRequest(name=payment.name)
    async with asyncio.timeout(60):
        while not payment.client_secret:
            await asyncio.sleep(0.05)
            payment = await office.payments.GetPayment(name, metadata=anna)
    stripe[0].approve(payment.provider_reference)

    body = stripe[0].intent_event("payment_intent.amount_capturable_updated", payment.provider_reference)
    await office.payments.HandleProviderWebhook(signed(body))

    async with asyncio.timeout(60):
        while booking.state != booking_pb2.Booking.CONFIRMED:
            await asyncio.sleep(0.05)
            booking = await office.get(booking, anna)
    payment = await office.payments.GetPayment(name, metadata=anna)
    assert (payment.state, payment.amount.units) == (Payment.SUCCEEDED, 25)
    assert stripe[0].books.intents[payment.provider_reference]["amount_received"] == 2500


@pytest.mark.parametrize(
    "make",
    [
        lambda: signed(EVENT % 1, headers={"content-type": "application/json"}),
        lambda: signed(EVENT % 1, headers={SIGNATURE_HEADER: ""}),
        lambda: signed(EVENT % 1, headers={SIGNATURE_HEADER: "t=1700000000"}),
        lambda: signed(EVENT % 1, headers={SIGNATURE_HEADER: "t=now,v1=ab"}),
        lambda: signed(EVENT % 1, headers={SIGNATURE_HEADER: "t=" + "9" * 4000 + ",v1=ab"}),
        lambda: signed(EVENT % 1, headers={SIGNATURE_HEADER: ",".join(["v1=zz"] * 500)}),
        lambda: signed(
            EVENT % 1, headers={SIGNATURE_HEADER: sign(EVENT % 1, SECRET, clock.now()).replace("v1=", "v0=")}
        ),
        lambda: signed(EVENT % 1, headers={SIGNATURE_HEADER: sign(EVENT % 2, SECRET, clock.now())}),
        lambda: signed(EVENT % 1, secret="whsec_guessed"),
        lambda: signed(EVENT % 1, secret=""),
        lambda: edited(EVENT % 1),
        lambda: signed(EVENT % 1, age=timedelta(minutes=6)),
        lambda: signed(EVENT % 1, age=timedelta(minutes=-6)),
        lambda: signed(b"not JSON"),
        lambda: signed(b"\xff\xfe\x00"),
        lambda: signed(b"[" * 100_000),
        lambda: signed(b'{"a":' * 30_000),
        lambda: signed(b"[]"),
        lambda: signed(b"{}"),
        lambda: signed(b"null"),
        lambda: signed(b'{"id": 7, "type": "x", "created": 1, "data": {"object": {}}}'),
        lambda: signed(b'{"id": "evt_1", "type": "x", "created": 1e400, "data": {"object": {}}}'),
        lambda: signed(b'{"id": "evt_1", "type": "x", "created": -5, "data": {"object": {}}}'),
        lambda: signed(b'{"id": "evt_\\u0000", "type": "x", "created": 1, "data": {"object": {}}}'),
    ],
)
async def test_what_stripe_did_not_send_is_refused_and_leaves_no_trace(
    office: BoxOffice, database: Database, make: Callable[[], Request]
) -> None:
    before = count(database)

    refused = await refusal(office.payments.HandleProviderWebhook(make()))

    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "WEBHOOK_SIGNATURE_INVALID")
    assert refused.message == "the message bears no valid signature of the provider", "it helps no forger"
    assert count(database) == before


@pytest.mark.parametrize(
    ("make", "code", "reason"),
    [
        (lambda: signed(EVENT % 1, provider=Payment.PAYPAL), "FAILED_PRECONDITION", "PROVIDER_NOT_CONFIGURED"),
        (lambda: signed(EVENT % 1, provider=Payment.SIMULATOR), "FAILED_PRECONDITION", "PROVIDER_NOT_CONFIGURED"),
        (lambda: signed(EVENT % 1, provider=Payment.CASH), "INVALID_ARGUMENT", "INVALID_FIELD"),
        (lambda: signed(b"x" * 204_801), "INVALID_ARGUMENT", "INVALID_FIELD"),
        (lambda: signed(b"x" * 300_000), "RESOURCE_EXHAUSTED", ""),
        (lambda: signed(EVENT % 1, headers={}), "INVALID_ARGUMENT", "INVALID_FIELD"),
    ],
)
async def test_what_is_no_delivery_at_all_is_refused(
    office: BoxOffice, database: Database, make: Callable[[], Request], code: str, reason: str
) -> None:
    before = count(database)
    if not reason:  # gRPC itself refuses what is too large, before any of our code
        with pytest.raises(Exception, match="RESOURCE_EXHAUSTED"):
            await office.payments.HandleProviderWebhook(make())
    else:
        refused = await refusal(office.payments.HandleProviderWebhook(make()))
        assert (refused.code, refused.reason) == (code, reason)
    assert count(database) == before


async def test_nothing_strange_in_a_believed_message_hurts(office: BoxOffice, database: Database) -> None:
    """It is signed, and somebody else's: whatever it carries, it is kept."""
    before = count(database)
    strange = (
        b'{"object": "payment_intent", "id": "pi_\\u0000", "metadata": {"payment": "\\ud800", "refund_id": []}}',
        b'{"object": "refund", "payment_intent": {"id": 7}, "metadata": {"refund_id": "1"}, "status": "\\u0000"}',
        b'{"object": "dispute", "amount": 123456789012345678901234567890, "currency": "eur", "reason": "' + b"x" * 9000,
        b'{"object": {"a": 1}, "metadata": null, "amount": -1, "currency": "zzz"}',
        b"7",
    )
    for number, thing in enumerate(strange):
        end = b'"}' if thing.endswith(b"x") else b""
        body = b'{"id": "evt_strange_%d", "type": "t", "created": 5, "data": {"object": ' % number + thing + end + b"}}"
        await office.payments.HandleProviderWebhook(signed(body))

    assert count(database) == before + len(strange)


async def test_a_secret_that_was_replaced_is_believed_as_long_as_it_is_named(office: BoxOffice) -> None:
    await office.payments.HandleProviderWebhook(signed(EVENT % 3, secret=OLD_SECRET))


@pytest.mark.race
async def test_five_deliveries_at_once_on_two_servers_are_kept_once(
    office: BoxOffice, fast: Settings, database: Database
) -> None:
    async with served(fast, database) as other:
        there = BoxOffice(other, database, office.staff)
        request = signed(EVENT % 4)
        offices = [office, there, office, there, office]
        await asyncio.gather(*(each.payments.HandleProviderWebhook(request) for each in offices))

    await eventually(lambda: stored(database, "evt_4") == [(2, "nothing of ours", 5)])


async def test_a_burst_of_a_provider_is_let_through_where_people_would_be_held_up(
    settings: Settings, database: Database
) -> None:
    changes = {"rate_limits": True, "rate_limit_address": "20/minute", "stripe_webhook_secrets": (SECRET,)}
    async with served(settings.model_copy(update={**FAST, **changes}), database) as client:
        office = BoxOffice(client, database, ())
        for number in range(100, 140):
            await office.payments.HandleProviderWebhook(signed(EVENT % number))

    limited = {"rate_limits": True, "rate_limit_webhooks": "3/hour", "stripe_webhook_secrets": (SECRET,)}
    async with served(settings.model_copy(update={**FAST, **limited}), database) as client:
        office = BoxOffice(client, database, ())
        for _ in range(3):
            await office.payments.HandleProviderWebhook(signed(EVENT % 5))
        refused = await refusal(office.payments.HandleProviderWebhook(signed(EVENT % 5)))
        assert (refused.reason, refused.facts["limit"]) == ("RATE_LIMITED", "webhooks")
