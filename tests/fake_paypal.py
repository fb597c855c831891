"""A PayPal for tests: the fake provider over HTTP, each of its exchanges held against PayPal's OpenAPI files."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.fake_provider.control import Control
from server.fake_provider.provider import FakeProvider
from server.fake_provider.serving import in_thread
from server.payments.paypal import PayPal
from server.payments.paypal_api import Credentials, PayPalApi
from tests.paypal_openapi import Contract, contract

LONG = timedelta(seconds=60)


@dataclass
class Exchange:
    """One request and its answer, as they went over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0
    content_type: str = ""
    answer: bytes = b""

    @property
    def is_described(self) -> bool:
        """Whether PayPal's OpenAPI files describe it: they leave out tokens, and the limits of rate."""
        is_json = not self.answer or self.content_type.startswith("application/json")
        described = self.path.startswith(("/v2/", "/v1/notifications/verify"))
        # An answer that never came is nobody's.
        return described and is_json and self.status not in {0, 429, 503}


@dataclass
class Recorder:
    """Keeps what goes over the wire."""

    exchanges: list[Exchange] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, listened to."""

        async def listen(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
            exchange = Exchange(scope["method"], scope["path"], headers, b"")

            async def hear() -> Message:
                message = await receive()
                exchange.body += message.get("body", b"")
                return message

            async def say(message: Message) -> None:
                if message["type"] == "http.response.start":
                    exchange.status = message["status"]
                    exchange.content_type = dict(message["headers"]).get(b"content-type", b"").decode()
                exchange.answer += message.get("body", b"")
                await send(message)

            try:
                await app(scope, hear, say)
            finally:
                with self._lock:
                    self.exchanges.append(exchange)

        return listen

    def described(self) -> list[Exchange]:
        """The exchanges that the OpenAPI files describe."""
        with self._lock:
            return [one for one in self.exchanges if one.is_described]

    def faults(self, by: Contract) -> list[str]:
        """What is wrong with them."""
        return [
            fault
            for one in self.described()
            for fault in (
                *by.faults_of_request(one.method, one.path, one.headers, _json(one.body)),
                *by.faults_of_answer(one.method, one.path, one.status, _json(one.answer)),
            )
        ]


@dataclass
class FakePayPal:
    """A fake provider that runs, its strings, and what was said to it."""

    provider: FakeProvider
    control: Control
    recorder: Recorder

    def connect(self, timeout: timedelta = LONG, secret: str = "") -> PayPal:
        """What speaks to it."""
        identity = self.provider.identity
        credentials = Credentials(identity.client_id, secret or identity.client_secret)
        return PayPal(PayPalApi(self.provider.base_url, credentials, timeout))

    def settings(self) -> dict[str, Any]:
        """What an installation is told to be paid by it."""
        identity = self.provider.identity
        return {
            "paypal_mode": "sandbox",
            "paypal_base_url": self.provider.base_url,
            "paypal_client_id": identity.client_id,
            "paypal_client_secret": identity.client_secret,
            "paypal_webhook_id": identity.webhook_id,
        }


@contextmanager
def fake_paypal(*, check: bool = True, **options: Any) -> Iterator[FakePayPal]:
    """A fake provider for the length of the block; at its end, all that was said is held against PayPal's files.

    Args:
        check: False: nothing is held against anything.
        options: of ``FakeProvider``.
    """
    by = contract() if check else None
    recorder = Recorder()
    with (
        in_thread(lambda url: FakeProvider(url, **options), recorder.around) as provider,
        Control(provider.base_url) as control,
    ):
        yield FakePayPal(provider, control, recorder)
    if by is not None:
        faults = recorder.faults(by)
        assert not faults, "\n".join(dict.fromkeys(faults))


def _json(body: bytes) -> Any:
    return json.loads(body) if body else None
