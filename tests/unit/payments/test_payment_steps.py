"""What a worker asks a provider next, and how long it waits: decided by values alone."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from server.domain.payment_attempts import Attempt, Step, next_step, wait_before
from server.payments.port import PaymentOrder
from server.states import PaymentState, Provider, Resolution


def attempt(state: PaymentState, *, known: bool, number: int = 1) -> Attempt:
    order = PaymentOrder(uuid4(), 2500, "EUR", "REF-1" if known else None)
    return Attempt(1, uuid4(), Provider.SIMULATOR, state, order, number, None)


@pytest.mark.parametrize(
    ("state", "known", "number", "step"),
    [
        (PaymentState.CREATED, False, 1, Step.CREATE),
        (PaymentState.CREATED, False, 5, Step.CREATE),
        (PaymentState.PROCESSING, False, 1, Step.CREATE),
        (PaymentState.PROCESSING, True, 1, Step.CAPTURE),
        # Another worker was at it and may have captured: ask first.
        (PaymentState.PROCESSING, True, 2, Step.FIND),
        (PaymentState.UNKNOWN, True, 2, Step.FIND),
        (PaymentState.CANCELLED, True, 1, Step.CANCEL),
        # It may have been created by a call whose answer was lost: the same key finds it, and then it is cancelled.
        (PaymentState.CANCELLED, False, 2, Step.CREATE),
        # The customer may have made their move at the provider, and a failure may turn out to be none.
        (PaymentState.REQUIRES_ACTION, True, 1, Step.FIND),
        (PaymentState.FAILED, True, 1, Step.FIND),
        (PaymentState.FAILED, False, 1, Step.NOTHING),
        (PaymentState.SUCCEEDED, True, 1, Step.NOTHING),
    ],
)
def test_the_next_question(state: PaymentState, known: bool, number: int, step: Step) -> None:
    assert next_step(attempt(state, known=known, number=number)) is step


@pytest.mark.parametrize("state", [PaymentState.UNKNOWN, PaymentState.PROCESSING, PaymentState.CANCELLED])
def test_what_staff_decided_is_done_to_what_the_provider_has_and_nothing_is_taken_for_it(state: PaymentState) -> None:
    decided = replace(attempt(state, known=True), resolution=Resolution.OURS)
    assert next_step(decided) is Step.FIND


def test_waits_double_up_to_five_minutes() -> None:
    waits = [wait_before(number, timedelta(seconds=5)).total_seconds() for number in (0, 1, 2, 3, 6, 7, 8, 1000)]
    assert waits == [5, 5, 10, 20, 160, 300, 300, 300]
