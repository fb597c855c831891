"""What is believed as Stripe's, and what it says."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from stripe import SignatureVerificationError, WebhookSignature

from server.payments.stripe_webhooks import SIGNATURE_HEADER, StripeWebhooks, sign
from server.payments.webhook_port import ProviderEvent, UntrustedWebhook
from server.states import WebhookSubject

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECRET = "whsec_1"
NAME = f"performances/1/bookings/{UUID(int=1)}/payments/{UUID(int=2)}"


async def read(body: bytes, header: str | None = None, *, now: datetime = NOW) -> ProviderEvent:
    verifier = StripeWebhooks((SECRET, "whsec_2"), tolerance=timedelta(minutes=5))
    return await verifier.verify(body, {SIGNATURE_HEADER: sign(body, SECRET, NOW) if header is None else header}, now)


def event(thing: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps(
        {"id": "evt_1", "type": "a.b", "created": 1_700_000_000, "data": {"object": thing}} | fields
    ).encode()


async def test_we_and_stripes_own_library_agree_about_signatures() -> None:
    body = event({"object": "charge", "description": "Größe ✓"})
    theirs = WebhookSignature.generate_signature_header(body.decode(), SECRET, int(NOW.timestamp()))

    assert theirs == sign(body, SECRET, NOW)
    assert (await read(body, theirs)).event_id == "evt_1"
    assert WebhookSignature.verify_header(body, sign(body, SECRET, NOW), SECRET)
    with pytest.raises(SignatureVerificationError):
        WebhookSignature.verify_header(body + b" ", sign(body, SECRET, NOW), SECRET)


async def test_either_secret_and_any_of_several_signatures_will_do() -> None:
    body = event({})
    other = sign(body, "whsec_2", NOW)
    wrong = sign(body, "whsec_3", NOW)

    assert (await read(body, other)).event_id == "evt_1"
    assert (await read(body, f"{wrong},{other.partition(',')[2]}")).event_id == "evt_1"
    with pytest.raises(UntrustedWebhook):
        await read(body, wrong)


@pytest.mark.parametrize("age", [timedelta(minutes=5, seconds=1), timedelta(minutes=-5, seconds=-1)])
async def test_the_time_of_the_delivery_counts(age: timedelta) -> None:
    with pytest.raises(UntrustedWebhook, match="it was sent"):
        await read(event({}), now=NOW + age)
    await read(event({}), now=NOW + age * 0.99)


@pytest.mark.parametrize(
    ("thing", "subject", "facts"),
    [
        (
            {"object": "payment_intent", "id": "pi_1", "metadata": {"payment": NAME}},
            WebhookSubject.PAYMENT,
            {"payment_name": NAME, "payment_reference": "pi_1"},
        ),
        (
            {"object": "charge", "id": "ch_1", "payment_intent": "pi_1", "metadata": {}},
            WebhookSubject.PAYMENT,
            {"payment_name": None, "payment_reference": "pi_1"},
        ),
        (
            {
                "object": "refund",
                "id": "re_1",
                "payment_intent": {"id": "pi_1"},
                "metadata": {"payment": NAME, "refund_id": str(UUID(int=3))},
            },
            WebhookSubject.REFUND,
            {"refund_reference": "re_1", "refund_id": UUID(int=3), "payment_reference": "pi_1"},
        ),
        (
            {"object": "dispute", "id": "dp_1", "payment_intent": "pi_1", "amount": 300_000, "currency": "isk"},
            WebhookSubject.DISPUTE,
            {"dispute_reference": "dp_1", "summary": "dispute dp_1 3000 minor units of ISK"},
        ),
        ({"object": "customer", "id": "cus_1"}, WebhookSubject.OTHER, {"payment_reference": None}),
        ({"object": ["payment_intent"]}, WebhookSubject.OTHER, {"payment_name": None}),
    ],
)
async def test_what_a_message_is_about(thing: dict[str, Any], subject: WebhookSubject, facts: dict[str, Any]) -> None:
    found = await read(event(thing))

    assert found.subject is subject
    assert found.event_time == datetime.fromtimestamp(1_700_000_000, UTC)
    assert {name: getattr(found, name) for name in facts} == facts


@pytest.mark.parametrize("name", [7, "", "x" * 125, "line\nbreak", None, ["a"]])
async def test_what_others_write_into_metadata_names_nothing(name: object) -> None:
    found = await read(event({"object": "payment_intent", "id": "pi_1", "metadata": {"payment": name}}))
    assert found.payment_name is None
