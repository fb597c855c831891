"""The parts of the page of failed work: what waits for people, kind by kind, as tables with a remedy."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from console.calling import call
from console.columns import time_text
from console.known import labels
from console.narrowing import worded
from console.pages.booking_parts import detail_url
from console.records import Record, amount
from console.tables import Cell, short, state_cell
from rowlock.v1 import notification_pb2, operations_pb2, partner_pb2, payment_pb2
from rowlock.v1.notification_pb2_grpc import NotificationServiceStub
from rowlock.v1.operations_pb2_grpc import OperationsServiceStub
from rowlock.v1.partner_pb2_grpc import PartnerServiceStub
from rowlock.v1.payment_pb2_grpc import PaymentServiceStub
from rowlock_client.paging import continued
from rowlock_client.rpc import Rpc

_SHOWN: Final = 100
"""Rows of one kind; the next come when these are done."""
_EVERYWHERE: Final = "performances/-/bookings/-"


@dataclass(frozen=True, slots=True)
class Section:
    """What of one kind waits for people.

    Args:
        title: what it is.
        headings: of the columns.
        rows: the name of each, and its cells.
        part: where the remedy is asked for, below the page's path; empty: there is none here, the rows lead to it.
        button: what the remedy is called.
        hint: what else people should know.
        asks_reason: whether the remedy takes a reason.
        more: whether there are more than these.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    part: str = ""
    button: str = ""
    hint: str = ""
    asks_reason: bool = False
    more: bool = False


async def _refunds(request: Request) -> Section:
    failed: payment_pb2.ListRefundsResponse = await call(
        request, _list_refunds(payment_pb2.ListRefundsRequest(state=payment_pb2.Refund.FAILED))
    )
    return Section(
        title="Refunds that a provider refused",
        headings=("Refund", "Amount", "Why", "Asked for", "The provider said"),
        rows=[
            (
                refund.name,
                (
                    Cell(short(refund.name), detail_url(request, "refunds", refund.name)),
                    Cell(amount(refund.amount)),
                    Cell(refund.reason),
                    Cell(time_text(Record(refund).create_time)),
                    Cell(refund.error_reason),
                ),
            )
            for refund in failed.refunds
        ],
        part="refunds",
        button="Try anew",
        hint="The money is owed still. Where it was paid back in another way, say so on the refund's page.",
        asks_reason=True,
        more=bool(failed.next_page_token),
    )


async def _doubtful_refunds(request: Request) -> Section:
    found: payment_pb2.ListRefundsResponse = await call(
        request, _list_refunds(payment_pb2.ListRefundsRequest(only_discrepancies=True))
    )
    return Section(
        title="Refunds that were paid back twice",
        headings=("Refund", "Amount", "What is wrong"),
        rows=[
            (
                refund.name,
                (
                    Cell(short(refund.name), detail_url(request, "refunds", refund.name)),
                    Cell(amount(refund.amount)),
                    Cell(refund.discrepancy),
                ),
            )
            for refund in found.refunds
        ],
        hint="Get it back or give it up, and say so on the refund's page.",
        more=bool(found.next_page_token),
    )


async def _payments(request: Request) -> Section:
    wanted = payment_pb2.ListPaymentsRequest(parent=_EVERYWHERE, only_discrepancies=True, page_size=_SHOWN)
    found: payment_pb2.ListPaymentsResponse = await call(request, Rpc(PaymentServiceStub, "ListPayments", wanted))
    return Section(
        title="Payments of which the provider's books say otherwise",
        headings=("Payment", "State", "Amount", "Made", "What is wrong"),
        rows=[
            (
                payment.name,
                (
                    Cell(short(payment.name), detail_url(request, "payments", payment.name)),
                    state_cell(payment_pb2.Payment.State.Name(payment.state)),
                    Cell(amount(payment.amount)),
                    Cell(time_text(Record(payment).create_time)),
                    Cell(payment.discrepancy),
                ),
            )
            for payment in found.payments
        ],
        hint="Whose the money is, is decided on the payment's page.",
        more=bool(found.next_page_token),
    )


async def _mails(request: Request) -> Section:
    wanted = notification_pb2.ListNotificationsRequest(state=notification_pb2.Notification.FAILED, page_size=_SHOWN)
    found: notification_pb2.ListNotificationsResponse = await call(
        request, Rpc(NotificationServiceStub, "ListNotifications", wanted)
    )
    known = await labels(request, [mail.recipient for mail in found.notifications])
    return Section(
        title="Mails that could not be sent",
        headings=("To", "What", "Subject", "Made", "Why not"),
        rows=[
            (
                mail.name,
                (
                    Cell(known.get(mail.recipient, "")),
                    Cell(worded(notification_pb2.Notification.Kind.Name(mail.kind))),
                    Cell(mail.subject),
                    Cell(time_text(Record(mail).create_time)),
                    Cell(mail.error_reason),
                ),
            )
            for mail in found.notifications
        ],
        part="mails",
        button="Send again",
        more=bool(found.next_page_token),
    )


async def _messages(request: Request) -> Section:
    wanted = operations_pb2.ListProviderWebhooksRequest(
        state=operations_pb2.ProviderWebhook.ATTENTION, page_size=_SHOWN
    )
    found: operations_pb2.ListProviderWebhooksResponse = await call(
        request, Rpc(OperationsServiceStub, "ListProviderWebhooks", wanted)
    )
    return Section(
        title="Messages of payment providers that could not be acted on",
        headings=("Provider", "What", "Says", "Payment", "Came", "Why not"),
        rows=[
            (
                message.name,
                (
                    Cell(worded(payment_pb2.Payment.Provider.Name(message.provider))),
                    Cell(message.event_type),
                    Cell(message.summary),
                    Cell(short(message.payment), detail_url(request, "payments", message.payment))
                    if message.payment
                    else Cell(message.payment_reference),
                    Cell(time_text(Record(message).create_time)),
                    Cell(message.outcome),
                ),
            )
            for message in found.provider_webhooks
        ],
        part="messages",
        button="Act on them once more",
        more=bool(found.next_page_token),
    )


async def _webhooks(request: Request) -> Section:
    rpc: Rpc[partner_pb2.ListWebhookEndpointsResponse] | None = Rpc(
        PartnerServiceStub,
        "ListWebhookEndpoints",
        partner_pb2.ListWebhookEndpointsRequest(parent="users/-", page_size=1000),
    )
    off: list[Any] = []
    while rpc is not None:
        page = await call(request, rpc)
        off.extend(endpoint for endpoint in page.webhook_endpoints if endpoint.disable_reason)
        rpc = continued(rpc, page)
    shown = off[:_SHOWN]
    owners = {endpoint.name: endpoint.name.partition("/webhookEndpoints/")[0] for endpoint in shown}
    known = await labels(request, owners.values())
    return Section(
        title="Partners' webhooks that were switched off",
        headings=("Whose", "What for", "Where to", "Since", "Why"),
        rows=[
            (
                endpoint.name,
                (
                    Cell(known[owners[endpoint.name]], detail_url(request, "users", owners[endpoint.name])),
                    Cell(endpoint.display_name),
                    Cell(endpoint.uri),
                    Cell(time_text(Record(endpoint).disable_time)),
                    Cell(endpoint.disable_reason),
                ),
            )
            for endpoint in shown
        ],
        part="webhooks",
        button="Switch on again",
        hint="What has changed meanwhile is delivered, in order.",
        more=len(off) > len(shown),
    )


def _list_refunds(wanted: payment_pb2.ListRefundsRequest) -> Rpc[payment_pb2.ListRefundsResponse]:
    wanted.parent, wanted.page_size = f"{_EVERYWHERE}/payments/-", _SHOWN
    return Rpc(PaymentServiceStub, "ListRefunds", wanted)


SECTIONS: Final[Sequence[tuple[frozenset[str], Callable[[Request], Awaitable[Section]]]]] = (
    (frozenset({"payments", "money in doubt"}), _payments),
    (frozenset({"refunds"}), _refunds),
    (frozenset({"refunds"}), _doubtful_refunds),
    (frozenset({"mails"}), _mails),
    (frozenset({"messages of providers"}), _messages),
    (frozenset({"webhooks switched off"}), _webhooks),
)
"""Kinds of work as the server's backlog calls them, and what reads those that wait for people."""
