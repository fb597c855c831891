"""Pulls the strings of a fake provider from another process or thread: for tests, benchmarks and demos."""

from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import httpx

from server.fake_provider.behaviour import Behaviour, Call, Delivery


@dataclass(frozen=True, slots=True)
class Entry:
    """One capture or refund in the provider's books. ``payment`` and ``invoice_id`` are the shop's words."""

    id: str
    payment: str
    invoice_id: str | None
    value: Decimal
    currency: str
    status: str


@dataclass(frozen=True, slots=True)
class ProviderBooks:
    """The provider's books: everything that was taken or given back, whatever became of it."""

    captures: tuple[Entry, ...]
    refunds: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Webhook:
    """One message as it would be sent now."""

    id: str
    kind: str
    payment: str
    headers: dict[str, str]
    body: bytes


class Control:
    """The strings of one fake provider.

    Args:
        base_url: where it is.
    """

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def approve(self, order: str) -> None:
        """Be the customer who agrees."""
        self._done(self._http.post("/checkoutnow", params={"token": order}, data={"answer": "pay"}))

    def script(self, payment: object, call: Call, *behaviours: Behaviour) -> None:
        """Say how the next calls of a kind about a payment of the shop's end."""
        self._done(self._http.put(f"/fake/script/{payment}", json={call.value: [one.value for one in behaviours]}))

    def deliver(self, payment: object, delivery: Delivery) -> None:
        """Say when the webhooks of a payment are sent."""
        self._done(self._http.put(f"/fake/script/{payment}", json={"webhooks": delivery.value}))

    def settle(self, order: str, status: str = "COMPLETED") -> None:
        """Decide what is pending of an order."""
        self._done(self._http.post(f"/fake/orders/{order}/settle", params={"status": status}))

    def take_back(self, refund: str, status: str = "FAILED") -> None:
        """Have a refund fail that was made; ``refund`` is the provider's name for it."""
        self._done(self._http.post(f"/fake/refunds/{refund}/take-back", params={"status": status}))

    def forget(self, order: str) -> None:
        """Have an order run out."""
        self._done(self._http.delete(f"/fake/orders/{order}"))

    def hide(self, order: str) -> None:
        """Have an order be shown no more; its capture still is."""
        self._done(self._http.delete(f"/fake/orders/{order}", params={"only": "show"}))

    def forget_tokens(self) -> None:
        """Withdraw every token."""
        self._done(self._http.delete("/fake/tokens"))

    def forget_keys(self) -> None:
        """Have the idempotency keys run out."""
        self._done(self._http.delete("/fake/keys"))

    def books(self) -> ProviderBooks:
        """What the provider's books say."""
        found = self._done(self._http.get("/fake/books")).json()
        return ProviderBooks(tuple(map(_entry, found["captures"])), tuple(map(_entry, found["refunds"])))

    def orders(self, payment: object) -> list[dict[str, Any]]:
        """The orders that were made for a payment of the shop's: id, status and intent."""
        found = self._done(self._http.get("/fake/books")).json()
        return [order for order in found["orders"] if order["payment"] == str(payment)]

    def webhooks(self, payment: object = None) -> list[Webhook]:
        """Every message so far, oldest first, signed now; only those about ``payment`` if it is given."""
        found = self._done(self._http.get("/fake/webhooks")).json()
        return [
            Webhook(one["id"], one["event_type"], one["payment"], one["headers"], one["body"].encode())
            for one in found
            if payment is None or one["payment"] == str(payment)
        ]

    def send(self, event: str) -> None:
        """Have a message sent (again) to where they go."""
        self._done(self._http.post(f"/fake/webhooks/{event}/send"))

    @staticmethod
    def _done(response: httpx.Response) -> httpx.Response:
        if response.status_code >= 400:
            response.raise_for_status()
        return response


def _entry(found: dict[str, Any]) -> Entry:
    return Entry(
        found["id"],
        found["payment"],
        found["invoice_id"],
        Decimal(found["value"]),
        found["currency"],
        found["status"],
    )
