"""PayPal: orders (version 2) that the customer approves on PayPal's pages and that we then capture.

Kept here: nothing is captured but by ``capture``; every call that does something carries a key made of our own ids; and
what cannot be read, or is not decided, is ``Unknown``. PayPal forgets keys (those of orders after 6 hours, those of
refunds after 45 days), but takes no second payment and makes no second refund for an invoice id that it knows.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar
from urllib.parse import quote
from uuid import UUID

import structlog

from server.payments import paypal_messages as messages
from server.payments.paypal_api import Answer, PayPalApi
from server.payments.port import (
    Absent,
    Cancelled,
    Captured,
    Created,
    Declined,
    Open,
    PaymentOrder,
    Refunded,
    Unknown,
)

SANDBOX_URL: Final = "https://api-m.sandbox.paypal.com"
LIVE_URL: Final = "https://api-m.paypal.com"

_ORDERS: Final = "/v2/checkout/orders"
_CAPTURES: Final = "/v2/payments/captures"
_NOT_APPROVED: Final = frozenset({"ORDER_NOT_APPROVED", "PAYER_ACTION_REQUIRED"})
_ASK_WHAT_BECAME: Final = frozenset({"ORDER_ALREADY_CAPTURED", "ORDER_COMPLETION_IN_PROGRESS"})
_ASK_WHICH_REFUNDS: Final = frozenset({"DUPLICATE_INVOICE_ID", "CAPTURE_FULLY_REFUNDED", "REFUND_AMOUNT_EXCEEDED"})

T = TypeVar("T")

_log = structlog.get_logger(__name__)

_ABOUT_US: Final = frozenset({401, 403})
"""Our app lacks a permission, or our account is limited: once that is mended, the same call succeeds."""


class PayPal:
    """The provider.

    Args:
        api: the connection.
        return_uri: where customers are sent after approving if their payment names no place; None: nowhere.
    """

    def __init__(self, api: PayPalApi, return_uri: str | None = None) -> None:
        self._api = api
        self._return_uri = return_uri

    async def create(self, order: PaymentOrder) -> Created | Declined | Unknown:
        """Make an order; the customer approves it at the address that comes with it."""
        try:
            request = messages.order_request(order if order.return_uri else replace(order, return_uri=self._return_uri))
        except ValueError as error:
            return Declined(str(error))
        answer = await self._api.post(_ORDERS, request, key=_key("o", order.payment_id))
        return answer if isinstance(answer, Unknown) else _read(answer, messages.read_created)

    async def capture(self, order: PaymentOrder) -> Captured | Declined | Open | Unknown:
        """Take the money of an order that the customer has approved."""
        answer = await self._api.post(f"{_path(order)}/capture", {}, key=_key("c", order.payment_id))
        if isinstance(answer, Unknown):
            return answer
        if answer.issue in _NOT_APPROVED and not answer.is_yes:
            return Open(order.reference or "", approved=False)
        if answer.issue in _ASK_WHAT_BECAME and not answer.is_yes:
            found = await self.find(order)
        else:
            found = _read(answer, messages.read_order)
        return Unknown("the order is closed, and was being captured") if isinstance(found, Cancelled) else found

    async def find(self, order: PaymentOrder) -> Open | Captured | Declined | Cancelled | Unknown:
        """Read the order. One that PayPal does not know any more was never paid, and cannot be.

        Unless we know its capture: PayPal shows captures for years, and does not say for how long it shows orders.
        """
        answer = await self._api.get(_path(order))
        if isinstance(answer, Unknown):
            return answer
        if answer.status == 404:
            return Cancelled() if order.capture_reference is None else await self._find_capture(order)
        if not answer.is_yes:
            return Unknown(f"PayPal does not show the order: {answer.issue}")
        return _read(answer, messages.read_order)

    async def cancel(self, order: PaymentOrder) -> Cancelled | Captured | Unknown:
        """Close the order. PayPal has no call for that, so its intent is changed to one that forbids to capture it.

        A capture of ours that is still under way somewhere is then refused. Where PayPal does not let the intent be
        changed, what remains is that nobody but ``capture`` takes the money, and that the order runs out by itself.
        """
        answer = await self._api.patch(_path(order), messages.CLOSING)
        if isinstance(answer, Unknown):
            return answer
        if answer.is_yes or answer.status == 404:
            return Cancelled()
        found = await self.find(order)
        return Cancelled() if isinstance(found, Open | Declined) else found

    async def refund(self, order: PaymentOrder, refund_id: UUID, amount: int) -> Refunded | Declined | Unknown:
        """Give back a part of the capture, or all of it."""
        try:
            request = messages.refund_request(order, refund_id, amount)
        except ValueError as error:
            return Declined(str(error))
        capture = order.capture_reference or await self._capture_of(order)
        if isinstance(capture, Declined | Unknown):
            return capture
        path = f"{_CAPTURES}/{quote(capture, safe='')}/refund"
        answer = await self._api.post(path, request, key=_key("r", refund_id))
        if isinstance(answer, Unknown):
            return answer
        if not answer.is_yes and answer.issue in _ASK_WHICH_REFUNDS:
            found = await self.find_refund(order, refund_id)
            return Declined(answer.issue) if isinstance(found, Absent) else found
        return _read(answer, messages.read_refund)

    async def find_refund(self, order: PaymentOrder, refund_id: UUID) -> Refunded | Declined | Absent | Unknown:
        """Look for the refund among those of the order."""
        answer = await self._api.get(_path(order))
        if isinstance(answer, Unknown):
            return answer
        if answer.status == 404:
            # Orders are not shown for ever. The key of a refund, which is remembered longer, has to do.
            return Absent()
        if not answer.is_yes:
            return Unknown(f"PayPal does not show the order: {answer.issue}")
        refund = _read(answer, lambda body: messages.find_refund_in(body, refund_id))
        if isinstance(refund, Declined | Unknown):
            return refund
        return Absent() if refund is None else _read(Answer(200, refund), messages.read_refund)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _find_capture(self, order: PaymentOrder) -> Captured | Declined | Unknown:
        answer = await self._api.get(f"{_CAPTURES}/{quote(order.capture_reference or '-', safe='')}")
        if isinstance(answer, Unknown):
            return answer
        if not answer.is_yes:
            return Unknown(f"PayPal shows neither the order nor its capture: {answer.issue}")
        return _read(answer, lambda body: messages.read_capture(order.reference or "", body))

    async def _capture_of(self, order: PaymentOrder) -> str | Declined | Unknown:
        answer = await self._api.get(_path(order))
        if isinstance(answer, Unknown):
            return answer
        capture = _read(answer, messages.read_capture_id)
        return Declined("CAPTURE_NOT_FOUND") if capture is None else capture


def _path(order: PaymentOrder) -> str:
    return f"{_ORDERS}/{quote(order.reference or '-', safe='')}"


def _key(kind: str, our_id: UUID) -> str:
    """One key for each kind of call, so that none is taken for another; at most 38 characters, which PayPal takes."""
    return f"{kind}-{our_id}"


def _read(answer: Answer, reader: Callable[[Mapping[str, Any]], T]) -> T | Declined | Unknown:
    """What a yes says, read by ``reader``; a no is ``Declined``, unless it is about us and not about the money."""
    if answer.status in _ABOUT_US:
        _log.error("paypal.not_allowed", status=answer.status, issue=answer.issue)
        return Unknown(f"PayPal does not let us: {answer.issue}")
    if not answer.is_yes:
        return Declined(answer.issue)
    try:
        return reader(answer.body)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        _log.exception("paypal.unreadable", status=answer.status)
        return Unknown(f"PayPal's answer cannot be read: {type(error).__name__}")
