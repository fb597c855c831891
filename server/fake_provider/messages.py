"""What the fake provider says: its books in PayPal's JSON."""

import secrets
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from server.fake_provider.books import Capture, Order, Refund, decimals

Json = dict[str, Any]

_ERRORS: Final = {
    400: ("INVALID_REQUEST", "Request is not well-formed, syntactically incorrect, or violates schema."),
    401: (
        "AUTHENTICATION_FAILURE",
        "Authentication failed due to missing authorization header, or invalid authentication credentials.",
    ),
    404: ("RESOURCE_NOT_FOUND", "The specified resource does not exist."),
    422: (
        "UNPROCESSABLE_ENTITY",
        "The requested action could not be performed, semantically incorrect, or failed business validation.",
    ),
    429: ("RATE_LIMIT_REACHED", "Too many requests. Blocked due to rate limiting."),
    500: ("INTERNAL_SERVER_ERROR", "An internal server error occurred."),
}


def error(status: int, issue: str | None) -> Json:
    """An error, with PayPal's finest word for it if there is one."""
    name, message = _ERRORS[status]
    said: Json = {"name": name, "message": message, "debug_id": secrets.token_hex(6)}
    if issue is not None:
        said["details"] = [{"issue": issue}]
    return said


def order(one: Order, base_url: str, *, whole: bool) -> Json:
    """An order; all of it, or what PayPal shows if it is not asked for all."""
    said: Json = {"id": one.id, "status": one.status, "links": _links(one, base_url)}
    payments: Json = {}
    if one.capture is not None:
        payments["captures"] = [capture(one, one.capture, base_url)]
    if one.refunds:
        payments["refunds"] = [refund(one, each, base_url) for each in one.refunds]
    if whole:
        unit = {key: one.unit[key] for key in ("reference_id", "amount", "custom_id", "invoice_id") if key in one.unit}
        said |= {
            "intent": one.intent,
            "create_time": time(one.time),
            "update_time": time(one.capture.time if one.capture else one.time),
            "purchase_units": [unit | ({"payments": payments} if payments else {})],
        }
    elif payments:
        said["purchase_units"] = [{"reference_id": one.unit.get("reference_id", "default"), "payments": payments}]
    return said


def capture(of: Order, one: Capture, base_url: str) -> Json:
    """A capture."""
    said: Json = {
        "id": one.id,
        "status": one.status,
        "amount": money(one.value, one.currency),
        "final_capture": True,
        "create_time": time(one.time),
        "update_time": time(one.time),
        "links": [
            {"href": f"{base_url}/v2/payments/captures/{one.id}", "rel": "self", "method": "GET"},
            {"href": f"{base_url}/v2/payments/captures/{one.id}/refund", "rel": "refund", "method": "POST"},
            {"href": f"{base_url}/v2/checkout/orders/{of.id}", "rel": "up", "method": "GET"},
        ],
    }
    if one.status == "PENDING":
        said["status_details"] = {"reason": "PENDING_REVIEW"}
    return said | _ids(one)


def refund(of: Order, one: Refund, base_url: str) -> Json:
    """A refund."""
    up = f"{base_url}/v2/payments/captures/{of.capture.id if of.capture else ''}"
    said: Json = {
        "id": one.id,
        "status": one.status,
        "amount": money(one.value, one.currency),
        "create_time": time(one.time),
        "update_time": time(one.time),
        "links": [
            {"href": f"{base_url}/v2/payments/refunds/{one.id}", "rel": "self", "method": "GET"},
            {"href": up, "rel": "up", "method": "GET"},
        ],
    }
    if one.status == "PENDING":
        said["status_details"] = {"reason": "ECHECK"}
    return said | _ids(one)


def order_event(one: Order, base_url: str) -> Json:
    """The customer has approved an order."""
    return _event("CHECKOUT.ORDER.APPROVED", "checkout-order", "2.0", order(one, base_url, whole=True))


def capture_event(of: Order, one: Capture, base_url: str) -> Json:
    """Money was taken, waits, or does not come."""
    kind = {"PENDING": "PENDING", "DECLINED": "DENIED"}.get(one.status, "COMPLETED")
    related = {"supplementary_data": {"related_ids": {"order_id": of.id}}}
    return _event(f"PAYMENT.CAPTURE.{kind}", "capture", "2.0", capture(of, one, base_url) | related)


def refund_event(of: Order, one: Refund, base_url: str) -> Json:
    """Money went back, or did not after all."""
    kind = f"PAYMENT.REFUND.{one.status}" if one.status in {"FAILED", "CANCELLED"} else "PAYMENT.CAPTURE.REFUNDED"
    return _event(kind, "refund", "2.0", refund(of, one, base_url))


def money(value: Decimal, currency: str) -> Json:
    """An amount."""
    return {"currency_code": currency, "value": f"{round(value, decimals(currency)):f}"}


def time(moment: datetime) -> str:
    """A time as PayPal writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _event(kind: str, resource_type: str, version: str, resource: Json) -> Json:
    return {
        "id": f"WH-{secrets.token_hex(8).upper()}-{secrets.token_hex(8).upper()}",
        "event_version": "1.0",
        "create_time": time(datetime.now(UTC)),
        "resource_type": resource_type,
        "resource_version": version,
        "event_type": kind,
        "summary": f"{kind} of {resource['id']}",
        "resource": resource,
        "links": [],
    }


def _links(one: Order, base_url: str) -> list[Json]:
    itself = f"{base_url}/v2/checkout/orders/{one.id}"
    links = [{"href": itself, "rel": "self", "method": "GET"}]
    approval = {"CREATED": "approve", "PAYER_ACTION_REQUIRED": "payer-action"}.get(one.status)
    if approval:
        links.append({"href": f"{base_url}/checkoutnow?token={one.id}", "rel": approval, "method": "GET"})
    if one.status == "APPROVED":
        links.append({"href": f"{itself}/capture", "rel": "capture", "method": "POST"})
    return links


def _ids(one: Capture | Refund) -> Json:
    return {key: value for key in ("invoice_id", "custom_id") if (value := getattr(one, key)) is not None}
