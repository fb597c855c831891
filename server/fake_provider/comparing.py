"""Holds the fake provider's books against ours, both ways and to the last cent."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.db.models.payments import MADE_BY_PROVIDER, Payment, Refund
from server.domain.currencies import decimal_places
from server.fake_provider.control import Entry, ProviderBooks
from server.states import PaymentState, Provider

_TAKEN: Final = frozenset({"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"})
_GIVEN: Final = frozenset({"COMPLETED"})

Line = tuple[str, int, str]
"""Whose, how many minor units, of which currency."""


def differences(session: Session, books: ProviderBooks) -> list[str]:
    """What one of the two has and the other has not; empty if the books are equal.

    Args:
        session: a transaction.
        books: the provider's, read after everything has come to rest.
    """
    paid = session.execute(
        select(Payment.id, Payment.amount, Payment.currency).where(
            Payment.provider == Provider.PAYPAL, Payment.state == PaymentState.SUCCEEDED, Payment.amount > 0
        )
    )
    given = session.execute(
        select(Refund.provider_key, Refund.amount, Refund.currency)
        .join(Payment, (Payment.performance_id == Refund.performance_id) & (Payment.id == Refund.payment_id))
        .where(Payment.provider == Provider.PAYPAL, MADE_BY_PROVIDER)
    )
    theirs_paid = [_line(one.payment, one) for one in books.captures if one.status in _TAKEN]
    theirs_given = [_line(one.invoice_id or one.id, one) for one in books.refunds if one.status in _GIVEN]
    return [
        *_differ("payment", ((str(one), amount, currency) for one, amount, currency in paid), theirs_paid),
        *_differ("refund", ((str(one), amount, currency) for one, amount, currency in given), theirs_given),
    ]


def _line(whose: str, entry: Entry) -> Line:
    return whose, int(entry.value.scaleb(decimal_places(entry.currency))), entry.currency


def _differ(what: str, ours: Iterable[Line], theirs: Iterable[Line]) -> list[str]:
    here, there = Counter(ours), Counter(theirs)
    return [
        *(f"{what} {line} is in our books, and not in the provider's" for line in here - there),
        *(f"{what} {line} is in the provider's books, and not in ours" for line in there - here),
    ]
