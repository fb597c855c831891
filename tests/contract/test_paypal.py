"""What we say to PayPal and what we read of it, and what the fake provider says, by PayPal's own OpenAPI files."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from paypalserversdk.configuration import Configuration, Environment, Server
from paypalserversdk.http.auth.o_auth_2 import ClientCredentialsAuthCredentials
from paypalserversdk.paypal_serversdk_client import PaypalServersdkClient

from server import resources
from server.fake_provider.behaviour import Behaviour, Call
from server.payments import paypal_messages as messages
from server.payments.paypal_api import Answer
from server.payments.paypal_certificates import PayPalCertificates
from server.payments.paypal_webhooks import PayPalWebhooks
from server.payments.port import (
    Absent,
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
from tests.fake_paypal import FakePayPal, fake_paypal
from tests.paypal_openapi import contract

pytestmark = pytest.mark.promise("1.7")


@pytest.fixture(scope="module")
def paypal() -> Iterator[FakePayPal]:
    with fake_paypal() as found:
        yield found


def new_order(amount: int = 5000, currency: str = "EUR") -> PaymentOrder:
    payment_id = uuid4()
    return PaymentOrder(
        payment_id=payment_id,
        amount=amount,
        currency=currency,
        return_uri="https://tickets.example/paid",
        cancel_uri="https://tickets.example/not-paid",
        name=resources.payment(7, uuid4(), payment_id),
    )


async def created(paypal: FakePayPal, order: PaymentOrder, *, approve: bool = True) -> PaymentOrder:
    provider = paypal.connect()
    made = await provider.create(order)
    await provider.close()
    assert isinstance(made, Created)
    if approve:
        await asyncio.to_thread(paypal.control.approve, made.reference)
    return replace(order, reference=made.reference)


async def test_every_call_of_a_purchase_and_its_refund_is_as_paypal_describes_it(paypal: FakePayPal) -> None:
    provider = paypal.connect()
    order = new_order()
    made = await provider.create(order)
    assert isinstance(made, Created)
    assert made.approval_uri == f"{paypal.provider.base_url}/checkoutnow?token={made.reference}"
    order = replace(order, reference=made.reference)
    assert await provider.capture(order) == Open(made.reference, approved=False)
    await asyncio.to_thread(paypal.control.approve, made.reference)
    assert await provider.find(order) == Open(made.reference, approved=True)

    taken = await provider.capture(order)
    assert isinstance(taken, Captured)
    assert (taken.amount, taken.currency, taken.payment_id) == (5000, "EUR", order.payment_id)
    order = replace(order, capture_reference=taken.capture_reference)

    first, second = uuid4(), uuid4()
    assert await provider.find_refund(order, first) == Absent()
    back = await provider.refund(order, first, 1250)
    assert isinstance(back, Refunded)
    assert await provider.find_refund(order, first) == back
    assert await provider.find(order) == replace(taken, refunded=1250)
    assert isinstance(await provider.refund(order, second, 3750), Refunded)
    assert await provider.refund(order, uuid4(), 1) == Declined("CAPTURE_FULLY_REFUNDED")
    assert await provider.cancel(order) == replace(taken, refunded=5000)
    await provider.close()

    said = {(one.method, one.path.rpartition("/")[2]) for one in paypal.recorder.described()}
    assert {("POST", "orders"), ("POST", "capture"), ("POST", "refund"), ("GET", made.reference)} <= said


async def test_a_closed_order_cannot_be_captured_though_the_customer_approves_it(paypal: FakePayPal) -> None:
    provider = paypal.connect()
    order = await created(paypal, new_order())
    assert await provider.cancel(order) == Cancelled()
    assert await provider.find(order) == Cancelled()
    assert isinstance(await provider.capture(order), Declined)
    assert _captures(paypal, order.payment_id) == 0
    await provider.close()


async def test_an_order_that_ran_out_at_paypal_was_never_paid(paypal: FakePayPal) -> None:
    provider = paypal.connect()
    order = await created(paypal, new_order(), approve=False)
    assert order.reference is not None
    await asyncio.to_thread(paypal.control.forget, order.reference)
    assert await provider.find(order) == Cancelled()
    assert await provider.cancel(order) == Cancelled()
    assert await provider.capture(order) == Declined("INVALID_RESOURCE_ID")
    await provider.close()


async def test_a_capture_is_found_when_paypal_shows_the_order_no_more(paypal: FakePayPal) -> None:
    provider = paypal.connect()
    order = await created(paypal, new_order())
    taken = await provider.capture(order)
    assert isinstance(taken, Captured)
    order = replace(order, capture_reference=taken.capture_reference)
    await asyncio.to_thread(paypal.control.hide, str(order.reference))
    assert await provider.find(order) == taken
    refund = uuid4()
    assert await provider.find_refund(order, refund) == Absent()
    back = await provider.refund(order, refund, 5000)
    assert isinstance(back, Refunded)
    assert await provider.refund(order, refund, 5000) == back
    assert await provider.find(order) == replace(taken, refunded=5000)
    await provider.close()


async def test_a_refund_is_not_made_twice_when_paypal_has_forgotten_the_key(paypal: FakePayPal) -> None:
    provider = paypal.connect()
    order = await created(paypal, new_order())
    assert isinstance(await provider.capture(order), Captured)
    refund = uuid4()
    first = await provider.refund(order, refund, 1000)
    await asyncio.to_thread(paypal.control.forget_keys)
    assert await provider.refund(order, refund, 1000) == first
    found = await provider.find(order)
    assert isinstance(found, Captured)
    assert found.refunded == 1000
    await provider.close()


@pytest.mark.parametrize(
    ("behaviour", "then"),
    [
        (Behaviour.SILENT_BEFORE, Open),
        (Behaviour.SILENT_AFTER, Captured),
        (Behaviour.ERROR_BEFORE, Open),
        (Behaviour.ERROR_AFTER, Captured),
        (Behaviour.GARBLED_AFTER, Captured),
        (Behaviour.BUSY, Open),
    ],
)
async def test_an_answer_that_says_nothing_is_unknown_and_asking_tells(
    paypal: FakePayPal, behaviour: Behaviour, then: type
) -> None:
    hasty, provider = paypal.connect(timedelta(seconds=0.5)), paypal.connect()
    order = await created(paypal, new_order())
    await asyncio.to_thread(paypal.control.script, order.payment_id, Call.CAPTURE, behaviour)
    assert isinstance(await hasty.capture(order), Unknown)
    await hasty.close()
    assert isinstance(await provider.find(order), then)
    # The same key: taken once, whatever was before.
    assert isinstance(await provider.capture(order), Captured)
    assert _captures(paypal, order.payment_id) == 1
    await provider.close()


async def test_a_busy_paypal_says_when_to_come_again(paypal: FakePayPal) -> None:
    provider = paypal.connect()
    order = await created(paypal, new_order())
    await asyncio.to_thread(paypal.control.script, order.payment_id, Call.SHOW, Behaviour.BUSY)
    found = await provider.find(order)
    assert isinstance(found, Unknown)
    assert found.retry_after is not None
    assert found.retry_after.total_seconds() == 1
    await provider.close()


async def test_a_token_that_was_withdrawn_is_renewed_without_anybody_noticing(paypal: FakePayPal) -> None:
    provider = paypal.connect()
    order = await created(paypal, new_order())
    assert isinstance(await provider.find(order), Open)
    await asyncio.to_thread(paypal.control.forget_tokens)
    answers = await asyncio.gather(*(provider.find(order) for _ in range(8)))
    assert all(isinstance(answer, Open) for answer in answers)
    await provider.close()


async def test_wrong_credentials_leave_it_open_what_will_become_of_the_payment(paypal: FakePayPal) -> None:
    provider = paypal.connect(secret="wrong")
    assert await provider.create(new_order()) == Unknown("PayPal refuses our credentials")
    await provider.close()


async def test_a_decline_is_paypals_word(paypal: FakePayPal) -> None:
    provider = paypal.connect()
    order = await created(paypal, new_order())
    await asyncio.to_thread(paypal.control.script, order.payment_id, Call.CAPTURE, Behaviour.DECLINE)
    assert await provider.capture(order) == Declined("INSTRUMENT_DECLINED")
    await provider.close()


async def test_pending_money_is_neither_taken_nor_refused(paypal: FakePayPal) -> None:
    provider = paypal.connect()
    taken, refused = await created(paypal, new_order()), await created(paypal, new_order())
    for order, status, then in ((taken, "COMPLETED", Captured), (refused, "DECLINED", Declined)):
        assert order.reference is not None
        await asyncio.to_thread(paypal.control.script, order.payment_id, Call.CAPTURE, Behaviour.PENDING)
        assert isinstance(await provider.capture(order), Pending)
        assert isinstance(await provider.find(order), Pending)
        await asyncio.to_thread(paypal.control.settle, order.reference, status)
        assert isinstance(await provider.find(order), then)
    refund = uuid4()
    await asyncio.to_thread(paypal.control.script, taken.payment_id, Call.REFUND, Behaviour.PENDING)
    assert isinstance(await provider.refund(taken, refund, 500), Pending)
    assert isinstance(await provider.find_refund(taken, refund), Pending)
    await asyncio.to_thread(paypal.control.settle, str(taken.reference))
    assert isinstance(await provider.find_refund(taken, refund), Refunded)
    await provider.close()


@pytest.mark.parametrize(
    ("amount", "currency", "value"),
    [
        (1250, "EUR", "12.50"),
        (5, "USD", "0.05"),
        (1250, "JPY", "1250"),
        (125000, "HUF", "1250"),
        (1250, "KWD", "1.250"),
    ],
)
async def test_amounts_are_written_as_their_currency_is(
    paypal: FakePayPal, amount: int, currency: str, value: str
) -> None:
    assert messages.amount_of(amount, currency) == {"currency_code": currency, "value": value}
    provider = paypal.connect()
    taken = await provider.capture(await created(paypal, new_order(amount, currency)))
    assert isinstance(taken, Captured)
    assert (taken.amount, taken.currency) == (amount, currency)
    await provider.close()


async def test_what_paypal_has_no_coins_for_is_refused_without_asking(paypal: FakePayPal) -> None:
    provider = paypal.connect()
    assert await provider.create(new_order(1250, "HUF")) == Declined("DECIMALS_NOT_SUPPORTED")
    await provider.close()


def test_paypals_own_examples_can_be_read() -> None:
    found = list(contract().examples("checkout_orders_v2"))
    assert found, "PayPal gives no examples any more"
    for _, example in found:
        if "id" in example:
            messages.read_created(example)
            messages.read_order(example)


async def test_paypals_own_library_buys_and_refunds_at_the_fake_provider(
    paypal: FakePayPal, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = paypal.provider.identity
    monkeypatch.setitem(Configuration.environments[Environment.SANDBOX], Server.DEFAULT, paypal.provider.base_url)
    client = PaypalServersdkClient(
        client_credentials_auth_credentials=ClientCredentialsAuthCredentials(identity.client_id, identity.client_secret)
    )
    unit = {"amount": {"currency_code": "EUR", "value": "20.00"}, "invoice_id": str(uuid4())}

    def buy() -> tuple[str, str]:
        request = {"body": {"intent": "CAPTURE", "purchase_units": [unit]}, "paypal_request_id": str(uuid4())}
        order = client.orders.create_order(request).body
        paypal.control.approve(order.id)
        taken = client.orders.capture_order({"id": order.id, "paypal_request_id": str(uuid4())}).body
        capture = taken.purchase_units[0].payments.captures[0]
        money = {"amount": {"currency_code": "EUR", "value": "5.00"}}
        back = client.payments.refund_captured_payment(
            {"capture_id": capture.id, "paypal_request_id": str(uuid4()), "body": money}
        ).body
        assert client.orders.get_order({"id": order.id}).body.status == "COMPLETED"
        return taken.status, back.status

    assert await asyncio.to_thread(buy) == ("COMPLETED", "COMPLETED")


def test_the_checker_finds_what_is_wrong() -> None:
    """Control: without it, all of the above could pass because nothing is looked at."""
    by = contract()
    order = json.loads(json.dumps(messages.order_request(new_order())))
    headers = {"paypal-request-id": "o-1", "prefer": "return=representation"}
    assert by.faults_of_request("POST", "/v2/checkout/orders", headers, order) == []
    order["purchase_units"][0]["custm_id"] = "misspelt"
    assert by.faults_of_request("POST", "/v2/checkout/orders", headers, order)
    del order["purchase_units"][0]["custm_id"]
    order["purchase_units"][0]["amount"]["value"] = 12.5
    assert by.faults_of_request("POST", "/v2/checkout/orders", headers, order)
    assert by.faults_of_request("POST", "/v2/checkout/order", headers, order)
    assert by.faults_of_answer("GET", "/v2/checkout/orders/1", 200, {"id": "1", "status": "OPEN"})
    assert by.faults_of_answer("GET", "/v2/checkout/orders/1", 404, {"name": "NOT_THERE"})


def _captures(paypal: FakePayPal, payment_id: UUID) -> int:
    return sum(one.payment == str(payment_id) for one in paypal.control.books().captures)


async def test_webhooks_are_as_paypal_describes_them_and_its_own_check_agrees_with_ours(paypal: FakePayPal) -> None:
    provider = paypal.connect()
    order = await created(paypal, new_order())
    assert isinstance(await provider.capture(order), Captured)
    assert isinstance(await provider.refund(order, uuid4(), 100), Refunded)
    by, now = contract(), datetime.now(UTC)
    verifier = PayPalWebhooks(
        paypal.provider.identity.webhook_id,
        PayPalCertificates(paypal.provider.base_url, live=False, timeout=timedelta(seconds=60)),
        tolerance=timedelta(days=4),
    )
    resources_by_kind = {
        "CHECKOUT.ORDER.APPROVED": ("checkout_orders_v2", "order"),
        "PAYMENT.CAPTURE.COMPLETED": ("payments_payment_v2", "capture-2"),
        "PAYMENT.CAPTURE.REFUNDED": ("payments_payment_v2", "refund"),
    }
    messages_told = await asyncio.to_thread(paypal.control.webhooks, order.payment_id)
    assert [one.kind for one in messages_told] == list(resources_by_kind)
    for message in messages_told:
        event = json.loads(message.body)
        assert by.faults_of("notifications_webhooks_v1", "event", event) == []
        assert by.faults_of(*resources_by_kind[message.kind], event["resource"]) == []
        assert (await verifier.verify(message.body, message.headers, now)).payment_name == order.name

        asked = {
            "transmission_id": message.headers["paypal-transmission-id"],
            "transmission_time": message.headers["paypal-transmission-time"],
            "transmission_sig": message.headers["paypal-transmission-sig"],
            "cert_url": message.headers["paypal-cert-url"],
            "auth_algo": message.headers["paypal-auth-algo"],
            "webhook_id": paypal.provider.identity.webhook_id,
            "webhook_event": event,
        }
        for said, verdict in ((asked, "SUCCESS"), (asked | {"webhook_id": "2OTHER"}, "FAILURE")):
            answer = await provider._api.post("/v1/notifications/verify-webhook-signature", said, key="unused")
            assert isinstance(answer, Answer)
            assert answer.body == {"verification_status": verdict}
    await provider.close()
