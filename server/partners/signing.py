"""Signatures of outgoing webhooks, as Standard Webhooks lays them down (https://www.standardwebhooks.com). Pure."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

ID_HEADER: Final = "webhook-id"
TIME_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
_VERSION: Final = "v1"


def headers(message_id: str, seconds: int, body: bytes, secrets: Iterable[bytes]) -> dict[str, str]:
    """The headers by which a receiver knows who sent a message.

    Args:
        message_id: the same at each attempt.
        seconds: when it is sent, since 1970; receivers refuse what is older than some minutes.
        body: exactly what is sent.
        secrets: one signature by each; a receiver needs to know one of them.
    """
    return {
        ID_HEADER: message_id,
        TIME_HEADER: str(seconds),
        SIGNATURE_HEADER: " ".join(signature(message_id, seconds, body, secret) for secret in secrets),
    }


def signature(message_id: str, seconds: int, body: bytes, secret: bytes) -> str:
    """One signature: ``v1,`` and the HMAC-SHA256 of id, time and body, in base64."""
    signed = f"{message_id}.{seconds}.".encode() + body
    return f"{_VERSION},{base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()}"
