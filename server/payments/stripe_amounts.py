"""Amounts as Stripe counts them: in the currency's smallest part, with a few exceptions of Stripe's own.

The exceptions are those of https://docs.stripe.com/currencies: two currencies that have no smaller part any more are
still counted as if they had hundredths, one is the other way round, and amounts in thousandths must end in a zero.
"""

from typing import Final

from server.domain.currencies import decimal_places

_COUNTED_IN_HUNDREDTHS: Final = frozenset({"ISK", "UGX"})
_COUNTED_WHOLE: Final = frozenset({"MGA"})


def to_stripe(amount: int, currency: str) -> int | None:
    """Our minor units as Stripe's; None: Stripe cannot charge this amount."""
    if currency in _COUNTED_IN_HUNDREDTHS:
        return amount * 100
    if currency in _COUNTED_WHOLE:
        return None if amount % 100 else amount // 100
    if decimal_places(currency) == 3 and amount % 10:
        return None
    return None if decimal_places(currency) > 3 else amount


def from_stripe(amount: int, currency: str) -> int:
    """Stripe's minor units as ours. What ours cannot express is rounded up, so that it is not taken for less."""
    if currency in _COUNTED_IN_HUNDREDTHS:
        return -(-amount // 100)
    return amount * 100 if currency in _COUNTED_WHOLE else amount
