"""Fetches the certificates that PayPal's webhooks are signed with, from PayPal only, and keeps them for a day."""

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from server.errors import Unavailable
from server.payments.webhook_port import UntrustedWebhook

_PATH: Final = re.compile(r"/v1/notifications/certs/[A-Za-z0-9_.-]{1,128}")
_KEPT: Final = 16
_KEPT_FOR: Final = timedelta(days=1)
_LARGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Fetched:
    key: RSAPublicKey
    not_before: datetime
    not_after: datetime
    time: datetime


class PayPalCertificates:
    """The certificates of one process.

    Args:
        base_url: where PayPal is, if not at paypal.com: then certificates come from there only.
        live: whether money moves: then the sandbox's certificates are worth nothing.
        timeout: longest wait for a certificate.
    """

    def __init__(self, base_url: str, *, live: bool, timeout: timedelta) -> None:
        self._base_url = base_url
        self._live = live
        self._timeout = timeout.total_seconds()
        self._fetched: OrderedDict[str, _Fetched] = OrderedDict()
        self._fetching = asyncio.Lock()

    async def key(self, url: str, now: datetime) -> RSAPublicKey:
        """The public key of the certificate at ``url``.

        Raises:
            UntrustedWebhook: it is not PayPal's, is none, or is not valid now.
            Unavailable: it cannot be had now.
        """
        if not self._is_paypals(url):
            raise UntrustedWebhook("the certificate is not at PayPal")
        found = self._kept(url, now)
        if found is None:
            # One after the other: whoever names certificates that do not exist makes us ask PayPal no faster.
            async with self._fetching:
                found = self._kept(url, now) or await self._fetch(url, now)
        if not found.not_before <= now <= found.not_after:
            raise UntrustedWebhook("the certificate is not valid now")
        return found.key

    def _is_paypals(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return False
        if parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
            return False
        if self._base_url:
            return f"{parts.scheme}://{parts.netloc}" == self._base_url
        host = parts.hostname or ""
        of_paypal = host.endswith(".paypal.com") and parts.netloc == host and port is None
        return parts.scheme == "https" and of_paypal and not (self._live and "sandbox" in host)

    def _kept(self, url: str, now: datetime) -> _Fetched | None:
        found = self._fetched.get(url)
        return found if found is not None and now - found.time < _KEPT_FOR else None

    async def _fetch(self, url: str, now: datetime) -> _Fetched:
        try:
            async with httpx.AsyncClient(timeout=self._timeout) as client, client.stream("GET", url) as response:
                status, body = response.status_code, b""
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > _LARGEST:
                        raise UntrustedWebhook("what is called a certificate is too large for one")
        except httpx.HTTPError:
            raise _not_now() from None
        if status == 429 or status >= 500:
            raise _not_now()
        if status != 200:
            raise UntrustedWebhook("PayPal has no such certificate")
        try:
            certificate = x509.load_pem_x509_certificate(body)
        except ValueError:
            raise UntrustedWebhook("what is called a certificate is none") from None
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise UntrustedWebhook("the certificate has a key of another kind")
        fetched = _Fetched(key, certificate.not_valid_before_utc, certificate.not_valid_after_utc, now)
        self._fetched[url] = fetched
        while len(self._fetched) > _KEPT:
            self._fetched.popitem(last=False)
        return fetched


def _not_now() -> Unavailable:
    return Unavailable("PROVIDER_UNREACHABLE", "PayPal's certificate cannot be fetched now", retry_after=5)
