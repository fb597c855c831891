"""Failed work: what no worker will do any more, and the remedy beside it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin import CustomView, route
from starlette_admin.exceptions import ActionFailed
from starlette_admin.flash import flash

from console.calling import call, one_by_one, sentence
from console.forms import entered
from console.pages import failed_parts as parts
from console.records import Record
from console.rendering import render
from rowlock.v1 import notification_pb2, operations_pb2, partner_pb2, payment_pb2
from rowlock.v1.notification_pb2_grpc import NotificationServiceStub
from rowlock.v1.operations_pb2_grpc import OperationsServiceStub
from rowlock.v1.partner_pb2_grpc import PartnerServiceStub
from rowlock.v1.payment_pb2_grpc import PaymentServiceStub
from rowlock_client.errors import RowlockError, Unauthenticated
from rowlock_client.rpc import Rpc


class FailedWork(CustomView):
    """What waits, and what waits for people."""

    menu_label = "Failed work"
    icon = "fa fa-triangle-exclamation"
    path = "/failed-work"

    @route("", name="failed-work")
    async def index(self, request: Request) -> Response:
        """All kinds of work; of those that wait for people, the rows."""
        backlog: operations_pb2.ListBacklogResponse = await call(
            request, Rpc(OperationsServiceStub, "ListBacklog", operations_pb2.ListBacklogRequest())
        )
        stuck = {kind.kind for kind in backlog.kinds if kind.for_people_count}
        sections = [await read(request) for kinds, read in parts.SECTIONS if kinds & stuck]
        return render(self, request, "failed_work.html", kinds=map(Record, backlog.kinds), sections=sections)

    @route("/{part}", methods=["POST"], name="failed-work-remedy")
    async def remedy(self, request: Request) -> Response:
        """Do what helps, for the rows that were ticked."""
        do = _REMEDIES.get(request.path_params["part"])
        if do is None:
            raise HTTPException(404)
        # In an order of their own: a form that is sent twice makes the same calls again.
        names = sorted(str(name) for name in (await request.form()).getlist("names"))
        if names:
            try:
                flash(request, await do(request, names), "success")
            except Unauthenticated:
                raise
            except RowlockError as error:
                flash(request, sentence(error), "error")
            except ActionFailed as error:
                flash(request, error.msg, "error")
        else:
            flash(request, "Choose at least one.", "error")
        return RedirectResponse(request.url_for("console:failed-work"), 303)


async def _retry_refunds(request: Request, names: Sequence[str]) -> str:
    reason = await entered(request, "reason")

    async def retry(name: str) -> None:
        wanted = payment_pb2.RetryRefundRequest(name=name, reason=reason)
        await call(request, Rpc(PaymentServiceStub, "RetryRefund", wanted))

    await one_by_one(names, retry)
    return f"Refunds that are tried anew: {len(names)}."


async def _resend_mails(request: Request, names: Sequence[str]) -> str:
    wanted = notification_pb2.RetryNotificationsRequest(names=names)
    answer: notification_pb2.RetryNotificationsResponse = await call(
        request, Rpc(NotificationServiceStub, "RetryNotifications", wanted)
    )
    return f"Mails that are sent again: {answer.retried_count}."


async def _retry_messages(request: Request, names: Sequence[str]) -> str:
    wanted = operations_pb2.RetryProviderWebhooksRequest(names=names)
    answer: operations_pb2.RetryProviderWebhooksResponse = await call(
        request, Rpc(OperationsServiceStub, "RetryProviderWebhooks", wanted)
    )
    return f"Messages that are acted on once more: {answer.retried_count}."


async def _switch_on(request: Request, names: Sequence[str]) -> str:
    async def switch_on(name: str) -> None:
        wanted = partner_pb2.UpdateWebhookEndpointRequest(
            webhook_endpoint=partner_pb2.WebhookEndpoint(name=name, disabled=False)
        )
        wanted.update_mask.paths.append("disabled")
        await call(request, Rpc(PartnerServiceStub, "UpdateWebhookEndpoint", wanted))

    await one_by_one(names, switch_on)
    return f"Webhooks that are switched on again: {len(names)}."


_Remedy = Callable[[Request, Sequence[str]], Awaitable[str]]
_REMEDIES: Final[Mapping[str, _Remedy]] = {
    "refunds": _retry_refunds,
    "mails": _resend_mails,
    "messages": _retry_messages,
    "webhooks": _switch_on,
}
