"""Paying with Stripe in tests: a desk whose provider is the fake Stripe, and the inbox of its webhooks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from server.db.engine import Database
from server.db.models.payments import Payment, Refund
from server.db.models.webhooks import ProviderWebhook
from server.domain import webhooks
from server.domain.payment_orders import order_of
from server.domain.payments import Begin, alone
from server.payments.collecting import Collector, Patience
from server.payments.port import PaymentOrder
from server.payments.refunding import Refunder
from server.payments.stripe_payments import StripePayments
from server.payments.stripe_webhooks import SIGNATURE_HEADER, StripeWebhooks, sign
from server.payments.webhook_handling import WebhookHandler
from server.seats.booking import Booking
from server.states import Provider
from tests.fake_stripe import FakeStripe, fake_stripe
from tests.paying import ProviderDesk
from tests.staging import Staged

SECRET = "whsec_of_the_tests"
QUICK = Patience(
    call=timedelta(seconds=60),
    first_wait=timedelta(milliseconds=20),
    longest_hold=timedelta(minutes=10),
    ask=timedelta(minutes=5),
)
IMPATIENT = replace(QUICK, call=timedelta(milliseconds=500))
"""Where Stripe is told to be silent: nobody wants to wait for that."""
MOST_ATTEMPTS = 3


class StripeDesk(ProviderDesk):
    """A process that is paid by Stripe. Nothing happens by itself: webhooks are delivered by the test, or not."""

    def __init__(self, database: Database, stripe: FakeStripe, provider: StripePayments, address: str) -> None:
        super().__init__(database, patience=QUICK)
        self.stripe = stripe
        self.provider = provider
        self.address = address
        self.verifier = StripeWebhooks((SECRET,), tolerance=timedelta(minutes=5))
        self.be_patient(QUICK)

    def be_patient(self, patience: Patience) -> None:
        """Wait for Stripe as long as told."""
        providers = {Provider.STRIPE: self.provider}
        self.collector = Collector(self.database, self.ledger, providers, patience)
        self.refunder = Refunder(self.database, providers, patience)
        self.handler = WebhookHandler(
            self.database,
            providers,
            patience,
            most_attempts=MOST_ATTEMPTS,
            carry_on={Payment: self._carry_on_later, Refund: self._carry_on_later},
        )

    async def pay(self, booking: Booking) -> Payment:
        """Begin to pay, and have Stripe told."""
        payment = await self.begin(booking)
        await self.carry_on()
        return self.payment(payment)

    async def begin(self, booking: Booking) -> Payment:
        """Begin to pay."""
        return await self.database.transaction(
            lambda s: alone(
                s,
                Begin(
                    performance_id=booking.performance_id,
                    booking_id=booking.id,
                    owner=booking.customer_id,
                    provider=Provider.STRIPE,
                    providers={Provider.STRIPE},
                ),
            )
        )

    async def approved(self, house: Staged, *places: int, amount: int | None = None) -> tuple[Booking, Payment]:
        """A held booking, and its payment that the customer has approved at Stripe."""
        booking = await self.hold(house, *places)
        payment = await self.pay(booking)
        assert payment.provider_reference is not None
        self.stripe.approve(payment.provider_reference, amount)
        return booking, payment

    async def deliver(self, body: bytes, *, sent: datetime | None = None) -> bool:
        """Receive a webhook; whether it is new."""
        now = datetime.now(UTC)
        headers = {SIGNATURE_HEADER: sign(body, SECRET, sent or now)}
        event = await self.verifier.verify(body, headers, now)
        return await self.database.transaction(lambda s: webhooks.receive(s, Provider.STRIPE, event, body, headers))

    async def handle(self) -> int:
        """Work off the webhooks that are due now; returns how many."""
        due = await self.handler.take(100)
        await asyncio.gather(*(self.handler.handle(message) for message in due))
        return len(due)

    async def told(self, body: bytes) -> str:
        """Deliver a webhook, act on it, and work off what it made due; returns what came of it."""
        await self.deliver(body)
        await self.handle()
        await self.carry_on()
        return self.outcome()

    def intent(self, payment: Payment) -> dict[str, Any]:
        """What Stripe knows of the payment."""
        return self.stripe.books.intents[str(self.payment(payment).provider_reference)]

    def charge(self, payment: Payment) -> dict[str, Any]:
        """What Stripe took."""
        return self.stripe.books.charges[self.intent(payment)["latest_charge"]]

    def port_order(self, payment: Payment) -> PaymentOrder:
        """The payment as the port speaks of it."""
        return order_of(self.payment(payment))

    def forget(self) -> None:
        """Leave nothing due for the next test, which has another Stripe."""
        for table in ("payments", "refunds"):
            self.one(f"UPDATE {table} SET next_attempt_time = 'infinity' WHERE next_attempt_time IS NOT NULL")
        self.one("DELETE FROM provider_webhooks")

    def inbox(self) -> list[ProviderWebhook]:
        """Every message, the oldest first."""
        return self.database.run_transaction(lambda s: list(s.query(ProviderWebhook).order_by(ProviderWebhook.id)))

    def outcome(self) -> str:
        """What came of the newest message."""
        newest = self.inbox()[-1]
        return f"{newest.state.name} {newest.outcome}"

    async def _carry_on_later(self) -> None:
        """The test does it."""


@asynccontextmanager
async def stripe_desk_on(database: Database, mock: str) -> AsyncIterator[StripeDesk]:
    """A desk, and a Stripe of its own, for the length of the block."""
    async with fake_stripe(mock) as (stripe, address):
        provider = StripePayments("sk_test_123", api_base=address, timeout=timedelta(seconds=60))
        desk = StripeDesk(database, stripe, provider, address)
        try:
            yield desk
        finally:
            await desk.ledger.close()
            await provider.close()
