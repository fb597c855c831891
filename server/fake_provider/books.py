"""The fake provider's books: orders, captures and refunds, and what may become of them.

No I/O and no waiting: each method does its work at once or refuses. The rules are PayPal's: an order is captured once,
in full, after its approval; no second payment for an invoice id that was paid; no refund beyond the capture; what was
done under a key is not done again.
"""

import secrets
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from server.fake_provider.behaviour import Behaviour

Json = Mapping[str, Any]

_CHARACTERS: Final = string.ascii_uppercase + string.digits
_WHOLE_UNITS: Final = frozenset({"HUF", "JPY", "TWD"})
_THREE_DECIMALS: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


class Refusal(Exception):
    """What PayPal answers instead of doing it.

    Args:
        status: of HTTP.
        issue: PayPal's word; None: it gives none.
    """

    def __init__(self, status: int, issue: str | None = None) -> None:
        super().__init__(issue)
        self.status = status
        self.issue = issue


@dataclass(slots=True)
class Capture:
    """Money that was taken, or that waits."""

    id: str
    value: Decimal
    currency: str
    status: str
    invoice_id: str | None
    custom_id: str | None
    time: datetime


@dataclass(slots=True)
class Refund:
    """Money that went back, or that waits."""

    id: str
    value: Decimal
    currency: str
    status: str
    invoice_id: str | None
    custom_id: str | None
    time: datetime


@dataclass(slots=True)
class Order:
    """What the customer is to approve. ``payment`` is what the shop called it when it was made."""

    id: str
    payment: str
    intent: str
    status: str
    unit: Json
    return_url: str | None
    cancel_url: str | None
    time: datetime
    capture: Capture | None = None
    refunds: list[Refund] = field(default_factory=list)


class Books:
    """Everything that the provider knows."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self._of_capture: dict[str, str] = {}
        self._of_refund: dict[str, str] = {}
        self._paid: dict[str, str] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._hidden: set[str] = set()

    def create(self, request: Json, key: str | None, *, approved: bool = False) -> tuple[Order, bool]:
        """Make an order; returns it, and whether it is new."""
        if (known := self._known("order", key)) is not None:
            return self.order(known), False
        units = request.get("purchase_units")
        if request.get("intent") not in {"CAPTURE", "AUTHORIZE"} or not isinstance(units, list) or len(units) != 1:
            raise Refusal(400, "INVALID_PARAMETER_VALUE")
        _value(units[0]["amount"])
        wallet = (request.get("payment_source") or {}).get("paypal")
        experience = (wallet or {}).get("experience_context", {})
        order = Order(
            id=_new_id(),
            payment=str(units[0].get("invoice_id") or ""),
            intent=request["intent"],
            status="APPROVED" if approved else "CREATED" if wallet is None else "PAYER_ACTION_REQUIRED",
            unit=units[0],
            return_url=experience.get("return_url"),
            cancel_url=experience.get("cancel_url"),
            time=_now(),
        )
        self.orders[order.id] = order
        self._remember("order", key, order.id)
        return order, True

    def order(self, order_id: str) -> Order:
        """An order that it knows."""
        try:
            return self.orders[order_id]
        except KeyError:
            raise Refusal(404, "INVALID_RESOURCE_ID") from None

    def shown(self, order_id: str) -> Order:
        """An order that it shows."""
        if order_id in self._hidden:
            raise Refusal(404, "INVALID_RESOURCE_ID")
        return self.order(order_id)

    def approve(self, order_id: str) -> Order:
        """The customer agrees."""
        order = self.order(order_id)
        if order.status in {"CREATED", "PAYER_ACTION_REQUIRED"}:
            order.status = "APPROVED"
        return order

    def close(self, order_id: str, patch: object) -> None:
        """Change the intent of an order that is not completed."""
        order = self.order(order_id)
        match patch:
            case [{"op": "replace", "path": "/intent", "value": "AUTHORIZE" | "CAPTURE" as intent}]:
                if order.status == "COMPLETED":
                    raise Refusal(422, "ORDER_ALREADY_COMPLETED")
                order.intent = intent
            case _:
                raise Refusal(422, "NOT_PATCHABLE")

    def take(self, order_id: str, key: str | None, behaviour: Behaviour = Behaviour.DO) -> tuple[Order, bool]:
        """Capture an order; returns it, and whether that is new."""
        order = self.order(order_id)
        if self._known("capture", key) == order_id:
            return order, False
        self._require_capturable(order)
        if behaviour is Behaviour.DECLINE:
            raise Refusal(422, "INSTRUMENT_DECLINED")
        value, currency = _value(order.unit["amount"])
        if behaviour is Behaviour.WRONG_AMOUNT:
            value -= 1
        if behaviour is Behaviour.WRONG_CURRENCY:
            currency = "USD" if currency != "USD" else "EUR"
        wrong = behaviour is Behaviour.WRONG_PAYMENT
        capture = Capture(
            id=_new_id(),
            value=value,
            currency=currency,
            status="PENDING" if behaviour is Behaviour.PENDING else "COMPLETED",
            invoice_id="another-invoice" if wrong else order.unit.get("invoice_id"),
            custom_id="another-payment" if wrong else order.unit.get("custom_id"),
            time=_now(),
        )
        if wrong:
            order.unit = {**order.unit, "invoice_id": capture.invoice_id, "custom_id": capture.custom_id}
        order.capture = capture
        order.status = "COMPLETED"
        self._of_capture[capture.id] = order.id
        if order.payment:
            self._paid[order.payment] = order.id
        self._remember("capture", key, order.id)
        return order, True

    def settle(self, order_id: str, *, status: str = "COMPLETED") -> Order:
        """Decide what is pending of an order."""
        order = self.order(order_id)
        if order.capture is not None and order.capture.status == "PENDING":
            order.capture.status = status
            if status != "COMPLETED":
                self._paid.pop(order.payment, None)
        for refund in order.refunds:
            if refund.status == "PENDING":
                refund.status = status
        self._recount(order)
        return order

    def order_of_capture(self, capture_id: str) -> Order:
        """The order that a capture is of."""
        return self.order(self._of_capture.get(capture_id, ""))

    def give_back(
        self, capture_id: str, request: Json, key: str | None, behaviour: Behaviour = Behaviour.DO
    ) -> tuple[Order, Refund, bool]:
        """Refund a capture; returns its order, the refund, and whether that is new."""
        order = self.order_of_capture(capture_id)
        capture = order.capture
        if capture is None:
            raise Refusal(404, "INVALID_RESOURCE_ID")
        if (known := self._known("refund", key)) is not None:
            return order, next(one for one in order.refunds if one.id == known), False
        rest = capture.value - sum(one.value for one in order.refunds if one.status in {"COMPLETED", "PENDING"})
        value, currency = _value(request["amount"]) if "amount" in request else (rest, capture.currency)
        if currency != capture.currency:
            raise Refusal(422, "CURRENCY_MISMATCH")
        if capture.status == "PENDING":
            raise Refusal(422, "PENDING_CAPTURE")
        if request.get("invoice_id") in {one.invoice_id for one in order.refunds} - {None}:
            raise Refusal(422, "DUPLICATE_INVOICE_ID")
        if rest == 0:
            raise Refusal(422, "CAPTURE_FULLY_REFUNDED")
        if value > rest:
            raise Refusal(422, "REFUND_AMOUNT_EXCEEDED")
        if behaviour is Behaviour.DECLINE:
            raise Refusal(422, "REFUND_FAILED_INSUFFICIENT_FUNDS")
        refund = Refund(
            id=_new_id(),
            value=value,
            currency=currency,
            status="PENDING" if behaviour is Behaviour.PENDING else "COMPLETED",
            invoice_id=request.get("invoice_id"),
            custom_id=request.get("custom_id"),
            time=_now(),
        )
        order.refunds.append(refund)
        self._of_refund[refund.id] = order.id
        self._recount(order)
        self._remember("refund", key, refund.id)
        return order, refund, True

    def refund(self, refund_id: str) -> tuple[Order, Refund]:
        """A refund and its order."""
        order = self.order(self._of_refund.get(refund_id, ""))
        return order, next(one for one in order.refunds if one.id == refund_id)

    def take_back(self, refund_id: str, *, status: str) -> tuple[Order, Refund]:
        """Have a refund fail that was made: the customer's bank sent the money back."""
        order, refund = self.refund(refund_id)
        if refund.status == "COMPLETED":
            refund.status = status
            self._recount(order)
        return order, refund

    def forget_keys(self) -> None:
        """What happens to idempotency keys after some hours."""
        self._keys.clear()

    def forget(self, order_id: str) -> None:
        """What happens to an order that nobody approves."""
        self.orders.pop(order_id, None)

    def hide(self, order_id: str) -> None:
        """What may happen to an order of long ago: its capture is still shown."""
        self._hidden.add(order_id)

    def captures(self) -> Iterator[tuple[Order, Capture]]:
        """All captures."""
        return ((order, order.capture) for order in self.orders.values() if order.capture is not None)

    def _require_capturable(self, order: Order) -> None:
        if order.status == "COMPLETED":
            raise Refusal(422, "ORDER_ALREADY_CAPTURED")
        if order.intent != "CAPTURE":
            # PayPal's specification has no word for this, though PayPal has the refusal.
            raise Refusal(422)
        if order.status != "APPROVED":
            raise Refusal(422, "ORDER_NOT_APPROVED")
        if order.payment in self._paid:
            raise Refusal(422, "DUPLICATE_INVOICE_ID")

    @staticmethod
    def _recount(order: Order) -> None:
        capture = order.capture
        if capture is None or capture.status in {"PENDING", "DECLINED"}:
            return
        back = sum(one.value for one in order.refunds if one.status == "COMPLETED")
        capture.status = "REFUNDED" if back == capture.value else "PARTIALLY_REFUNDED" if back else "COMPLETED"

    def _known(self, kind: str, key: str | None) -> str | None:
        return None if key is None else self._keys.get((kind, key))

    def _remember(self, kind: str, key: str | None, made: str) -> None:
        if key is not None:
            self._keys[kind, key] = made


def decimals(currency: str) -> int:
    """How many digits PayPal shows of a currency behind the point."""
    return 0 if currency in _WHOLE_UNITS else 3 if currency in _THREE_DECIMALS else 2


def _value(money: Json) -> tuple[Decimal, str]:
    try:
        value, currency = Decimal(money["value"]), str(money["currency_code"])
    except (KeyError, TypeError, InvalidOperation):
        raise Refusal(400, "INVALID_PARAMETER_SYNTAX") from None
    if not value.is_finite() or value <= 0:
        raise Refusal(422, "CANNOT_BE_ZERO_OR_NEGATIVE")
    if value != round(value, decimals(currency)):
        raise Refusal(422, "DECIMAL_PRECISION")
    return value, currency


def _new_id() -> str:
    return "".join(secrets.choice(_CHARACTERS) for _ in range(17))


def _now() -> datetime:
    return datetime.now(UTC)
