"""Tells Stripe's messages from forgeries, and what they are about.

A message is signed over the time of its delivery and its body, with a secret that only Stripe and we have
(https://docs.stripe.com/webhooks#verify-manually). Each delivery is signed anew, so an event of three days ago comes
with a signature of now. The signature is made here and not by Stripe's library, which reads the body as text first.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from server.payments.stripe_amounts import from_stripe
from server.payments.stripe_metadata import PAYMENT_KEY, REFUND_ID_KEY, id_in
from server.payments.webhook_port import ProviderEvent, UntrustedWebhook, require_recent, required_word, word
from server.states import WebhookSubject

SIGNATURE_HEADER: Final = "stripe-signature"

_SUBJECTS: Final = {
    "payment_intent": WebhookSubject.PAYMENT,
    "charge": WebhookSubject.PAYMENT,
    "refund": WebhookSubject.REFUND,
    "dispute": WebhookSubject.DISPUTE,
}
_MOST_SIGNATURES: Final = 10


class StripeWebhooks:
    """The verifier.

    Args:
        secrets: of the endpoint, ``whsec_…``; two while one takes the place of the other.
        tolerance: age of the oldest signature that is believed.
    """

    kept_headers = frozenset({SIGNATURE_HEADER})

    def __init__(self, secrets: Sequence[str], *, tolerance: timedelta) -> None:
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._tolerance = tolerance

    async def verify(self, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent:
        """Check the signature and its age, then read the event."""
        sent, signatures = _read_header(headers.get(SIGNATURE_HEADER, ""))
        if not any(
            hmac.compare_digest(hmac.new(secret, b"%d." % sent + body, hashlib.sha256).digest(), signature)
            for secret in self._secrets
            for signature in signatures
        ):
            raise UntrustedWebhook("the signature is wrong")
        require_recent(_time(sent), now, self._tolerance)
        try:
            return _read_event(json.loads(body))
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise UntrustedWebhook(f"it is signed, and not an event: {type(error).__name__}") from None


def sign(body: bytes, secret: str, time: datetime) -> str:
    """The header that Stripe would send with ``body`` at ``time``; for stand-ins of Stripe."""
    sent = int(time.timestamp())
    return f"t={sent},v1={hmac.new(secret.encode(), b'%d.' % sent + body, hashlib.sha256).hexdigest()}"


def _read_header(header: str) -> tuple[int, list[bytes]]:
    """``t=1492774577,v1=5257a8…,v0=…`` to the time of the delivery and its signatures of the scheme ``v1``."""
    parts = [part.strip().partition("=") for part in header.split(",", 2 * _MOST_SIGNATURES)]
    times = [value for key, _, value in parts if key == "t"]
    try:
        signatures = [bytes.fromhex(value) for key, _, value in parts if key == "v1"][:_MOST_SIGNATURES]
        if len(times) != 1 or not times[0].isdecimal() or len(times[0]) > 10 or not signatures:
            raise UntrustedWebhook("it has no signature")
        return int(times[0]), signatures
    except ValueError:
        raise UntrustedWebhook("it has no signature") from None


def _read_event(event: dict[str, Any]) -> ProviderEvent:
    """What an event says. Of what is not ours in it, nothing is expected: others may use the same account."""
    found = event["data"]["object"]
    thing: dict[str, Any] = found if isinstance(found, dict) else {}
    metadata = thing.get("metadata") or {}
    kind, name = thing.get("object"), word(thing.get("id"), 255)
    subject = _SUBJECTS.get(kind, WebhookSubject.OTHER) if isinstance(kind, str) else WebhookSubject.OTHER
    return ProviderEvent(
        event_id=required_word(event["id"], 255),
        kind=required_word(event["type"], 100),
        event_time=_time(event["created"]),
        subject=subject,
        payment_name=word(metadata.get(PAYMENT_KEY), 124),
        payment_reference=name if kind == "payment_intent" else word(_id(thing.get("payment_intent")), 255),
        refund_id=id_in(metadata.get(REFUND_ID_KEY)) if subject is WebhookSubject.REFUND else None,
        refund_reference=name if subject is WebhookSubject.REFUND else None,
        dispute_reference=name if subject is WebhookSubject.DISPUTE else None,
        summary=_summary(thing),
    )


def _summary(thing: dict[str, Any]) -> str:
    """What a person would want to know first: what, how much, in which state."""
    words = [thing.get("object"), thing.get("id")]
    if isinstance(thing.get("amount"), int) and isinstance(thing.get("currency"), str):
        currency = thing["currency"].upper()
        words.append(f"{from_stripe(thing['amount'], currency)} minor units of {currency}")
    words += [thing.get(key) for key in ("status", "reason", "failure_reason")]
    text = " ".join(word[:100] for word in words if isinstance(word, str))
    return "".join(filter(str.isprintable, text))[:200]


def _id(value: object) -> object:
    """The id of something that is named, or given whole."""
    return value.get("id") if isinstance(value, dict) else value


def _time(seconds: object) -> datetime:
    if not isinstance(seconds, int) or not 0 <= seconds < 1 << 36:
        raise ValueError("not a time")
    return datetime.fromtimestamp(seconds, UTC)
