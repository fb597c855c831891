"""Stripe's statement: what it took and gave back, a page at a time, as far as it is ours.

Others may be paid through the same account, so charges without our metadata are left out. A refund of a charge of ours
that was not made by us is not: it has no key, and is what somebody who compares books wants to see.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import stripe
from stripe import Charge, ListObject, Refund, StripeClient

from server.domain.book_lines import Direction
from server.errors import Unavailable
from server.payments.statements import Movement
from server.payments.stripe_amounts import from_stripe
from server.payments.stripe_metadata import PAYMENT_ID_KEY, REFUND_ID_KEY, id_in

if TYPE_CHECKING:
    from stripe.params import ChargeListParams, RefundListParams

_PAGE: Final = 100


Thing = TypeVar("Thing", Charge, Refund)


async def movements(client: StripeClient, since: datetime | None) -> AsyncIterator[Movement]:
    """Every captured charge and every refund that succeeded, of payments of ours.

    Args:
        client: of the account.
        since: from when on; None: ever. A charge counts from its reservation, which comes before its capture.

    Raises:
        Unavailable: PROVIDER_UNREACHABLE, Stripe does not answer; what was listed so far is not all.
    """
    begun: dict[str, Any] = {} if since is None else {"created": {"gte": int(since.timestamp())}}

    def charges(place: dict[str, Any]) -> Awaitable[ListObject[Charge]]:
        return client.v1.charges.list_async(cast("ChargeListParams", {**begun, **place}))

    def refunds(place: dict[str, Any]) -> Awaitable[ListObject[Refund]]:
        return client.v1.refunds.list_async(cast("RefundListParams", {**begun, **place, "expand": ["data.charge"]}))

    async for charge in _every(charges):
        key = id_in(_written(charge, PAYMENT_ID_KEY))
        if key is not None and charge.captured and charge.status == "succeeded":
            yield _movement(Direction.IN, key, _id(charge.payment_intent), charge.amount_captured, charge)
    async for refund in _every(refunds):
        paid = refund.charge
        is_ours = isinstance(paid, Charge) and id_in(_written(paid, PAYMENT_ID_KEY)) is not None
        if is_ours and refund.status == "succeeded":
            yield _movement(Direction.OUT, id_in(_written(refund, REFUND_ID_KEY)), refund.id, refund.amount, refund)


async def _every(ask: Callable[[dict[str, Any]], Awaitable[ListObject[Thing]]]) -> AsyncIterator[Thing]:
    place: dict[str, Any] = {"limit": _PAGE}
    while True:
        try:
            page = await ask(place)
        except stripe.StripeError as error:
            raise Unavailable("PROVIDER_UNREACHABLE", f"Stripe gives no statement: {type(error).__name__}") from error
        for thing in page.data:
            yield thing
        if not page.has_more or not page.data:
            return
        place = place | {"starting_after": page.data[-1].id}


def _movement(direction: Direction, key: Any, reference: str, amount: int, of: Charge | Refund) -> Movement:
    currency = of.currency.upper()
    time = datetime.fromtimestamp(of.created, UTC)
    return Movement(direction, key, reference, from_stripe(amount, currency), currency, time)


def _written(thing: Charge | Refund, key: str) -> object:
    return (thing.metadata.to_dict() if thing.metadata else {}).get(key)


def _id(named: Any) -> str:
    return str(getattr(named, "id", named))
