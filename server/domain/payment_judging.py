"""What is to become of money that a provider took: decided over values. Pure.

Whose money it is comes first. The provider was told our name of the payment, and says with the money whose it is (M4).
If it names another payment, or none while the amount is another, somebody else's money may be in our hands: nothing is
sold for it, and none of it goes back to somebody to whom it may not belong. Staff decide; see ``payment_doubts``. Only
when it is certain whose it is, the amount is looked at: the right one buys what was priced, any other goes back.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from server.domain.payment_attempts import Attempt
from server.payments.port import Captured, PaymentOrder
from server.states import PaymentState, Resolution

_DECIDED_AS_OURS: Final = frozenset({Resolution.OURS, Resolution.GIVE_BACK})


class Fate(Enum):
    """What becomes of captured money."""

    BUYS = "buys"
    """The booking is confirmed by it; or else it buys the same places late, or goes back."""
    GOES_BACK = "goes back"
    WAITS = "waits"
    """For staff: it is in doubt whose it is."""
    IS_NOT_OURS = "is not ours"
    """Staff have said so."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of the money, and why, where it does not buy anything."""

    fate: Fate
    reason: str = ""


def judge(attempt: Attempt, answer: Captured) -> Judgement:
    """Decide what becomes of what the provider took (M1, M4)."""
    order, decided = attempt.order, attempt.resolution
    doubt = doubt_about(order, answer)
    if doubt is not None and decided not in _DECIDED_AS_OURS:
        return Judgement(Fate.IS_NOT_OURS if decided is Resolution.NOT_OURS else Fate.WAITS, doubt)
    if decided is Resolution.GIVE_BACK:
        return Judgement(Fate.GOES_BACK, "GIVEN_BACK_BY_STAFF")
    if (answer.amount, answer.currency) != (order.amount, order.currency):
        return Judgement(
            Fate.GOES_BACK,
            f"AMOUNT_MISMATCH: {answer.amount} {answer.currency} was taken, {order.amount} {order.currency} was asked "
            "for",
        )
    if attempt.state is PaymentState.CANCELLED and not attempt.abandoned:
        return Judgement(Fate.GOES_BACK, "PAYMENT_CANCELLED")
    return Judgement(Fate.BUYS)


def doubt_about(order: PaymentOrder, answer: Captured) -> str | None:
    """Why it is in doubt whose money was taken; None: it is not."""
    if answer.payment_id not in (None, order.payment_id):
        return f"REFERENCE_MISMATCH: the provider took {_amount(answer)} for payment {answer.payment_id}"
    if order.reference is not None and answer.reference != order.reference:
        return f"REFERENCE_MISMATCH: the provider took {_amount(answer)} by {answer.reference}, not {order.reference}"
    if answer.payment_id is None and (answer.amount, answer.currency) != (order.amount, order.currency):
        return (
            f"REFERENCE_UNKNOWN: the provider took {_amount(answer)} and does not say for what, "
            f"{order.amount} {order.currency} was asked for"
        )
    return None


def _amount(answer: Captured) -> str:
    return f"{answer.amount} {answer.currency}"
