"""Paying with PayPal in tests: a desk whose provider is the fake PayPal over HTTP, and the inbox of its webhooks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from server.db.engine import Database
from server.db.models.payments import Payment, Refund
from server.db.models.webhooks import ProviderWebhook
from server.domain import webhooks
from server.domain.payments import Begin, Return, alone
from server.fake_provider.behaviour import Behaviour, Call
from server.fake_provider.comparing import differences
from server.fake_provider.control import Webhook
from server.payments.collecting import Collector, Patience
from server.payments.paypal import PayPal
from server.payments.paypal_certificates import PayPalCertificates
from server.payments.paypal_webhooks import PayPalWebhooks
from server.payments.refunding import Refunder
from server.payments.webhook_handling import WebhookHandler
from server.seats.booking import Booking
from server.states import Provider
from tests.fake_paypal import FakePayPal
from tests.paying import ProviderDesk
from tests.staging import Staged

QUICK = Patience(
    call=timedelta(seconds=60),
    first_wait=timedelta(milliseconds=20),
    longest_hold=timedelta(minutes=10),
    ask=timedelta(minutes=5),
)
IMPATIENT = replace(QUICK, call=timedelta(milliseconds=500))
"""Where PayPal is told to be silent: nobody wants to wait for that."""
_SILENT = {Behaviour.SILENT_BEFORE, Behaviour.SILENT_AFTER, Behaviour.SLOW}


class PayPalDesk(ProviderDesk):
    """A process that is paid by PayPal. Nothing happens by itself: webhooks are delivered by the test, or not."""

    def __init__(self, database: Database, paypal: FakePayPal, provider: PayPal) -> None:
        super().__init__(database, patience=QUICK)
        self.paypal = paypal
        self.provider = provider
        self.be_patient(QUICK)
        self.verifier = PayPalWebhooks(
            paypal.provider.identity.webhook_id,
            PayPalCertificates(paypal.provider.base_url, live=False, timeout=timedelta(seconds=60)),
            tolerance=timedelta(days=4),
        )

    def be_patient(self, patience: Patience) -> None:
        """Wait for PayPal as long as told."""
        providers = {Provider.PAYPAL: self.provider}
        self.collector = Collector(self.database, self.ledger, providers, patience)
        self.refunder = Refunder(self.database, providers, patience)
        self.handler = WebhookHandler(
            self.database,
            providers,
            patience,
            most_attempts=3,
            carry_on={Payment: self._carry_on_later, Refund: self._carry_on_later},
        )

    async def begin(self, booking: Booking) -> Payment:
        """Begin to pay."""
        return await self.database.transaction(
            lambda s: alone(
                s,
                Begin(
                    performance_id=booking.performance_id,
                    booking_id=booking.id,
                    owner=booking.customer_id,
                    provider=Provider.PAYPAL,
                    providers={Provider.PAYPAL},
                    back=Return("https://tickets.example/paid"),
                ),
            )
        )

    async def pay(self, booking: Booking) -> Payment:
        """Begin to pay, and have PayPal told."""
        payment = await self.begin(booking)
        await self.carry_on()
        return self.payment(payment)

    async def approve(self, payment: Payment) -> None:
        """Be the customer on PayPal's page."""
        reference = self.payment(payment).provider_reference
        assert reference is not None
        await asyncio.to_thread(self.paypal.control.approve, reference)

    async def approved(self, house: Staged, *places: int) -> tuple[Booking, Payment]:
        """A held booking, and its payment that the customer has approved at PayPal."""
        booking = await self.hold(house, *places)
        payment = await self.pay(booking)
        await self.approve(payment)
        return booking, payment

    async def behave(self, payment: Payment, call: Call, *behaviours: Behaviour) -> None:
        """Say how PayPal's next answers about a payment are; for silent ones nobody waits long from now on."""
        if _SILENT & set(behaviours):
            self.be_patient(IMPATIENT)
        await asyncio.to_thread(self.paypal.control.script, payment.id, call, *behaviours)

    async def told(self, payment: Payment) -> list[Webhook]:
        """What PayPal has to tell of a payment so far, the oldest first."""
        return await asyncio.to_thread(self.paypal.control.webhooks, payment.id)

    async def deliver(self, message: Webhook) -> bool:
        """Receive a webhook; whether it is new."""
        event = await self.verifier.verify(message.body, message.headers, datetime.now(UTC))
        return await self.database.transaction(
            lambda s: webhooks.receive(s, Provider.PAYPAL, event, message.body, message.headers)
        )

    async def handle(self) -> list[str]:
        """Act on the webhooks that are due now, and work off what that made due; returns what came of each."""
        due = await self.handler.take(100)
        await asyncio.gather(*(self.handler.handle(message) for message in due))
        await self.carry_on()
        ids = [message.webhook_id for message in due]
        rows = self.database.run_transaction(
            lambda s: list(s.query(ProviderWebhook).filter(ProviderWebhook.id.in_(ids)).order_by(ProviderWebhook.id))
        )
        return [f"{row.state.name} {row.outcome}" for row in rows]

    async def orders(self, payment: Payment) -> list[tuple[str, str]]:
        """Status and intent of every order that PayPal has for a payment."""
        found = await asyncio.to_thread(self.paypal.control.orders, payment.id)
        return [(order["status"], order["intent"]) for order in found]

    async def assert_books_equal(self) -> None:
        """What PayPal took and gave back is what we believe, both ways, to the cent."""
        books = await asyncio.to_thread(self.paypal.control.books)
        found = await self.database.transaction(lambda s: differences(s, books))
        assert not found, "\n".join(found)

    async def _carry_on_later(self) -> None:
        """The test does it."""


@asynccontextmanager
async def paypal_desk_on(database: Database, paypal: FakePayPal) -> AsyncIterator[PayPalDesk]:
    """A desk for the length of the block."""
    provider = paypal.connect(QUICK.call)
    desk = PayPalDesk(database, paypal, provider)
    try:
        yield desk
    finally:
        await desk.ledger.close()
        await provider.close()
