"""Signs the fake provider's webhooks as PayPal does, with a certificate of its own."""

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4
from zlib import crc32

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_PATH: Final = "/v1/notifications/certs/"


@dataclass(frozen=True, slots=True)
class Transmission:
    """One sending of one event."""

    id: str
    headers: dict[str, str]
    body: bytes


class Signer:
    """The key of one fake provider, made when it starts.

    Args:
        webhook_id: the id of the shop's webhook.
        base_url: where the certificate can be fetched.
    """

    def __init__(self, webhook_id: str, base_url: str) -> None:
        self.webhook_id = webhook_id
        self.name = f"CERT-{secrets.token_hex(8)}"
        self.url = f"{base_url}{_PATH}{self.name}"
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = self._certify()

    def sign(self, body: bytes, time: datetime | None = None) -> Transmission:
        """Make the headers that a message is sent with at ``time``; None: now."""
        sent = (time or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        transmission = str(uuid4())
        text = f"{transmission}|{sent}|{self.webhook_id}|{crc32(body)}".encode()
        signature = self._key.sign(text, padding.PKCS1v15(), SHA256())
        headers = {
            "paypal-transmission-id": transmission,
            "paypal-transmission-time": sent,
            "paypal-transmission-sig": base64.b64encode(signature).decode(),
            "paypal-cert-url": self.url,
            "paypal-auth-algo": "SHA256withRSA",
            "content-type": "application/json",
        }
        return Transmission(transmission, headers, body)

    def _certify(self) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "messages.fake-provider.invalid")])
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=30))
            .sign(self._key, SHA256())
            .public_bytes(Encoding.PEM)
        )
