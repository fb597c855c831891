"""Every call that we make at Stripe, held against Stripe's own description of its API.

stripe-mock refuses a request that the description does not allow, and answers with Stripe's fixtures: that we read them
at all is shown here. What the answers mean is in tests/integration/payments/test_stripe_flows.py.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from server.payments.port import Absent, Created, Open, PaymentOrder, Refunded, Unknown
from server.payments.stripe_payments import StripePayments
from tests.stripe_mock import specification, stripe_mock

PAYMENT = UUID(int=0x7001)
ORDER = PaymentOrder(
    payment_id=PAYMENT,
    amount=2500,
    currency="EUR",
    reference="pi_123",
    name=f"performances/1/bookings/{UUID(int=1)}/payments/{PAYMENT}",
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with stripe_mock() as address:
        yield address


@pytest.fixture
async def stripe(address: str) -> AsyncIterator[StripePayments]:
    provider = StripePayments("sk_test_123", api_base=address, timeout=timedelta(seconds=60))
    yield provider
    await provider.close()


async def test_stripe_takes_our_payment_intent(stripe: StripePayments) -> None:
    created = await stripe.create(ORDER)

    assert isinstance(created, Created)
    assert created.reference.startswith("pi_")
    assert created.client_secret
    assert created.approval_uri is None


async def test_stripe_takes_our_capture(stripe: StripePayments) -> None:
    # The fixture is an intent that waits for a card, whatever it is asked for.
    assert await stripe.capture(ORDER) == Open("pi_123")


async def test_stripe_takes_our_question(stripe: StripePayments) -> None:
    assert await stripe.find(ORDER) == Open("pi_123")


async def test_stripe_takes_our_cancellation(stripe: StripePayments) -> None:
    # The fixture is never cancelled, and we do not believe that it is.
    assert await stripe.cancel(ORDER) == Unknown("the intent was not cancelled")


async def test_stripe_takes_our_refund(stripe: StripePayments) -> None:
    refunded = await stripe.refund(ORDER, UUID(int=0x8001), 1000)

    assert isinstance(refunded, Refunded)
    assert refunded.reference.startswith("re_")


async def test_stripe_takes_our_question_about_a_refund(stripe: StripePayments) -> None:
    assert await stripe.find_refund(ORDER, UUID(int=0x8001)) == Absent()


async def test_stripe_takes_our_question_for_a_statement(stripe: StripePayments) -> None:
    # The fixtures are not ours, as those of another shop on the same account would not be.
    assert [line async for line in stripe.movements(datetime(2026, 1, 1, tzinfo=UTC))] == []
    assert [line async for line in stripe.movements(None)] == []


async def test_a_wrong_key_fails_nobodys_payment(address: str) -> None:
    """Stripe answers 401 to a key that is none; it has to be mended here, and the payment waits."""
    stripe = StripePayments("not-a-key", api_base=address, timeout=timedelta(seconds=60))
    try:
        assert await stripe.create(ORDER) == Unknown("AuthenticationError")
        assert await stripe.find(ORDER) == Unknown("AuthenticationError")
    finally:
        await stripe.close()


def test_the_mock_would_refuse_what_stripe_does(address: str) -> None:
    """The control: a field that Stripe does not know, or an amount that is none, is refused."""
    key = {"authorization": "Bearer sk_test_123"}
    for fields in ({"amount": "lots", "currency": "eur"}, {"amount": "100", "currency": "eur", "no_such": "1"}):
        assert httpx.post(f"{address}/v1/payment_intents", data=fields, headers=key, timeout=60).status_code == 400


def test_every_status_of_an_intent_means_something_to_us() -> None:
    """A status that Stripe adds would be Unknown for ever: then this fails, and somebody decides."""
    known = specification()["components"]["schemas"]["payment_intent"]["properties"]["status"]["enum"]

    assert sorted(known) == [
        "canceled",
        "processing",
        "requires_action",
        "requires_capture",
        "requires_confirmation",
        "requires_payment_method",
        "succeeded",
    ]
