"""Amounts as Stripe counts them."""

import pytest

from server.payments.stripe_amounts import from_stripe, to_stripe


@pytest.mark.parametrize(
    ("ours", "currency", "theirs"),
    [
        (2500, "EUR", 2500),
        (2500, "JPY", 2500),  # whole yen on both sides
        (2500, "ISK", 250_000),
        (2500, "UGX", 250_000),
        (2500, "MGA", 25),
        (2500, "KWD", 2500),
        (0, "EUR", 0),
    ],
)
def test_there_and_back(ours: int, currency: str, theirs: int) -> None:
    assert to_stripe(ours, currency) == theirs
    assert from_stripe(theirs, currency) == ours


@pytest.mark.parametrize(("amount", "currency"), [(2501, "MGA"), (2501, "KWD"), (2501, "TND"), (2500, "CLF")])
def test_what_stripe_cannot_charge(amount: int, currency: str) -> None:
    assert to_stripe(amount, currency) is None


def test_what_we_cannot_express_is_not_taken_for_less() -> None:
    assert from_stripe(250_001, "ISK") == 2501
