"""A provider with its answers timed and counted, and with a span around each call where there are traces.

What is counted is the kind of the answer, never what it says: labels must stay few.
"""

import time
from collections.abc import Awaitable, Mapping
from typing import TypeVar
from uuid import UUID

from server import tracing
from server.payments.port import (
    Absent,
    Cancelled,
    Captured,
    Created,
    Declined,
    Open,
    PaymentOrder,
    PaymentProvider,
    Refunded,
    Unknown,
)
from server.payments.providers import Connected
from server.states import Provider
from server.work_metrics import PROVIDER_SECONDS

Answer = TypeVar("Answer")


class WatchedProvider:
    """The same provider, watched.

    Args:
        provider: whoever moves the money.
        name: who that is.
    """

    def __init__(self, provider: PaymentProvider, name: Provider) -> None:
        self._provider = provider
        self._name = name.name.lower()

    async def create(self, order: PaymentOrder) -> Created | Declined | Unknown:
        """See the port."""
        return await self._watch("create", self._provider.create(order))

    async def capture(self, order: PaymentOrder) -> Captured | Declined | Open | Unknown:
        """See the port."""
        return await self._watch("capture", self._provider.capture(order))

    async def find(self, order: PaymentOrder) -> Open | Captured | Declined | Cancelled | Unknown:
        """See the port."""
        return await self._watch("find", self._provider.find(order))

    async def cancel(self, order: PaymentOrder) -> Cancelled | Captured | Unknown:
        """See the port."""
        return await self._watch("cancel", self._provider.cancel(order))

    async def refund(self, order: PaymentOrder, refund_id: UUID, amount: int) -> Refunded | Declined | Unknown:
        """See the port."""
        return await self._watch("refund", self._provider.refund(order, refund_id, amount))

    async def find_refund(self, order: PaymentOrder, refund_id: UUID) -> Refunded | Declined | Absent | Unknown:
        """See the port."""
        return await self._watch("find_refund", self._provider.find_refund(order, refund_id))

    async def close(self) -> None:
        """Close what the provider keeps open."""
        if isinstance(self._provider, Connected):
            await self._provider.close()

    async def _watch(self, call: str, asking: Awaitable[Answer]) -> Answer:
        answer = "none"
        started = time.perf_counter()
        try:
            with tracing.span(f"{self._name} {call}", kind="client"):
                outcome = await asking
            answer = type(outcome).__name__.lower()
            return outcome
        finally:
            # Cut off when its time was over, it counts as an answer that did not come.
            PROVIDER_SECONDS.labels(self._name, call, answer).observe(time.perf_counter() - started)


def watched(providers: Mapping[Provider, PaymentProvider]) -> Mapping[Provider, PaymentProvider]:
    """All of them, watched."""
    return {name: WatchedProvider(provider, name) for name, provider in providers.items()}
