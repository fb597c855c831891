"""What becomes of money that a provider took: first whose it is, then whether it is enough. Values alone."""

from uuid import UUID, uuid4

import pytest

from server.domain.payment_attempts import Attempt
from server.domain.payment_judging import Fate, judge
from server.payments.port import Captured, PaymentOrder
from server.states import PaymentState, Provider, Resolution

OURS, ANOTHERS = uuid4(), uuid4()
STILL_IN_DOUBT = (None, Resolution.ASK_AGAIN)


def attempt(resolution: Resolution | None = None, **facts: object) -> Attempt:
    order = PaymentOrder(OURS, 2500, "EUR", "REF-1")
    values = {"state": PaymentState.UNKNOWN, "number": 2, "capture_time": None, "resolution": resolution} | facts
    return Attempt(1, uuid4(), Provider.PAYPAL, order=order, **values)  # type: ignore[arg-type]


def taken(payment_id: UUID | None = OURS, amount: int = 2500, currency: str = "EUR", by: str = "REF-1") -> Captured:
    return Captured(by, amount, currency, payment_id=payment_id)


@pytest.mark.parametrize("whose", [OURS, None])
def test_the_right_amount_buys(whose: UUID | None) -> None:
    assert judge(attempt(), taken(whose)).fate is Fate.BUYS


@pytest.mark.parametrize(("amount", "currency"), [(2499, "EUR"), (25_000, "EUR"), (2500, "USD"), (0, "EUR")])
def test_another_amount_of_ours_goes_back(amount: int, currency: str) -> None:
    judgement = judge(attempt(), taken(amount=amount, currency=currency))
    assert judgement.fate is Fate.GOES_BACK
    assert judgement.reason == f"AMOUNT_MISMATCH: {amount} {currency} was taken, 2500 EUR was asked for"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (taken(ANOTHERS), "REFERENCE_MISMATCH"),
        (taken(ANOTHERS, amount=99), "REFERENCE_MISMATCH"),
        (taken(by="REF-2"), "REFERENCE_MISMATCH"),
        (taken(None, amount=99), "REFERENCE_UNKNOWN"),
    ],
)
@pytest.mark.parametrize("resolution", STILL_IN_DOUBT)
@pytest.mark.parametrize("state", [PaymentState.UNKNOWN, PaymentState.CANCELLED, PaymentState.FAILED])
def test_money_that_may_be_anothers_waits(
    answer: Captured, word: str, resolution: Resolution | None, state: PaymentState
) -> None:
    judgement = judge(attempt(resolution, state=state), answer)
    assert judgement.fate is Fate.WAITS
    assert judgement.reason.startswith(word)


@pytest.mark.parametrize(
    ("resolution", "answer", "fate"),
    [
        (Resolution.OURS, taken(ANOTHERS), Fate.BUYS),
        (Resolution.OURS, taken(ANOTHERS, amount=99), Fate.GOES_BACK),
        (Resolution.GIVE_BACK, taken(ANOTHERS), Fate.GOES_BACK),
        (Resolution.GIVE_BACK, taken(), Fate.GOES_BACK),
        (Resolution.NOT_OURS, taken(ANOTHERS), Fate.IS_NOT_OURS),
        # The provider has put its books right, and says itself whose it is.
        (Resolution.NOT_OURS, taken(), Fate.BUYS),
        (Resolution.ASK_AGAIN, taken(), Fate.BUYS),
    ],
)
def test_what_staff_decided_holds(resolution: Resolution, answer: Captured, fate: Fate) -> None:
    assert judge(attempt(resolution), answer).fate is fate


def test_money_for_what_the_customer_gave_up_goes_back_and_what_only_ran_out_may_still_buy() -> None:
    given_up = attempt(state=PaymentState.CANCELLED)
    assert judge(given_up, taken()).reason == "PAYMENT_CANCELLED"
    assert judge(attempt(state=PaymentState.CANCELLED, abandoned=True), taken()).fate is Fate.BUYS
