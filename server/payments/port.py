"""The port that every payment provider is behind: a few questions, and what the answers can be.

All calls are made by workers, never inside a transaction. Each may be made again, after a crash or a time-out, with
the same key, and then has one effect: that is what ``PaymentOrder.payment_id`` and a refund's id are for. Keys are
forgotten by providers after some hours or days, so whoever asks again after an unknown outcome looks first (``find``,
``find_refund``). An adapter raises nothing that it expects: what it does not know, it calls ``Unknown``.

There are two kinds of providers, and one life of a payment for both. With one kind (PayPal) the customer approves at
``Created.approval_uri``; with the other (Stripe) the customer's browser confirms with ``Created.client_secret``. In
either case nothing is taken before ``capture`` is called, and ``Open.approved`` says whether it would succeed now. A
provider that takes money without being asked is served as well: then ``find`` says ``Captured``.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """What a provider has to know of a payment.

    Args:
        payment_id: ours; the idempotency key of everything but refunds.
        amount: in minor units of ``currency``.
        currency: ISO 4217.
        reference: the provider's own name for it, as ``Created`` said; None: not known (yet).
        return_uri, cancel_uri: where the customer is sent after approving, or after giving up.
        name: our resource name, at most 124 characters: goes into the provider's books (PayPal's ``custom_id``,
            Stripe's ``metadata``), so that a webhook names the payment and a capture can be compared with it.
        capture_reference: the provider's name for the capture, as ``Captured`` said; refunds may need it.
    """

    payment_id: UUID
    amount: int
    currency: str
    reference: str | None = None
    return_uri: str | None = None
    cancel_uri: str | None = None
    name: str = ""
    capture_reference: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """The provider knows the payment; nothing is taken.

    Args:
        reference: the provider's name for it.
        approval_uri: where the customer approves; None: nowhere.
        client_secret: with what the customer's browser confirms it at the provider; None: not needed.
    """

    reference: str
    approval_uri: str | None = None
    client_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Captured:
    """The money was taken: how much, by the provider's books.

    Args:
        reference: the provider's name for the payment (not for the capture).
        amount: in minor units of ``currency``.
        currency: ISO 4217, in capitals.
        capture_reference: the provider's name for the capture, if that is another and refunds need it.
        payment_id: which payment it is by the provider's books (from what ``PaymentOrder.name`` left there); None: the
            provider does not say.
        refunded: minor units that went back so far, by the provider's books; None: not said (only ``find`` has to).
    """

    reference: str
    amount: int
    currency: str
    capture_reference: str | None = None
    payment_id: UUID | None = None
    refunded: int | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """No money was taken and none will be; ``reason`` is the provider's word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Open:
    """Nothing was taken so far; it could be: at once if the customer has ``approved`` it, otherwise after that."""

    reference: str
    approved: bool = False


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nothing was taken, and by this order nothing can be any more: cancelled, expired there, or never heard of."""


@dataclass(frozen=True, slots=True)
class Refunded:
    """The money went back."""

    reference: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The provider has no such refund."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The provider did not say.

    It may have done it or not: ask again, with the same key, and not before ``retry_after`` if the provider said so.
    """

    reason: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Pending(Unknown):
    """The provider did say: it was asked, is at it, and has not decided, because it reviews what it was asked for.

    Asked again like anything that is not known; but nobody needs to be told that the provider is silent.
    """


class PaymentProvider(Protocol):
    """Whoever moves the money."""

    async def create(self, order: PaymentOrder) -> Created | Declined | Unknown:
        """Make the payment known to the provider, or find it again by the key."""
        ...

    async def capture(self, order: PaymentOrder) -> Captured | Declined | Open | Unknown:
        """Take the money of an order that was created and approved; ``Open``: the customer has not approved it."""
        ...

    async def find(self, order: PaymentOrder) -> Open | Captured | Declined | Cancelled | Unknown:
        """Say what became of an order that has a ``reference``; without effect."""
        ...

    async def cancel(self, order: PaymentOrder) -> Cancelled | Captured | Unknown:
        """Make sure that no money will be taken; ``Captured``: too late.

        Where a provider has no such call it is enough that nothing is taken without ``capture``.
        """
        ...

    async def refund(self, order: PaymentOrder, refund_id: UUID, amount: int) -> Refunded | Declined | Unknown:
        """Give back ``amount`` minor units of what was captured; ``refund_id`` is the idempotency key."""
        ...

    async def find_refund(self, order: PaymentOrder, refund_id: UUID) -> Refunded | Declined | Absent | Unknown:
        """Say what became of a refund that may have been asked for; without effect."""
        ...
