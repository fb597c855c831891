"""A provider at which customers approve, for tests: the simulator, as strict as PayPal and Stripe are."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from server.db.engine import Database
from server.payments.port import Created, Open, PaymentOrder
from server.payments.simulator import Simulator


class ApprovedElsewhere(Simulator):
    """Customers approve at the provider, who takes nothing before that, as PayPal and Stripe do it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, success_rate=1, delay=timedelta(0))
        self.approved: set[UUID] = set()

    async def create(self, order: PaymentOrder) -> Any:
        """Send the customer somewhere."""
        answer = await super().create(order)
        return Created(answer.reference, "https://provider.example/approve") if isinstance(answer, Created) else answer

    async def find(self, order: PaymentOrder) -> Any:
        """Say whether the customer was there."""
        answer = await super().find(order)
        return Open(answer.reference, order.payment_id in self.approved) if isinstance(answer, Open) else answer

    async def capture(self, order: PaymentOrder) -> Any:
        """Take nothing that was not approved."""
        answer = await super().find(order)
        if isinstance(answer, Open) and order.payment_id not in self.approved:
            return answer
        return await super().capture(order)
