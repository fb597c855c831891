"""Paying in tests: everything that carries payments on, in one hand, driven step by step."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.db.models.payments import Payment, Refund
from server.db.models.simulator import SimulatorOrder
from server.domain import refunds
from server.domain.bookings import get_booking
from server.domain.payment_doubts import resolve
from server.domain.payments import Begin, Capture, GiveUp, alone
from server.domain.refund_settlement import Settlement, settle
from server.payments.collecting import Collector, Patience
from server.payments.comparing import Comparer
from server.payments.port import PaymentProvider
from server.payments.refunding import Refunder
from server.payments.simulator import CAPTURE, Simulator, script
from server.seats.booking import Booking
from server.seats.commands import Cancel, Claim, Expire, Hold
from server.seats.ledger import Ledger
from server.states import PaymentState, Provider, RefundMethod, Resolution, SimulatedOutcome
from tests.staging import Staged

QUICK = Patience(call=timedelta(seconds=60), first_wait=timedelta(milliseconds=20), longest_hold=timedelta(minutes=10))


class Desk:
    """One process that takes bookings and works payments off. Nothing happens by itself."""

    def __init__(
        self, database: Database, *, patience: Patience = QUICK, provider: PaymentProvider | None = None
    ) -> None:
        self.database = database
        self.ledger = Ledger(database, lambda _: None)
        self.simulator = Simulator(database, success_rate=1.0, delay=timedelta(0))
        providers = {Provider.SIMULATOR: provider or self.simulator}
        self.collector = Collector(database, self.ledger, providers, patience)
        self.refunder = Refunder(database, providers, patience)

    async def hold(self, house: Staged, *places: int, customer: UUID | None = None) -> Booking:
        """A new customer's hold."""
        customer = customer or uuid4()
        booking = await self.ledger.execute(
            Hold(
                performance_id=house.performance_id,
                customer_id=customer,
                actor_id=customer,
                claims=tuple(Claim(place) for place in places),
            )
        )
        assert booking is not None
        return booking

    async def pay(self, booking: Booking) -> Payment:
        """Begin to pay."""
        return await self.database.transaction(
            lambda s: alone(
                s,
                Begin(
                    performance_id=booking.performance_id,
                    booking_id=booking.id,
                    owner=booking.customer_id,
                    provider=Provider.SIMULATOR,
                    providers={Provider.SIMULATOR},
                ),
            )
        )

    def ask_back(self, payment: Payment, amount: int | None = None) -> None:
        """Staff give money back: so much, in minor units, or all that is left."""
        self.database.run_transaction(
            lambda s: refunds.request(
                s,
                payment.performance_id,
                payment.booking_id,
                payment.id,
                amount=None if amount is None else refunds.Amount(amount, payment.currency),
                reason="a test",
                actor_id=payment.customer_id,
            )
        )

    async def capture(self, payment: Payment) -> Payment:
        """Ask for the money to be taken."""
        return await self.database.transaction(lambda s: alone(s, Capture(**named(payment))))

    async def give_up(self, payment: Payment) -> Payment:
        """Change one's mind."""
        return await self.database.transaction(lambda s: alone(s, GiveUp(**named(payment))))

    async def resolve(self, payment: Payment, resolution: Resolution) -> Payment:
        """Decide, as staff, whose the money is that was taken."""
        name = payment.performance_id, payment.booking_id, payment.id
        return await self.database.transaction(
            lambda s: resolve(s, *name, resolution=resolution, reason="asked the provider", actor_id=uuid4())
        )

    async def settle_refund(self, refund: Refund, method: RefundMethod, reference: str = "transfer 1") -> Refund:
        """Say, as staff, that a refund was paid back in another way."""
        name = refund.performance_id, refund.booking_id, refund.payment_id, refund.id
        settlement = Settlement(method, reference, "the card was closed", uuid4())
        return await self.database.transaction(lambda s: settle(s, *name, settlement=settlement))

    async def captured(self, booking: Booking, outcome: SimulatedOutcome = SimulatedOutcome.APPROVE) -> Payment:
        """A payment whose money is asked for, and that will end as told."""
        payment = await self.pay(booking)
        self.script(payment, outcome)
        return await self.capture(payment)

    def script(self, payment: Payment, outcome: SimulatedOutcome, call: str = CAPTURE) -> None:
        """Tell the simulator how to answer."""
        self.database.run_transaction(lambda s: script(s, payment.id, call, outcome))

    async def carry_on(self) -> int:
        """Work off what is due now; returns how much it was."""
        due = await self.collector.take(100)
        await asyncio.gather(*(self.collector.carry_on(attempt) for attempt in due))
        back = await self.refunder.take(100)
        await asyncio.gather(*(self.refunder.carry_on(attempt) for attempt in back))
        return len(due) + len(back)

    async def settle(self, seconds: float = 60) -> None:
        """Work off everything, until nothing is or will be due."""
        async with asyncio.timeout(seconds):
            while self.is_due_some_time():
                if not await self.carry_on():
                    await asyncio.sleep(0.01)

    async def compare(self) -> int:
        """Compare what ended with the provider's books, however short a time ago; returns how much it was."""
        self.one("UPDATE payments SET compare_after_time = '-infinity' WHERE compare_after_time IS NOT NULL")
        comparer = Comparer(self.database, self.collector, timedelta(days=1))
        taken = await comparer.take(100)
        await asyncio.gather(*(comparer.carry_on(one) for one in taken))
        return len(taken)

    def is_due_some_time(self) -> bool:
        """Whether anything waits for its time."""
        return bool(
            self.one(
                # While the customer has the next move, the provider is asked now and then: that has no end.
                "SELECT EXISTS (SELECT FROM payments WHERE next_attempt_time IS NOT NULL AND state <> 2)"
                " OR EXISTS (SELECT FROM refunds WHERE next_attempt_time IS NOT NULL)"
            )
        )

    async def cancel(self, booking: Booking) -> Booking | None:
        """Give a booking up, as its customer."""
        return await self.ledger.execute(
            Cancel(performance_id=booking.performance_id, booking_id=booking.id, actor_id=booking.customer_id)
        )

    async def expire(self, booking: Booking) -> Booking | None:
        """Do what the sweeper does."""
        return await self.ledger.execute(
            Expire(performance_id=booking.performance_id, booking_id=booking.id, actor_id=None, staff=True)
        )

    def let_time_pass(self, booking: Booking) -> None:
        """Let the hold's own clock run out."""
        self.one(
            "UPDATE bookings SET hold_expire_time = clock_timestamp() - interval '1s' WHERE id = :id RETURNING 1",
            id=booking.id,
        )

    def booking(self, booking: Booking) -> Booking:
        """The booking as it is now."""
        return self.database.run_transaction(lambda s: get_booking(s, booking.performance_id, booking.id, None))

    def find_booking(self, house: Staged, booking_id: UUID | None) -> Booking:
        """A booking by its id."""
        assert booking_id is not None
        return self.database.run_transaction(lambda s: get_booking(s, house.performance_id, booking_id, None))

    def find_payment(self, house: Staged, payment_id: UUID) -> Payment:
        """A payment by its id."""
        found = self.database.run_transaction(lambda s: s.get(Payment, (house.performance_id, payment_id)))
        assert found is not None
        return found

    def payment(self, payment: Payment) -> Payment:
        """The payment as it is now."""
        found = self.database.run_transaction(lambda s: s.get(Payment, (payment.performance_id, payment.id)))
        assert found is not None
        return found

    def order(self, payment: Payment) -> SimulatorOrder | None:
        """What the simulator's books say of the payment."""
        return self.database.run_transaction(lambda s: s.get(SimulatorOrder, payment.id))

    def refunds(self, payment: Payment) -> list[Refund]:
        """The payment's refunds."""
        return self.database.run_transaction(
            lambda s: list(s.query(Refund).filter_by(payment_id=payment.id).order_by(Refund.create_time))
        )

    def one(self, sql: str, **values: Any) -> Any:
        """The one value of a query; None of a statement that has none."""

        def run(session: Session) -> Any:
            result = session.execute(text(sql), values)
            return result.scalar() if result.returns_rows else None  # type: ignore[attr-defined]

        return self.database.run_transaction(run)


class ProviderDesk(Desk, ABC):
    """A desk whose customers approve at a provider of another house before they are charged."""

    @abstractmethod
    async def approved(self, house: Staged, *places: int) -> tuple[Booking, Payment]:
        """A held booking, and its payment that the customer has approved there."""

    async def bought(self, house: Staged, *places: int) -> Payment:
        """A payment that has bought its seats."""
        _, payment = await self.approved(house, *places)
        await self.capture(payment)
        await self.settle()
        paid = self.payment(payment)
        assert paid.state is PaymentState.SUCCEEDED
        return paid


def named(payment: Payment) -> dict[str, Any]:
    """What names a payment in a command of its owner."""
    return {
        "performance_id": payment.performance_id,
        "booking_id": payment.booking_id,
        "payment_id": payment.id,
        "owner": payment.customer_id,
    }


@asynccontextmanager
async def desk_on(database: Database, **options: Any) -> AsyncIterator[Desk]:
    """A desk for the length of the block."""
    desk = Desk(database, **options)
    try:
        yield desk
    finally:
        await desk.ledger.close()
