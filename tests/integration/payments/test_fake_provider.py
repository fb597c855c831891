"""The fake provider's webhooks over HTTP: when they are sent, how often, and to whom."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.fake_provider.behaviour import Delivery
from server.fake_provider.serving import listen, server_of, url_of
from server.payments.port import Captured, Created, PaymentOrder
from tests.eventually import eventually
from tests.fake_paypal import FakePayPal, fake_paypal


@dataclass
class Shop:
    """Takes webhooks, as the gateway would; the first ``refusals`` it turns away."""

    url: str
    refusals: int = 0
    taken: list[tuple[str, bytes]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        if self.refusals:
            self.refusals -= 1
            return Response(status_code=503)
        self.taken.append((request.headers["paypal-transmission-id"], await request.body()))
        return Response()


@contextmanager
def shop() -> Iterator[Shop]:
    listener = listen()
    found = Shop(url_of(listener))
    server = server_of(Starlette(routes=[Route("/", found.take, methods=["POST"])]))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    yield found
    server.should_exit = True
    thread.join()


@pytest.fixture
def told() -> Iterator[Shop]:
    with shop() as found:
        yield found


@pytest.fixture
def paypal(told: Shop) -> Iterator[FakePayPal]:
    with fake_paypal(check=False, webhook_url=told.url, auto_approve=True) as found:
        yield found


async def captured(paypal: FakePayPal, delivery: Delivery) -> None:
    provider = paypal.connect()
    order = PaymentOrder(uuid4(), 2500, "EUR")
    await asyncio.to_thread(paypal.control.deliver, order.payment_id, delivery)
    made = await provider.create(order)
    assert isinstance(made, Created)
    assert isinstance(await provider.capture(replace(order, reference=made.reference)), Captured)
    await provider.close()


async def test_an_early_webhook_is_there_before_the_answer(paypal: FakePayPal, told: Shop) -> None:
    await captured(paypal, Delivery.EARLY)
    assert len(told.taken) == 1


@pytest.mark.parametrize(("delivery", "times"), [(Delivery.NORMAL, 1), (Delivery.TWICE, 2), (Delivery.FIVE_TIMES, 5)])
async def test_a_webhook_comes_as_often_as_it_is_to(
    paypal: FakePayPal, told: Shop, delivery: Delivery, times: int
) -> None:
    await captured(paypal, delivery)
    await eventually(lambda: len(told.taken) == times)
    assert len({transmission for transmission, _ in told.taken}) == times, "each is a transmission of its own"
    assert len({body for _, body in told.taken}) == 1, "of the same event"


async def test_a_webhook_that_was_not_taken_comes_again(paypal: FakePayPal, told: Shop) -> None:
    told.refusals = 1
    await captured(paypal, Delivery.NORMAL)
    await eventually(lambda: len(told.taken) == 1)


async def test_a_webhook_that_is_held_comes_when_it_is_told_to(paypal: FakePayPal, told: Shop) -> None:
    await captured(paypal, Delivery.HELD)
    (message,) = await asyncio.to_thread(paypal.control.webhooks)
    assert told.taken == []
    await asyncio.to_thread(paypal.control.send, message.id)
    assert len(told.taken) == 1
