"""What is said to PayPal and read from it, where no PayPal is needed for that."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from server.config import Settings, SettingsError, load_settings
from server.payments import paypal_messages as messages
from server.payments.paypal import LIVE_URL, SANDBOX_URL, _read
from server.payments.paypal_api import Answer
from server.payments.paypal_certificates import PayPalCertificates
from server.payments.paypal_webhooks import _read_event
from server.payments.port import Cancelled, Captured, Declined, Open, PaymentOrder, Pending, Unknown
from server.payments.providers import connect_paypal, offered
from server.payments.webhook_port import UntrustedWebhook
from server.states import Provider, WebhookSubject

NOW = datetime(2026, 11, 20, tzinfo=UTC)
CREDENTIALS: dict[str, Any] = {"paypal_client_id": "id", "paypal_client_secret": "secret"}


def order(status: str = "COMPLETED", intent: str = "CAPTURE", **payments: Any) -> dict[str, Any]:
    unit: dict[str, Any] = {"invoice_id": str(uuid4()), "payments": payments}
    return {"id": "ORDER", "status": status, "intent": intent, "purchase_units": [unit]}


def capture(status: str = "COMPLETED", value: str = "25.00") -> dict[str, Any]:
    return {"id": "CAPTURE", "status": status, "amount": {"currency_code": "EUR", "value": value}}


@pytest.mark.promise("1.11")
def test_sandbox_or_live_is_a_setting() -> None:
    assert Provider.PAYPAL not in offered(Settings())
    for mode, url in (("sandbox", SANDBOX_URL), ("live", LIVE_URL)):
        settings = Settings(paypal_mode=mode, **CREDENTIALS)  # type: ignore[arg-type]
        assert Provider.PAYPAL in offered(settings)
        assert connect_paypal(settings)._api._base_url == url


@pytest.mark.promise("1.11")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"paypal_mode": "sandbox"}, "ROWLOCK_PAYPAL_CLIENT_ID"),
        ({"paypal_mode": "test", **CREDENTIALS}, "ROWLOCK_PAYPAL_MODE"),
        ({"paypal_mode": "live", "paypal_base_url": "http://127.0.0.1:1", **CREDENTIALS}, "PAYPAL_BASE_URL"),
        ({"paypal_base_url": "http://paypal.example"}, "ROWLOCK_PAYPAL_BASE_URL"),
        ({"paypal_return_uri": "http://tickets.example"}, "ROWLOCK_PAYPAL_RETURN_URI"),
    ],
)
def test_settings_that_do_not_go_together_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(given, env_file=None)
    assert said in str(error.value)
    assert "secret" not in str(error.value).replace("SECRET", "")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (order("CREATED"), Open("ORDER")),
        (order("PAYER_ACTION_REQUIRED"), Open("ORDER")),
        (order("APPROVED"), Open("ORDER", approved=True)),
        (order("APPROVED", "AUTHORIZE"), Cancelled()),
        (order("VOIDED"), Cancelled()),
        (order(captures=[capture("DECLINED")]), Declined("CAPTURE_DECLINED")),
        (order(captures=[capture("FAILED")]), Declined("CAPTURE_FAILED")),
    ],
)
def test_what_an_order_says(found: dict[str, Any], expected: object) -> None:
    assert messages.read_order(found) == expected


@pytest.mark.parametrize("status", ["COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"])
def test_money_that_went_back_was_taken_all_the_same(status: str) -> None:
    given = {"status": "COMPLETED", "amount": {"currency_code": "EUR", "value": "5.00"}}
    waiting = {"status": "PENDING", "amount": {"currency_code": "EUR", "value": "1.00"}}
    found = messages.read_order(order(captures=[capture("DECLINED"), capture(status)], refunds=[given, waiting]))
    assert isinstance(found, Captured)
    assert (found.amount, found.currency, found.refunded) == (2500, "EUR", 500)


def test_what_is_not_decided_is_pending_and_what_is_not_understood_is_unknown() -> None:
    assert isinstance(messages.read_order(order(captures=[capture("PENDING")])), Pending)
    assert isinstance(messages.read_refund({"id": "1", "status": "PENDING"}), Pending)
    unclear = [
        messages.read_order(order()),  # completed, and no capture to be seen
        messages.read_order(order(captures=[capture("ODD")])),
        messages.read_refund({"id": "1", "status": "ODD"}),
    ]
    assert all(isinstance(one, Unknown) and not isinstance(one, Pending) for one in unclear)


@pytest.mark.parametrize("value", ["", "12,50", "NaN", "Infinity", "12.505", "1e3x"])
def test_an_amount_that_is_none_is_not_guessed(value: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        messages.minor_units({"currency_code": "EUR", "value": value})


def test_the_finest_word_for_a_refusal_is_taken() -> None:
    refusal = {"name": "UNPROCESSABLE_ENTITY", "details": [{"issue": "INSTRUMENT_DECLINED"}]}
    assert Answer(422, refusal).issue == "INSTRUMENT_DECLINED"
    assert Answer(422, {"name": "UNPROCESSABLE_ENTITY"}).issue == "UNPROCESSABLE_ENTITY"
    assert Answer(422, {"details": ["?"]}).issue == "HTTP_422"


def test_a_refund_carries_names_that_paypal_takes() -> None:
    payment, refund = uuid4(), uuid4()
    name = f"performances/{2**63 - 1}/bookings/{uuid4()}/payments/{payment}"
    said = messages.refund_request(PaymentOrder(payment, 5000, "EUR", name=name), refund, 1)
    assert len(name) <= 127
    assert "/" not in said["custom_id"]
    event = {
        "id": "WH-1",
        "event_type": "PAYMENT.CAPTURE.REFUNDED",
        "create_time": "2026-11-20T00:00:00Z",
        "resource": {"id": "R", "custom_id": said["custom_id"], "invoice_id": said["invoice_id"]},
    }
    read = _read_event(event)
    assert (read.payment_name, read.refund_id, read.refund_reference) == (name, refund, "R")


def test_a_dispute_names_the_payment_and_says_what_it_is_about() -> None:
    name = f"performances/7/bookings/{uuid4()}/payments/{uuid4()}"
    read = _read_event(
        {
            "id": "WH-1",
            "event_type": "CUSTOMER.DISPUTE.CREATED",
            "create_time": "2026-11-20T00:00:00Z",
            "resource": {
                "dispute_id": "PP-D-1",
                "reason": "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
                "dispute_amount": {"currency_code": "EUR", "value": "25.00"},
                "disputed_transactions": [{"custom": name}],
            },
        }
    )
    assert (read.subject, read.dispute_reference, read.payment_name) == (WebhookSubject.DISPUTE, "PP-D-1", name)
    assert read.summary == "CUSTOMER.DISPUTE.CREATED PP-D-1 25.00 EUR MERCHANDISE_OR_SERVICE_NOT_RECEIVED"


@pytest.mark.parametrize(
    "body", [{}, [], {"id": 1}, {"id": "x", "event_type": "Y"}, {"id": "", "event_type": "", "create_time": ""}]
)
def test_what_is_signed_and_no_event_is_noticed(body: Any) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        _read_event(json.loads(json.dumps(body)))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://paypal.com.example/v1/notifications/certs/CERT-1",
        "https://examplepaypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@example.com/v1/notifications/certs/CERT-1",
        "https://example.com\\@api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:444/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../x",
        "https://api.paypal.com/redirect?to=https://example.com/v1/notifications/certs/CERT-1",
        "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
        "file:///etc/passwd",
        "https://[::1",
        "",
    ],
)
async def test_certificates_come_from_paypal_and_from_nowhere_else(url: str) -> None:
    certificates = PayPalCertificates("", live=True, timeout=timedelta(seconds=60))
    with pytest.raises(UntrustedWebhook, match="not at PayPal"):
        await certificates.key(url, NOW)


def test_paypals_own_certificates_are_looked_for(tmp_path: Path) -> None:
    live = PayPalCertificates("", live=True, timeout=timedelta(seconds=60))
    assert live._is_paypals("https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270")
    sandbox = PayPalCertificates("", live=False, timeout=timedelta(seconds=60))
    assert sandbox._is_paypals("https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77")


@pytest.mark.parametrize("status", [401, 403])
def test_what_paypal_says_about_our_account_is_no_word_about_the_money(status: int) -> None:
    """A permission that is missing must not turn a thousand refunds into failed ones."""
    assert isinstance(_read(Answer(status, {"name": "NOT_AUTHORIZED"}), dict), Unknown)
    assert _read(Answer(422, {"details": [{"issue": "INSTRUMENT_DECLINED"}]}), dict) == Declined("INSTRUMENT_DECLINED")
