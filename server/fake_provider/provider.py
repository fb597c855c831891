"""The fake provider as one object: its books, its manners, its webhooks, and who may call."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.fake_provider import messages
from server.fake_provider.behaviour import Behaviour, Behaviours, Call
from server.fake_provider.books import Books, Refusal
from server.fake_provider.outbox import Outbox
from server.fake_provider.signing import Signer

_RETRY_AFTER: Final = "1"
_INSTEAD: Final = {Behaviour.ERROR_BEFORE: 500, Behaviour.BUSY: 429, Behaviour.UNAUTHORIZED: 401}
"""What is answered, and nothing done."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the shop's settings have to agree with."""

    client_id: str = "fake-client"
    client_secret: str = field(default="fake-secret", repr=False)
    webhook_id: str = "1FAKE00000000000W"


@dataclass(frozen=True, slots=True)
class Done:
    """A yes: what is answered, and the events that follow from it."""

    status: int
    body: Mapping[str, Any] | None
    events: tuple[dict[str, Any], ...] = ()


class FakeProvider:
    """One fake provider. Belongs to one event loop.

    Args:
        base_url: where it is reached.
        identity: who the shop is.
        behaviours: what comes of calls.
        auto_approve: whether orders are approved as soon as they are made, by nobody.
        slow: seconds that a SLOW call takes longer.
        webhook_url: where webhooks are sent to; None: nowhere.
    """

    def __init__(
        self,
        base_url: str,
        *,
        identity: Identity | None = None,
        behaviours: Behaviours | None = None,
        auto_approve: bool = False,
        slow: float = 1.0,
        webhook_url: str | None = None,
    ) -> None:
        self.base_url = base_url
        self.identity = identity or Identity()
        self.behaviours = behaviours or Behaviours()
        self.auto_approve = auto_approve
        self.books = Books()
        self.signer = Signer(self.identity.webhook_id, base_url)
        self.outbox = Outbox(self.signer, webhook_url)
        self.tokens: set[str] = set()
        self._slow = slow

    def issue_token(self) -> str:
        """A new token for calls."""
        token = secrets.token_urlsafe(32)
        self.tokens.add(token)
        return token

    async def answer(
        self, request: Request, call: Call, payment: str | None, work: Callable[[Behaviour], Done]
    ) -> Response:
        """Do what a call asks for, in the way in which it is to be done.

        Args:
            request: the call.
            call: of which kind it is.
            payment: the shop's payment that it is about.
            work: does it, all at once; may raise ``Refusal``.
        """
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return refused(Refusal(401))
        behaviour = self.behaviours.next(payment, call)
        if behaviour is Behaviour.UNAUTHORIZED:
            self.tokens.discard(token)
        if (instead := _INSTEAD.get(behaviour)) is not None:
            return refused(Refusal(instead))
        if behaviour is Behaviour.SILENT_BEFORE:
            return await _silence(request)
        if behaviour is Behaviour.SLOW:
            await asyncio.sleep(self._slow)
        try:
            done = work(behaviour)
        except Refusal as refusal:
            return refused(refusal)
        delivery = self.behaviours.delivery_of(payment)
        for event in done.events:
            await self.outbox.tell(event, payment or "", delivery)
        return await _say(done, behaviour, request)


def refused(refusal: Refusal) -> Response:
    """A no, in PayPal's words."""
    headers = {"Retry-After": _RETRY_AFTER} if refusal.status == 429 else None
    return JSONResponse(messages.error(refusal.status, refusal.issue), refusal.status, headers)


def refusing(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A handler whose ``Refusal`` is answered as such."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return refused(refusal)

    return handle


async def _say(done: Done, behaviour: Behaviour, request: Request) -> Response:
    match behaviour:
        case Behaviour.SILENT_AFTER:
            return await _silence(request)
        case Behaviour.ERROR_AFTER:
            return refused(Refusal(500))
        case Behaviour.GARBLED_AFTER:
            return Response("<html>502 Bad Gateway</html>", status_code=200, media_type="text/html")
    return Response(status_code=done.status) if done.body is None else JSONResponse(done.body, done.status)


async def _silence(request: Request) -> Response:
    """Say nothing until the caller has given up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response(status_code=503)
