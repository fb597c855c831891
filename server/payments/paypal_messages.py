"""What is said to PayPal, and what its answers mean: pure, from values to values.

An order carries our payment three times: as `reference_id`, by which it can be changed; as `invoice_id`, of which
PayPal takes no second payment; and with its full name as `custom_id`, which captures and webhooks repeat. A refund
carries its own id as `invoice_id`, and as `custom_id` the payment's name, with points for its slashes, which PayPal
does not take there.

The readers take whatever came over the network, and raise ``ValueError``, ``KeyError`` or ``TypeError`` if it is not
what PayPal documents.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

from server.domain.currencies import decimal_places
from server.payments.port import (
    Cancelled,
    Captured,
    Created,
    Declined,
    Open,
    PaymentOrder,
    Pending,
    Refunded,
    Unknown,
)

Json = Mapping[str, Any]

WITHOUT_DECIMALS: Final = frozenset({"HUF", "JPY", "TWD"})
"""Currencies of which PayPal takes whole units only, whatever ISO 4217 says of them."""

CLOSING: Final[list[Json]] = [{"op": "replace", "path": "/intent", "value": "AUTHORIZE"}]
"""The patch that closes an order: what is to be authorised cannot be captured, and nobody will authorise it."""

NOBODYS: Final = UUID(int=0)
"""Stands for a payment that is none of ours."""

_TAKEN: Final = frozenset({"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"})
_REFUSED: Final = frozenset({"DECLINED", "FAILED"})
_PENDING: Final = "PENDING"
_APPROVAL: Final = ("payer-action", "approve")


def amount_of(amount: int, currency: str) -> Json:
    """An amount of minor units in PayPal's words: 1250 of EUR is "12.50", 1250 of JPY is "1250".

    Raises:
        ValueError: DECIMALS_NOT_SUPPORTED, PayPal has no such fraction of this currency.
    """
    value = Decimal(amount).scaleb(-decimal_places(currency))
    if currency in WITHOUT_DECIMALS:
        if value != value.to_integral_value():
            raise ValueError("DECIMALS_NOT_SUPPORTED")
        value = value.quantize(Decimal(1))
    return {"currency_code": currency, "value": f"{value:f}"}


def minor_units(money: Json) -> int:
    """The minor units of an amount in PayPal's words."""
    try:
        exact = Decimal(money["value"]).scaleb(decimal_places(money["currency_code"]))
    except InvalidOperation as error:
        raise ValueError(f"{money['value']!r} is no amount") from error
    if not exact.is_finite() or exact != exact.to_integral_value():
        raise ValueError(f"{money['value']!r} has a fraction that {money['currency_code']} has not")
    return int(exact)


def order_request(order: PaymentOrder) -> Json:
    """The order that the customer is to approve, and that is captured at one go.

    Raises:
        ValueError: DECIMALS_NOT_SUPPORTED.
    """
    experience = {
        "shipping_preference": "NO_SHIPPING",
        "user_action": "PAY_NOW",
        # No cheques: a seat cannot wait for days until the money comes.
        "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",
    }
    if order.return_uri:
        experience["return_url"] = order.return_uri
        experience["cancel_url"] = order.cancel_uri or order.return_uri
    return {
        "intent": "CAPTURE",
        "purchase_units": [
            {
                "reference_id": str(order.payment_id),
                "invoice_id": str(order.payment_id),
                "custom_id": order.name or str(order.payment_id),
                "amount": amount_of(order.amount, order.currency),
            }
        ],
        "payment_source": {"paypal": {"experience_context": experience}},
    }


def refund_request(order: PaymentOrder, refund_id: UUID, amount: int) -> Json:
    """A refund of a part of an order's capture, or of all of it.

    Raises:
        ValueError: DECIMALS_NOT_SUPPORTED.
    """
    return {
        "amount": amount_of(amount, order.currency),
        "invoice_id": str(refund_id),
        "custom_id": (order.name or str(order.payment_id)).replace("/", "."),
    }


def read_created(body: Json) -> Created:
    """What was made, and where the customer approves it."""
    links = {link["rel"]: str(link["href"]) for link in body.get("links", ())}
    return Created(str(body["id"]), next((links[rel] for rel in _APPROVAL if rel in links), None))


def read_order(body: Json) -> Open | Captured | Declined | Cancelled | Unknown:
    """What became of an order."""
    reference, status = str(body["id"]), body["status"]
    unit = body["purchase_units"][0] if body.get("purchase_units") else {}
    declined = None
    for capture in unit.get("payments", {}).get("captures", ()):
        found = _read_capture(reference, unit, capture)
        if not isinstance(found, Declined):
            return found
        declined = found
    if status == "COMPLETED":
        # Completed without a capture that is shown: it is not for us to say that nothing was taken.
        return declined or Unknown("the order is completed and shows no capture")
    if status == "VOIDED" or body.get("intent") == "AUTHORIZE":
        return Cancelled()
    return declined or Open(reference, approved=status == "APPROVED")


def read_capture(reference: str, body: Json) -> Captured | Declined | Unknown:
    """What became of a capture, of the order that is called ``reference``."""
    found = _read_capture(reference, {}, body)
    if isinstance(found, Captured):
        told = {"COMPLETED": 0, "REFUNDED": found.amount}
        return replace(found, refunded=told.get(body["status"]))
    return found


def read_capture_id(body: Json) -> str | None:
    """What PayPal calls the capture of an order; None: it has none."""
    for capture in _payments(body, "captures"):
        if capture["status"] in _TAKEN:
            return str(capture["id"])
    return None


def read_refund(body: Json) -> Refunded | Declined | Unknown:
    """What became of a refund."""
    match body["status"]:
        case "COMPLETED":
            return Refunded(str(body["id"]))
        case "CANCELLED" | "FAILED" as status:
            return Declined(f"REFUND_{status}")
        case status:
            said = f"the refund is {status}{_reason(body)}"
            return Pending(said) if status == _PENDING else Unknown(said)


def find_refund_in(body: Json, refund_id: UUID) -> Json | None:
    """The refund of ours among those of an order."""
    for refund in _payments(body, "refunds"):
        if refund.get("invoice_id") == str(refund_id):
            return refund
    return None


def payment_id_in(resource: Json) -> UUID | None:
    """Our payment that a capture or a purchase unit is of; None: it does not say; NOBODYS: it says something else."""
    said = [str(resource[key]) for key in ("invoice_id", "custom_id") if resource.get(key)]
    for name in said:
        try:
            return UUID(name.rpartition("/")[2])
        except ValueError:
            continue
    return NOBODYS if said else None


def _read_capture(reference: str, unit: Json, capture: Json) -> Captured | Declined | Unknown:
    status, amount = capture["status"], capture["amount"]
    if status in _REFUSED:
        return Declined(f"CAPTURE_{status}")
    if status not in _TAKEN:
        said = f"the capture is {status}{_reason(capture)}"
        return Pending(said) if status == _PENDING else Unknown(said)
    refunds = unit.get("payments", {}).get("refunds", ())
    return Captured(
        reference,
        minor_units(amount),
        str(amount["currency_code"]),
        capture_reference=str(capture["id"]),
        payment_id=payment_id_in(capture) or payment_id_in(unit),
        refunded=sum(minor_units(one["amount"]) for one in refunds if one["status"] == "COMPLETED"),
    )


def _payments(body: Json, kind: str) -> Iterator[Json]:
    for unit in body.get("purchase_units", ()):
        yield from unit.get("payments", {}).get(kind, ())


def _reason(body: Json) -> str:
    reason = body.get("status_details", {}).get("reason")
    return f": {reason}" if reason else ""
