"""Prices as lists show them: the lowest of an event's or a performance's ticket types."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """An amount in integer minor units of a currency."""

    amount: int
    currency: str


def price_of(amount: int | None, currency: str | None) -> Price | None:
    """A price read from an outer join; None where there was nothing to join."""
    return None if amount is None or currency is None else Price(amount, currency)
