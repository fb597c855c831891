"""A small Stripe with a memory, for the flows: what stripe-mock refuses it refuses, and then it keeps books.

Every request is first sent to stripe-mock, which holds it against Stripe's description; its fixture, overlaid with what
this Stripe knows, is the answer, and is held against the description, too. So it cannot drift from the API.

It can be told to fail (`faults`): before or after the effect, by silence, by a fault of its own (which it remembers
under the key, as Stripe does), by too many calls. Customers, and people at the dashboard, act by its methods.
"""

import asyncio
import json
import secrets
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final
from urllib.parse import parse_qsl

import httpx
import uvicorn
from jsonschema import Draft4Validator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.eventually import eventually
from tests.stripe_mock import schemas

Json = dict[str, Any]

_APPROVABLE: Final = {"requires_payment_method", "requires_confirmation", "requires_action"}


class Fault(Enum):
    """What goes wrong with a call."""

    SILENT_BEFORE = "silent before"
    SILENT_AFTER = "silent after"
    FAILED_BEFORE = "failed before"
    FAILED_AFTER = "failed after"
    BUSY = "busy"


@dataclass
class Books:
    """What Stripe knows."""

    intents: dict[str, Json] = field(default_factory=dict)
    charges: dict[str, Json] = field(default_factory=dict)
    refunds: dict[str, Json] = field(default_factory=dict)
    answers: dict[str, tuple[int, Json]] = field(default_factory=dict)
    """By idempotency key."""


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, kind: str, code: str, **more: Any) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"error": {"type": kind, "code": code, "message": code, **more}}


class FakeStripe:
    """The company.

    Args:
        mock: address of a stripe-mock.
    """

    def __init__(self, mock: str) -> None:
        self.books = Books()
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        """By call: create, capture, cancel, find, refund, find_refund."""
        self.calls: list[str] = []
        self.refund_status = "succeeded"
        self._mock = httpx.AsyncClient(base_url=mock, timeout=60)
        routes = (
            ("/v1/payment_intents", "POST", "create", self._create),
            ("/v1/payment_intents/{id}", "GET", "find", self._find),
            ("/v1/payment_intents/{id}/capture", "POST", "capture", self._capture),
            ("/v1/payment_intents/{id}/cancel", "POST", "cancel", self._cancel),
            ("/v1/refunds", "POST", "refund", self._refund),
            ("/v1/refunds", "GET", "find_refund", self._list_refunds),
            ("/v1/refunds/{id}", "GET", "find_refund", self._find_refund),
            ("/v1/charges", "GET", "list_charges", self._list_charges),
        )
        self.app = Starlette(
            routes=[Route(path, self._served(name, act), methods=[method]) for path, method, name, act in routes]
        )

    # -- what people do ------------------------------------------------------------------------------------

    def approve(self, reference: str, amount: int | None = None) -> None:
        """The customer's browser confirms: the money is reserved. ``amount``: if it is another one, for some reason."""
        intent = self.books.intents[reference]
        assert intent["status"] in _APPROVABLE
        charge = {
            "id": _id("ch"),
            "amount": intent["amount"] if amount is None else amount,
            "amount_captured": 0,
            "amount_refunded": 0,
            "created": int(time.time()),
            "currency": intent["currency"],
            "payment_intent": reference,
            "metadata": intent["metadata"],
            "status": "succeeded",
            "captured": False,
            "refunded": False,
        }
        self.books.charges[charge["id"]] = charge
        intent |= {"status": "requires_capture", "latest_charge": charge["id"], "last_payment_error": None}
        intent["amount_capturable"] = charge["amount"]

    def refuse_card(self, reference: str, decline_code: str = "insufficient_funds") -> None:
        """The customer's bank says no to the browser."""
        error = {"type": "card_error", "code": "card_declined", "decline_code": decline_code, "message": "no"}
        self.books.intents[reference] |= {"status": "requires_payment_method", "last_payment_error": error}

    def take(self, reference: str) -> None:
        """The money is taken without us, at the dashboard."""
        intent = self.books.intents[reference]
        charge = self.books.charges[intent["latest_charge"]]
        charge |= {"captured": True, "amount_captured": charge["amount"]}
        intent |= {"status": "succeeded", "amount_received": charge["amount"], "amount_capturable": 0}

    def give_back(self, reference: str, amount: int, metadata: Json | None = None) -> Json:
        """Money goes back, at the dashboard or by a call."""
        charge = self.books.charges[self.books.intents[reference]["latest_charge"]]
        if charge["amount_refunded"] + amount > charge["amount_captured"]:
            raise Refusal(400, "invalid_request_error", "charge_already_refunded")
        charge["amount_refunded"] += amount
        refund = {
            "id": _id("re"),
            "amount": amount,
            "created": int(time.time()),
            "currency": charge["currency"],
            "payment_intent": reference,
            "charge": charge["id"],
            "metadata": metadata or {},
            "status": self.refund_status,
        }
        self.books.refunds[refund["id"]] = refund
        return refund

    def fail_refund(self, reference: str, reason: str) -> None:
        """The customer's bank sends back what was refunded."""
        refund = self.books.refunds[reference]
        refund |= {"status": "failed", "failure_reason": reason}
        self.books.charges[refund["charge"]]["amount_refunded"] -= refund["amount"]

    def event(self, kind: str, thing: Json, *, event_id: str | None = None, created: float | None = None) -> bytes:
        """The body of a webhook."""
        event = {
            "id": event_id or _id("evt"),
            "object": "event",
            "type": kind,
            "created": int(created or time.time()),
            "livemode": False,
            "data": {"object": thing},
        }
        return json.dumps(event).encode()

    def intent_event(self, kind: str, reference: str, **options: Any) -> bytes:
        """The body of a webhook about an intent, as it is now."""
        return self.event(kind, {"object": "payment_intent", **self.books.intents[reference]}, **options)

    # -- the API -------------------------------------------------------------------------------------------

    def _served(self, name: str, act: Any) -> Any:
        async def serve(request: Request) -> Response:
            self.calls.append(name)
            body = await request.body()
            example = await self._checked(request, body)
            if example.status_code != 200:
                return Response(example.content, example.status_code, media_type="application/json")
            fault = self.faults[name].popleft() if self.faults[name] else None
            if fault is Fault.BUSY:
                return JSONResponse({"error": {"type": "rate_limit_error", "message": "slow down"}}, 429)
            if fault is Fault.SILENT_BEFORE:
                await _silence(request)
            key = request.headers.get("idempotency-key", "")
            known = self.books.answers.get(key)
            status, answer = known or self._acted(act, request, body, example.json(), fault)
            if key:
                self.books.answers[key] = status, answer
            if fault is Fault.SILENT_AFTER:
                await _silence(request)
            return JSONResponse(answer, status, {"idempotent-replayed": "true"} if known else None)

        return serve

    def _acted(self, act: Any, request: Request, body: bytes, example: Json, fault: Fault | None) -> tuple[int, Json]:
        broken = 500, {"error": {"type": "api_error", "message": "our fault"}}
        if fault is Fault.FAILED_BEFORE:
            return broken
        try:
            answer = act(request.path_params.get("id", ""), _fields(body, request), example)
        except Refusal as refusal:
            return refusal.status, refusal.body
        _check_schema(answer)
        return broken if fault is Fault.FAILED_AFTER else (200, answer)

    async def _checked(self, request: Request, body: bytes) -> httpx.Response:
        """What stripe-mock says to the same request."""
        headers = {
            name: value
            for name, value in request.headers.items()
            if name in {"authorization", "content-type", "idempotency-key", "stripe-version"}
        }
        return await self._mock.request(
            request.method, request.url.path, params=request.url.query.encode(), content=body, headers=headers
        )

    def _create(self, _: str, fields: Json, example: Json) -> Json:
        reference = _id("pi")
        self.books.intents[reference] = {
            "id": reference,
            "amount": int(fields["amount"]),
            "amount_capturable": 0,
            "amount_received": 0,
            "currency": fields["currency"],
            "capture_method": fields["capture_method"],
            "client_secret": f"{reference}_secret_{secrets.token_hex(8)}",
            "created": int(time.time()),
            "metadata": _metadata(fields),
            "status": "requires_payment_method",
            "latest_charge": None,
            "last_payment_error": None,
            "canceled_at": None,
        }
        return example | self.books.intents[reference]

    def _find(self, reference: str, _: Json, example: Json) -> Json:
        return example | self._shown(reference)

    def _capture(self, reference: str, _: Json, example: Json) -> Json:
        intent = self._intent(reference)
        if intent["status"] != "requires_capture":
            raise Refusal(400, "invalid_request_error", "payment_intent_unexpected_state")
        self.take(reference)
        return example | self._shown(reference)

    def _cancel(self, reference: str, _: Json, example: Json) -> Json:
        intent = self._intent(reference)
        if intent["status"] in {"succeeded", "canceled"}:
            raise Refusal(400, "invalid_request_error", "payment_intent_unexpected_state")
        intent |= {"status": "canceled", "amount_capturable": 0, "canceled_at": int(time.time())}
        return example | self._shown(reference)

    def _refund(self, _: str, fields: Json, example: Json) -> Json:
        intent = self._intent(fields["payment_intent"])
        if intent["status"] != "succeeded":
            raise Refusal(400, "invalid_request_error", "charge_not_captured")
        return example | self.give_back(intent["id"], int(fields["amount"]), _metadata(fields))

    def _list_refunds(self, _: str, fields: Json, example: Json) -> Json:
        wanted = fields.get("payment_intent")
        found = [refund for refund in self.books.refunds.values() if wanted in (None, refund["payment_intent"])]
        if "expand[0]" in fields:
            found = [refund | {"charge": _whole_charge(self.books.charges[refund["charge"]])} for refund in found]
        return _page(found, fields, example)

    def _list_charges(self, _: str, fields: Json, example: Json) -> Json:
        return _page([_whole_charge(charge) for charge in self.books.charges.values()], fields, example)

    def _find_refund(self, reference: str, _: Json, example: Json) -> Json:
        return example | self.books.refunds[reference]

    def _intent(self, reference: str) -> Json:
        try:
            return self.books.intents[reference]
        except KeyError:
            raise Refusal(404, "invalid_request_error", "resource_missing") from None

    def _shown(self, reference: str) -> Json:
        intent = self._intent(reference)
        charge = intent["latest_charge"]
        return intent | {"latest_charge": charge and _whole_charge(self.books.charges[charge])}


@asynccontextmanager
async def fake_stripe(mock: str) -> AsyncIterator[tuple[FakeStripe, str]]:
    """A running one, on this event loop, and its address."""
    schemas()  # read now, which takes a second
    stripe = FakeStripe(mock)
    server = uvicorn.Server(
        uvicorn.Config(stripe.app, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    try:
        yield stripe, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


async def _silence(request: Request) -> None:
    """Say nothing until whoever asked gives up."""
    while not await request.is_disconnected():  # noqa: ASYNC110 - Starlette has no event for it
        await asyncio.sleep(0.05)


def _page(found: list[Json], fields: Json, example: Json) -> Json:
    """The newest first, and two at a time, so that whoever looks has to turn pages."""
    found = [thing for thing in reversed(found) if thing.get("created", 0) >= int(fields.get("created[gte]", 0))]
    names = [thing["id"] for thing in found]
    start = names.index(fields["starting_after"]) + 1 if "starting_after" in fields else 0
    shape = example["data"][0]
    return example | {"data": [shape | thing for thing in found[start : start + 2]], "has_more": len(found) > start + 2}


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def _fields(body: bytes, request: Request) -> Json:
    return dict(parse_qsl(body.decode())) or dict(request.query_params)


def _metadata(fields: Json) -> Json:
    return {name[9:-1]: value for name, value in fields.items() if name.startswith("metadata[")}


def _whole_charge(charge: Json) -> Json:
    """A charge with everything that the description requires of one."""
    empty = {
        "amount_updates": [],
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "created": 1,
        "disputed": False,
        "livemode": False,
        "object": "charge",
        "paid": True,
        "payment_method_details": None,
    }
    return empty | charge


def _check_schema(answer: Json) -> None:
    """Fail if Stripe would not answer like this."""
    kind = answer["object"]
    if kind == "list":
        for entry in answer["data"]:
            _check_schema(entry)
    else:
        Draft4Validator({"$ref": f"#/components/schemas/{kind}", "components": {"schemas": schemas()}}).validate(answer)
