"""Tells PayPal's messages from forgeries, and what they are about.

A message is signed with the key of a certificate of PayPal's over the id and the time of its transmission, the id of
our webhook and the CRC-32 of its body (https://developer.paypal.com/api/rest/webhooks/rest/). So it is verified here,
byte for byte, without asking PayPal. It is repeated for three days until it is taken, which its age has to allow for.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zlib import crc32

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from server import resources
from server.errors import RowlockError
from server.payments.paypal_certificates import PayPalCertificates
from server.payments.webhook_port import ProviderEvent, UntrustedWebhook, require_recent, required_word, word
from server.states import WebhookSubject

ID: Final = "paypal-transmission-id"
TIME: Final = "paypal-transmission-time"
SIGNATURE: Final = "paypal-transmission-sig"
CERTIFICATE: Final = "paypal-cert-url"
ALGORITHM: Final = "paypal-auth-algo"

_ALGORITHM: Final = "SHA256WITHRSA"
_REFUNDS: Final = frozenset({"PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED"})


class PayPalWebhooks:
    """The verifier.

    Args:
        webhook_id: the id under which PayPal knows our webhook.
        certificates: where the keys come from.
        tolerance: age of the oldest transmission that is believed.
    """

    kept_headers = frozenset({ID, TIME, SIGNATURE, CERTIFICATE, ALGORITHM})

    def __init__(self, webhook_id: str, certificates: PayPalCertificates, *, tolerance: timedelta) -> None:
        self._webhook_id = webhook_id
        self._certificates = certificates
        self._tolerance = tolerance

    async def verify(self, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent:
        """Check the age and the signature, then read the event."""
        missing = self.kept_headers - headers.keys()
        if missing or headers[ALGORITHM].upper() != _ALGORITHM:
            raise UntrustedWebhook("it has no signature")
        try:
            signature = base64.b64decode(headers[SIGNATURE], validate=True)
            sent = _time(headers[TIME])
        except (ValueError, binascii.Error):
            raise UntrustedWebhook("it has no signature") from None
        require_recent(sent, now, self._tolerance)
        key = await self._certificates.key(headers[CERTIFICATE], now)
        try:
            key.verify(signature, signed(headers[ID], headers[TIME], self._webhook_id, body), PKCS1v15(), SHA256())
        except InvalidSignature:
            raise UntrustedWebhook("the signature is wrong") from None
        try:
            return _read_event(json.loads(body))
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise UntrustedWebhook(f"it is signed, and not an event: {type(error).__name__}") from None


def signed(transmission_id: str, transmission_time: str, webhook_id: str, body: bytes) -> bytes:
    """What PayPal signs of a message."""
    return f"{transmission_id}|{transmission_time}|{webhook_id}|{crc32(body)}".encode()


def _read_event(event: dict[str, Any]) -> ProviderEvent:
    """What an event says. Of what is not ours in it, nothing is expected: others may use the same account."""
    kind = required_word(event["event_type"], 100)
    found = event.get("resource")
    thing: dict[str, Any] = found if isinstance(found, dict) else {}
    subject = _subject(kind)
    named = thing
    reference = refund_id = refund_reference = None
    match subject:
        case WebhookSubject.PAYMENT if kind.startswith("CHECKOUT.ORDER."):
            named = (thing.get("purchase_units") or [{}])[0]
            reference = thing.get("id")
        case WebhookSubject.PAYMENT:
            reference = _order_of(thing)
        case WebhookSubject.REFUND:
            refund_id = _uuid(thing.get("invoice_id"))
            refund_reference = thing.get("id")
            reference = _order_of(thing)
        case WebhookSubject.DISPUTE:
            named = (thing.get("disputed_transactions") or [{}])[0]
    return ProviderEvent(
        event_id=required_word(event["id"], 255),
        kind=kind,
        event_time=_time(event["create_time"]),
        subject=subject,
        payment_name=_payment_name(named.get("custom_id") or named.get("custom")),
        payment_reference=word(reference, 255),
        refund_id=refund_id,
        refund_reference=word(refund_reference, 255),
        dispute_reference=word(thing.get("dispute_id"), 255) if subject is WebhookSubject.DISPUTE else None,
        summary=_summary(kind, thing),
    )


def _subject(kind: str) -> WebhookSubject:
    if kind in _REFUNDS or kind.startswith("PAYMENT.REFUND."):
        return WebhookSubject.REFUND
    if kind.startswith(("CHECKOUT.ORDER.", "PAYMENT.CAPTURE.")):
        return WebhookSubject.PAYMENT
    return WebhookSubject.DISPUTE if kind.startswith("CUSTOMER.DISPUTE.") else WebhookSubject.OTHER


def _order_of(thing: dict[str, Any]) -> object:
    return (thing.get("supplementary_data") or {}).get("related_ids", {}).get("order_id")


def _summary(kind: str, thing: dict[str, Any]) -> str:
    """What a person would want to know first: what, how much, in which state."""
    words = [kind, thing.get("id") or thing.get("dispute_id")]
    amount = thing.get("amount") or thing.get("dispute_amount")
    if isinstance(amount, dict):
        words += [amount.get("value"), amount.get("currency_code")]
    words += [thing.get(key) for key in ("status", "reason")]
    text = " ".join(word[:100] for word in words if isinstance(word, str))
    return "".join(filter(str.isprintable, text))[:200]


def _payment_name(value: object) -> str | None:
    name = word(value, 124)
    if name is None:
        return None
    # Refunds have points in the place of slashes: see ``paypal_messages``.
    name = name.replace(".", "/")
    try:
        resources.parse_payment(name)
    except RowlockError:
        return None
    return name


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(required_word(value, 64))
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time
