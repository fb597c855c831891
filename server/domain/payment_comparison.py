"""Payments that are over, compared with the provider's books some time later: what nobody told us is found here.

A payment that failed or was given up and was captured after all is late money like any other. What only staff can sort
out, such as a refund made by hand in the provider's own web pages, stays on the payment as its ``discrepancy``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.orm import Session

from server.db.clock import statement_time
from server.db.models.payments import MADE_BY_PROVIDER, Payment, Refund
from server.domain.payment_attempts import Attempt, attempt_of
from server.payments.port import Cancelled, Captured, Declined, Open
from server.states import PaymentState, RefundState

_UNDER_WAY: Final = (RefundState.REQUESTED, RefundState.PROCESSING)
_FAILS_WITHIN: Final = timedelta(days=30)
"""For how long a refund that was done may fail: its bank sends the money back."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A payment to compare.

    Attributes:
        attempt: the payment.
        refunded: what went back of it by our books; None: something is under way, so compare it later.
        refund_age: how long ago its provider made the newest refund of it; None: it made none.
        lease_time: what its schedule says while it is ours; if somebody changed it, it is to be compared anew.
    """

    attempt: Attempt
    refunded: int | None
    refund_age: timedelta | None
    lease_time: datetime | None


def take_comparable(session: Session, limit: int, after: timedelta, lease: timedelta) -> Sequence[Comparison]:
    """Take up payments that ended ``after`` ago and were not compared; nobody else does for ``lease``.

    Payments that the provider never heard of have nothing to compare.
    """
    due = (
        select(Payment.performance_id, Payment.id)
        .where(Payment.compare_after_time <= statement_time() - after, Payment.next_attempt_time.is_(None))
        .order_by(Payment.compare_after_time)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    keys = [tuple(key) for key in session.execute(due)]
    if not keys:
        return ()
    taken = session.scalars(
        update(Payment)
        .where(tuple_(Payment.performance_id, Payment.id).in_(keys))
        .values(compare_after_time=func.clock_timestamp() - after + lease, update_time=Payment.update_time)
        .returning(Payment),
        execution_options={"synchronize_session": False, "populate_existing": True},
    ).all()
    refunds = session.execute(
        select(
            Refund.payment_id,
            func.coalesce(func.sum(Refund.amount).filter(MADE_BY_PROVIDER), 0),
            func.coalesce(func.bool_or(Refund.state.in_(_UNDER_WAY)), False),
            statement_time() - func.max(Refund.complete_time).filter(MADE_BY_PROVIDER),
        )
        .where(tuple_(Refund.performance_id, Refund.payment_id).in_(keys))
        .group_by(Refund.payment_id)
    )
    refunded = {payment_id: (None if under_way else int(total), age) for payment_id, total, under_way, age in refunds}
    return [
        Comparison(attempt_of(payment), *refunded.get(payment.id, (0, None)), payment.compare_after_time)
        for payment in taken
    ]


def discrepancy(comparison: Comparison, answer: Captured | Declined | Open | Cancelled) -> str | None:
    """What the provider's books say otherwise; None: nothing. Pure.

    Args:
        comparison: what our books say.
        answer: what the provider's say; ``Captured`` of a payment that did not succeed is not for here.
    """
    order = comparison.attempt.order
    if comparison.attempt.state is not PaymentState.SUCCEEDED:
        return None
    if not isinstance(answer, Captured):
        return f"NOT_CAPTURED: by the provider's books nothing was taken ({type(answer).__name__.lower()})"
    if (answer.amount, answer.currency) != (order.amount, order.currency):
        return f"AMOUNT: the provider took {answer.amount} {answer.currency}, not {order.amount} {order.currency}"
    if answer.refunded is not None and answer.refunded != comparison.refunded:
        return f"REFUNDS: the provider gave {answer.refunded} {order.currency} back, we know of {comparison.refunded}"
    return None


def compared(session: Session, comparison: Comparison, found: str | None, after: timedelta) -> None:
    """A payment was compared; what was found stays with it until a later comparison finds nothing.

    One that was refunded is compared again, when its newest refund is three times as old: refunds may fail for weeks.
    """
    age = comparison.refund_age
    again = None
    if age is not None and age < _FAILS_WITHIN:
        again = func.clock_timestamp() - after + max(2 * age, after)
    _update(session, comparison, compare_after_time=again, discrepancy=found)


def compare_later(session: Session, comparison: Comparison, after: timedelta, wait: timedelta) -> None:
    """The provider did not say, or something was under way: compare it in ``wait``."""
    _update(session, comparison, compare_after_time=func.clock_timestamp() - after + wait)


def _update(session: Session, comparison: Comparison, **values: object) -> None:
    attempt = comparison.attempt
    session.execute(
        update(Payment)
        .where(
            Payment.performance_id == attempt.performance_id,
            Payment.id == attempt.order.payment_id,
            Payment.compare_after_time == comparison.lease_time,
        )
        .values(**values, update_time=Payment.update_time),
        execution_options={"synchronize_session": False},
    )
