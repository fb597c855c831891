"""Amounts of money as people type them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from google.type.money_pb2 import Money

from rowlock_client.cli.options import EXIT_USAGE, Failure

_AMOUNT: Final = re.compile(r"(\d{1,8}(?:\.\d{1,3})?)\s*([A-Z]{3})?")


def amount_of(text: str, currency: str = "EUR") -> Money:
    """`150.00` or `150.00 CHF` as a message; in ``currency`` where none is said."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise Failure(f"{text!r} is not an amount: write 150.00, or 150.00 CHF", EXIT_USAGE)
    units, rest = divmod(Decimal(found[1]), 1)
    return Money(currency_code=found[2] or currency, units=int(units), nanos=int(rest * 1_000_000_000))
