"""What is not PayPal's: the page on which a customer approves, and the strings that tests and demos pull."""

import json
from dataclasses import asdict
from decimal import Decimal
from html import escape
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from server.fake_provider import messages
from server.fake_provider.behaviour import Behaviour, Call, Delivery
from server.fake_provider.books import Order, Refusal
from server.fake_provider.provider import FakeProvider, refusing

_PAGE = """<!doctype html><meta charset="utf-8"><title>Not PayPal</title>
<body style="font-family: sans-serif; max-width: 30em; margin: 4em auto">
<h1>{amount}</h1><p>This is not PayPal, and no money moves: it stands in for PayPal while Rowlock is tried.</p>
<form method="post"><button name="answer" value="pay">Pay</button>
<button name="answer" value="no">Cancel</button></form>
"""


def routes(provider: FakeProvider) -> list[Route]:
    """The page and the strings."""
    control = _Control(provider)
    return [
        Route("/checkoutnow", refusing(control.page), methods=["GET"]),
        Route("/checkoutnow", refusing(control.decide), methods=["POST"]),
        Route("/fake/books", control.books, methods=["GET"]),
        Route("/fake/script/{payment}", refusing(control.script), methods=["PUT"]),
        Route("/fake/orders/{id}", refusing(control.forget), methods=["DELETE"]),
        Route("/fake/orders/{id}/settle", refusing(control.settle), methods=["POST"]),
        Route("/fake/refunds/{id}/take-back", refusing(control.take_back), methods=["POST"]),
        Route("/fake/tokens", control.forget_tokens, methods=["DELETE"]),
        Route("/fake/keys", control.forget_keys, methods=["DELETE"]),
        Route("/fake/webhooks", control.webhooks, methods=["GET"]),
        Route("/fake/webhooks/{id}/send", control.send, methods=["POST"]),
    ]


class _Control:
    def __init__(self, provider: FakeProvider) -> None:
        self._provider = provider
        self._books = provider.books

    async def page(self, request: Request) -> Response:
        order = self._books.order(request.query_params.get("token", ""))
        money = order.unit["amount"]
        return HTMLResponse(_PAGE.format(amount=escape(f"{money['value']} {money['currency_code']}")))

    async def decide(self, request: Request) -> Response:
        """Approve, or go back; a browser is sent to the shop, everybody else is told."""
        order = self._books.order(request.query_params.get("token", ""))
        if b"answer=no" in await request.body():
            return _back(order.cancel_url, order, "Cancelled: nothing was paid.")
        was = order.status
        self._books.approve(order.id)
        if was != order.status:
            event = messages.order_event(order, self._provider.base_url)
            await self._provider.outbox.tell(event, order.payment, self._provider.behaviours.delivery_of(order.payment))
        return _back(order.return_url, order, "Approved. Rowlock takes the money when it is told to: go back to it.")

    async def books(self, request: Request) -> Response:
        """Every order, capture and refund, and the sums: amounts as decimal strings."""
        captures = [
            {**asdict(capture), "order": order.id, "payment": order.payment}
            for order, capture in self._books.captures()
        ]
        refunds = [
            {**asdict(refund), "order": order.id, "payment": order.payment}
            for order in self._books.orders.values()
            for refund in order.refunds
        ]
        orders = [
            {"id": order.id, "payment": order.payment, "status": order.status, "intent": order.intent}
            for order in self._books.orders.values()
        ]
        found = {"orders": orders, "captures": captures, "refunds": refunds}
        return Response(json.dumps(found, default=_shown), media_type="application/json")

    async def script(self, request: Request) -> Response:
        """`{"capture": ["silent-after"], "webhooks": "twice"}` for the payment of an invoice id."""
        asked: dict[str, Any] = json.loads(await request.body())
        payment = request.path_params["payment"]
        try:
            for name, value in asked.items():
                if name == "webhooks":
                    self._provider.behaviours.deliver(payment, Delivery(value))
                else:
                    self._provider.behaviours.script(payment, Call(name), [Behaviour(one) for one in value])
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return Response(status_code=204)

    async def forget(self, request: Request) -> Response:
        """Have an order run out, or with `?only=show` have it shown no more."""
        if request.query_params.get("only") == "show":
            self._books.hide(request.path_params["id"])
        else:
            self._books.forget(request.path_params["id"])
        return Response(status_code=204)

    async def settle(self, request: Request) -> Response:
        """Decide what is pending: `?status=COMPLETED` (usual), DECLINED for captures, FAILED for refunds."""
        order = self._books.settle(request.path_params["id"], status=request.query_params.get("status", "COMPLETED"))
        if order.capture is None:
            raise Refusal(404, "INVALID_RESOURCE_ID")
        event = messages.capture_event(order, order.capture, self._provider.base_url)
        delivery = self._provider.behaviours.delivery_of(order.payment)
        await self._provider.outbox.tell(event, order.payment, delivery)
        return Response(status_code=204)

    async def take_back(self, request: Request) -> Response:
        """Have a refund fail that was made: `?status=FAILED` (usual) or CANCELLED."""
        status = request.query_params.get("status", "FAILED")
        order, refund = self._books.take_back(request.path_params["id"], status=status)
        event = messages.refund_event(order, refund, self._provider.base_url)
        delivery = self._provider.behaviours.delivery_of(order.payment)
        await self._provider.outbox.tell(event, order.payment, delivery)
        return Response(status_code=204)

    async def forget_tokens(self, request: Request) -> Response:
        self._provider.tokens.clear()
        return Response(status_code=204)

    async def forget_keys(self, request: Request) -> Response:
        self._books.forget_keys()
        return Response(status_code=204)

    async def webhooks(self, request: Request) -> Response:
        """Every event so far, oldest first, each signed anew, for whoever carries them."""
        found = []
        for notification in self._provider.outbox.notifications:
            transmission = self._provider.outbox.sign(notification)
            found.append(
                {
                    "id": notification.event["id"],
                    "event_type": notification.event["event_type"],
                    "payment": notification.payment,
                    "headers": transmission.headers,
                    "body": transmission.body.decode(),
                }
            )
        return JSONResponse(found)

    async def send(self, request: Request) -> Response:
        """Send an event (again) to where webhooks go."""
        outbox = self._provider.outbox
        for notification in outbox.notifications:
            if notification.event["id"] == request.path_params["id"]:
                return JSONResponse({"taken": await outbox.send(notification)})
        return Response(status_code=404)


def _back(url: str | None, order: Order, said: str) -> Response:
    if url is None:
        return Response(f"{said}\n", media_type="text/plain")
    joint = "&" if "?" in url else "?"
    return RedirectResponse(f"{url}{joint}{urlencode({'token': order.id})}", status_code=303)


def _shown(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
