"""PayPal's API, as far as a shop needs it that captures orders and gives money back."""

import base64
import json
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.fake_provider import messages
from server.fake_provider.behaviour import Behaviour, Call
from server.fake_provider.books import Refusal
from server.fake_provider.provider import Done, FakeProvider, refused, refusing

_TOKEN_LIFETIME: Final = 32_400


def routes(provider: FakeProvider) -> list[Route]:
    """The calls, answered by ``provider``."""
    calls = _Calls(provider)
    return [
        Route("/v1/oauth2/token", calls.token, methods=["POST"]),
        Route("/v2/checkout/orders", refusing(calls.create), methods=["POST"]),
        Route("/v2/checkout/orders/{id}", refusing(calls.show), methods=["GET"]),
        Route("/v2/checkout/orders/{id}", refusing(calls.change), methods=["PATCH"]),
        Route("/v2/checkout/orders/{id}/capture", refusing(calls.capture), methods=["POST"]),
        Route("/v2/payments/captures/{id}", refusing(calls.show_capture), methods=["GET"]),
        Route("/v2/payments/captures/{id}/refund", refusing(calls.refund), methods=["POST"]),
        Route("/v2/payments/refunds/{id}", refusing(calls.show_refund), methods=["GET"]),
        Route("/v1/notifications/certs/{name}", calls.certificate, methods=["GET"]),
        Route("/v1/notifications/verify-webhook-signature", refusing(calls.verify_signature), methods=["POST"]),
    ]


class _Calls:
    def __init__(self, provider: FakeProvider) -> None:
        self._provider = provider
        self._books = provider.books

    async def token(self, request: Request) -> Response:
        identity = self._provider.identity
        expected = base64.b64encode(f"{identity.client_id}:{identity.client_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return JSONResponse(
                {"error": "invalid_client", "error_description": "Client Authentication failed"}, status_code=401
            )
        if b"grant_type=client_credentials" not in await request.body():
            return JSONResponse({"error": "unsupported_grant_type"}, status_code=400)
        return JSONResponse(
            {
                "scope": "https://uri.paypal.com/services/payments/payment",
                "access_token": self._provider.issue_token(),
                "token_type": "Bearer",
                "app_id": "APP-80W284485P519543T",
                "expires_in": _TOKEN_LIFETIME,
                "nonce": "2026-01-01T00:00:00Znonce",
            }
        )

    async def create(self, request: Request) -> Response:
        asked, key = await _json(request), request.headers.get("paypal-request-id")
        payment = str((asked.get("purchase_units") or [{}])[0].get("invoice_id") or "") or None

        def work(_: Behaviour) -> Done:
            order, new = self._books.create(asked, key, approved=self._provider.auto_approve)
            said = messages.order(order, self._provider.base_url, whole=_whole(request))
            return Done(201 if new else 200, said)

        return await self._provider.answer(request, Call.CREATE, payment, work)

    async def show(self, request: Request) -> Response:
        order = self._books.shown(request.path_params["id"])
        return await self._provider.answer(
            request,
            Call.SHOW,
            order.payment,
            lambda _: Done(200, messages.order(order, self._provider.base_url, whole=True)),
        )

    async def change(self, request: Request) -> Response:
        patch = json.loads(await request.body())
        order = self._books.shown(request.path_params["id"])

        def work(_: Behaviour) -> Done:
            self._books.close(order.id, patch)
            return Done(204, None)

        return await self._provider.answer(request, Call.CLOSE, order.payment, work)

    async def capture(self, request: Request) -> Response:
        await _json(request)
        key, base_url = request.headers.get("paypal-request-id"), self._provider.base_url
        order = self._books.shown(request.path_params["id"])

        def work(behaviour: Behaviour) -> Done:
            taken, new = self._books.take(order.id, key, behaviour)
            said = messages.order(taken, base_url, whole=_whole(request))
            if not new or taken.capture is None:
                return Done(200, said)
            return Done(201, said, (messages.capture_event(taken, taken.capture, base_url),))

        return await self._provider.answer(request, Call.CAPTURE, order.payment, work)

    async def show_capture(self, request: Request) -> Response:
        order = self._books.order_of_capture(request.path_params["id"])
        capture = order.capture
        if capture is None:
            raise Refusal(404, "INVALID_RESOURCE_ID")
        return await self._provider.answer(
            request,
            Call.SHOW,
            order.payment,
            lambda _: Done(200, messages.capture(order, capture, self._provider.base_url)),
        )

    async def refund(self, request: Request) -> Response:
        asked, key = await _json(request), request.headers.get("paypal-request-id")
        base_url, capture_id = self._provider.base_url, request.path_params["id"]

        def work(behaviour: Behaviour) -> Done:
            order, refund, new = self._books.give_back(capture_id, asked, key, behaviour)
            said = messages.refund(order, refund, base_url)
            if not _whole(request):
                said = {name: said[name] for name in ("id", "status", "links")}
            return Done(201, said, (messages.refund_event(order, refund, base_url),) if new else ())

        payment = self._books.order_of_capture(capture_id).payment
        return await self._provider.answer(request, Call.REFUND, payment, work)

    async def show_refund(self, request: Request) -> Response:
        order, refund = self._books.refund(request.path_params["id"])
        return await self._provider.answer(
            request,
            Call.SHOW,
            order.payment,
            lambda _: Done(200, messages.refund(order, refund, self._provider.base_url)),
        )

    async def certificate(self, request: Request) -> Response:
        signer = self._provider.signer
        if request.path_params["name"] != signer.name:
            return refused(Refusal(404))
        return Response(signer.certificate, media_type="application/x-pem-file")

    async def verify_signature(self, request: Request) -> Response:
        asked = await _json(request)
        found = self._provider.outbox.sent(str(asked.get("transmission_id")))
        told = {
            "paypal-transmission-time": asked.get("transmission_time"),
            "paypal-transmission-sig": asked.get("transmission_sig"),
            "paypal-cert-url": asked.get("cert_url"),
            "paypal-auth-algo": asked.get("auth_algo"),
        }
        is_ours = (
            found is not None
            and found[0].event == asked.get("webhook_event")
            and told.items() <= found[1].headers.items()
            and asked.get("webhook_id") == self._provider.identity.webhook_id
        )
        return await self._provider.answer(
            request, Call.SHOW, None, lambda _: Done(200, {"verification_status": "SUCCESS" if is_ours else "FAILURE"})
        )


async def _json(request: Request) -> dict[str, Any]:
    try:
        asked = json.loads(await request.body() or b"{}")
    except ValueError:
        raise Refusal(400, "MALFORMED_REQUEST_JSON") from None
    if not isinstance(asked, dict):
        raise Refusal(400, "INVALID_PARAMETER_SYNTAX")
    return asked


def _whole(request: Request) -> bool:
    return request.headers.get("prefer") == "return=representation"
