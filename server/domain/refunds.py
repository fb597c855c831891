"""Refunds are asked for in a transaction of ours, done by a worker, and never forgotten. Here: who asks for one.

A refund is asked for by a cancellation or by returned tickets (the ledger writes the row), by money that came in too
late, or by staff. Under the lock of the payment it is counted what was asked back before, so no more goes back than
came in (M3). What workers then do with it is in ``refund_attempts``; what a provider refuses for good is still owed,
counts as asked for, and waits for staff to have it tried anew, here, or to settle it (``refund_settlement``).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.ids import new_id
from server.db.models.payments import Payment, Refund
from server.domain import books
from server.domain.bookings import lock_booking
from server.domain.payment_rows import lock_payment
from server.domain.refund_attempts import recheck
from server.errors import FailedPrecondition, FieldFault, InvalidArgument, NotFound
from server.states import Account, PaymentState, RefundState

_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Amount:
    """Minor units of a currency."""

    amount: int
    currency: str


def request(
    session: Session,
    performance_id: int,
    booking_id: UUID,
    payment_id: UUID,
    *,
    amount: Amount | None,
    reason: str,
    actor_id: UUID,
) -> Refund:
    """Ask for a refund as staff do, over every policy.

    Args:
        session: a transaction.
        performance_id: of the payment.
        booking_id: the one that was paid.
        payment_id: what is to be given back.
        amount: how much, in minor units of the payment's currency; None: all that is left.
        reason: why, in words of staff; they are mailed to the customer.
        actor_id: who asks.

    Raises:
        NotFound: no such payment.
        FailedPrecondition: PAYMENT_STATE (no money was taken) or REFUND_EXCEEDS_PAYMENT.
        InvalidArgument: CURRENCY_MISMATCH, an amount of zero, or no reason.
    """
    if not reason:
        raise InvalidArgument.of("reason", "is required: it is kept with the refund")
    lock_booking(session, performance_id, booking_id)
    payment = lock_payment(session, performance_id, payment_id)
    if payment is None or payment.booking_id != booking_id:
        raise NotFound.of(resources.payment(performance_id, booking_id, payment_id))
    if payment.state is not PaymentState.SUCCEEDED:
        raise FailedPrecondition("PAYMENT_STATE", f"the payment is {payment.state.name}", state=payment.state.name)
    if amount is not None and amount.currency != payment.currency:
        said = f"the payment was in {payment.currency}"
        fault = FieldFault("amount.currency_code", said)
        raise InvalidArgument("CURRENCY_MISMATCH", said, fields=[fault], currency=payment.currency)
    if amount is not None and amount.amount == 0:
        raise InvalidArgument.of("amount", "must be more than nothing")
    rest = _rest(session, payment)
    wanted = rest if amount is None else amount.amount
    if wanted > rest or rest == 0:
        raise FailedPrecondition(
            "REFUND_EXCEEDS_PAYMENT", f"{rest} minor units of it are left to be refunded", refundable=str(rest)
        )
    return _add(session, payment, wanted, reason, actor_id)


def request_rest(session: Session, payment: Payment, *, reason: str) -> None:
    """Ask for all that was not refunded of a payment that succeeded; its booking and it are locked."""
    rest = _rest(session, payment)
    if rest:
        _add(session, payment, rest, reason, None)


def retry(
    session: Session, performance_id: int, booking_id: UUID, payment_id: UUID, refund_id: UUID, *, reason: str
) -> Refund:
    """Have a refund that was refused tried anew; one that is under way or done is returned as it is.

    The provider is asked with a new key: it would answer the old one as it did before, without looking. Of one that was
    done it is asked at once whether it stands: people hear of money that came back before machines do.

    Args:
        session: a transaction.
        performance_id: the booking's performance.
        booking_id: the payment's booking.
        payment_id: the payment.
        refund_id: the refund.
        reason: what is different now, added to the refund's own; empty: nothing to say.

    Raises:
        NotFound: no such refund.
    """
    refund = session.get(Refund, (performance_id, refund_id), with_for_update={"key_share": True})
    if refund is None or (refund.booking_id, refund.payment_id) != (booking_id, payment_id):
        raise NotFound.of(resources.refund(performance_id, booking_id, payment_id, refund_id))
    if refund.state is RefundState.FAILED:
        now = database_now(session)
        refund.state = RefundState.REQUESTED
        refund.provider_key = new_id()
        refund.reason = f"{refund.reason}; {reason}" if reason else refund.reason
        refund.attempt_count = 0
        refund.next_attempt_time = refund.update_time = now
        refund.complete_time = None
        session.flush()
    elif refund.state is RefundState.SUCCEEDED:
        recheck(session, [refund], _LONG_AGO)
    return refund


def _add(session: Session, payment: Payment, amount: int, reason: str, actor_id: UUID | None) -> Refund:
    now = database_now(session)
    refund_id = new_id()
    refund = Refund(
        performance_id=payment.performance_id,
        id=refund_id,
        booking_id=payment.booking_id,
        payment_id=payment.id,
        provider=payment.provider,
        provider_key=refund_id,
        ticket_ids=[],
        state=RefundState.REQUESTED,
        amount=amount,
        currency=payment.currency,
        reason=reason,
        actor_id=actor_id,
        next_attempt_time=now,
        create_time=now,
        update_time=now,
    )
    session.add(refund)
    out_of = Account.SALES if books.bought_something(session, payment) else Account.SUSPENSE
    books.enter_refund_asked(session, refund, out_of=out_of)
    session.flush()
    return refund


def _rest(session: Session, payment: Payment) -> int:
    """What was not asked back yet; what a provider refused is still owed, and not left."""
    given = session.scalar(
        select(func.coalesce(func.sum(Refund.amount), 0)).where(
            Refund.performance_id == payment.performance_id,
            Refund.payment_id == payment.id,
        )
    )
    return payment.amount - int(given or 0)
