"""PaymentService: the call with which payment providers tell that something happened.

Believed is what is signed, and even that is only a hint: it is stored and answered, and a worker asks the provider. So
the answer comes within milliseconds whatever there is to do, and an OK means that nothing is lost any more.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import grpc.aio
import structlog

from rowlock.v1 import payment_pb2 as pb
from rowlock.v1 import payment_pb2_grpc
from server import clock
from server.db.engine import Database
from server.domain import webhooks
from server.domain.payment_rules import not_configured
from server.errors import Unauthenticated
from server.payments.wake import WEBHOOKS, Waker
from server.payments.webhook_port import UntrustedWebhook, WebhookVerifier
from server.states import Provider

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_log = structlog.get_logger(__name__)


class PaymentWebhooks(payment_pb2_grpc.PaymentServiceServicer):
    """The servicer.

    Args:
        database: where messages are stored.
        waker: wakes workers.
        verifiers: of those providers whose messages can be believed.
    """

    def __init__(self, database: Database, waker: Waker, verifiers: Mapping[Provider, WebhookVerifier]) -> None:
        self._database = database
        self._waker = waker
        self._verifiers = verifiers

    async def HandleProviderWebhook(
        self, request: pb.HandleProviderWebhookRequest, context: Context
    ) -> pb.HandleProviderWebhookResponse:
        """Store a message once, if it is the provider's."""
        provider = Provider(request.provider)
        verifier = self._verifiers.get(provider)
        if verifier is None:
            raise not_configured(provider)
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            event = await verifier.verify(request.body, headers, clock.now())
        except UntrustedWebhook as fault:
            _log.warning("webhook.not_believed", provider=provider.name, said=fault.said)
            raise Unauthenticated(
                "WEBHOOK_SIGNATURE_INVALID", "the message bears no valid signature of the provider"
            ) from None
        kept = {name: "".join(filter(str.isprintable, headers.get(name, ""))) for name in verifier.kept_headers}
        is_new = await self._database.transaction(
            lambda session: webhooks.receive(session, provider, event, request.body, kept)
        )
        _log.info("webhook.received", provider=provider.name, event_id=event.event_id, kind=event.kind, new=is_new)
        if is_new:
            self._waker.wake(WEBHOOKS)
        return pb.HandleProviderWebhookResponse()
