"""The port that every payment provider is behind: five questions, and what the answers can be.

All calls are made by workers, never inside a transaction. Each may be made again, after a crash or a time-out, with
the same key, and then has one effect: that is what ``PaymentOrder.payment_id`` and a refund's id are for. An adapter
raises nothing that it expects: what it does not know, it calls ``Unknown``.
"""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """What a provider has to know of a payment.

    Args:
        payment_id: ours; the idempotency key of everything but refunds.
        amount: in minor units of ``currency``.
        currency: ISO 4217.
        reference: the provider's own name for it; None: not known (yet).
        return_uri, cancel_uri: where the customer is sent after approving, or after giving up.
    """

    payment_id: UUID
    amount: int
    currency: str
    reference: str | None = None
    return_uri: str | None = None
    cancel_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """The provider knows the payment; nothing is taken. ``approval_uri`` is where the customer approves, if needed."""

    reference: str
    approval_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Captured:
    """The money was taken: how much, by the provider's books."""

    reference: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Declined:
    """No money was taken and none will be; ``reason`` is the provider's word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Open:
    """Nothing was taken so far; it could be."""

    reference: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nothing was taken, and by this order nothing can be any more."""


@dataclass(frozen=True, slots=True)
class Refunded:
    """The money went back."""

    reference: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The provider did not say. It may have done it or not: ask again, with the same key."""

    reason: str


class PaymentProvider(Protocol):
    """Whoever moves the money."""

    async def create(self, order: PaymentOrder) -> Created | Declined | Unknown:
        """Make the payment known to the provider."""
        ...

    async def capture(self, order: PaymentOrder) -> Captured | Declined | Unknown:
        """Take the money of an order that was created, and approved where that is needed."""
        ...

    async def find(self, order: PaymentOrder) -> Open | Captured | Declined | Cancelled | Unknown:
        """Say what became of it; without effect."""
        ...

    async def cancel(self, order: PaymentOrder) -> Cancelled | Captured | Unknown:
        """Make sure that no money will be taken; ``Captured``: too late."""
        ...

    async def refund(self, order: PaymentOrder, refund_id: UUID, amount: int) -> Refunded | Declined | Unknown:
        """Give back ``amount`` minor units of what was captured; ``refund_id`` is the idempotency key."""
        ...
