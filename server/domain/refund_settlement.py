"""Refunds that a provider refused for good, and that the house paid back in another way: in cash, by bank transfer.

Staff say so, and the refund is over: it has SUCCEEDED with a settlement, and the money that was owed has gone out of
the house's own account instead of the provider's. Whoever is faster, this or a retry, the other finds the row in the
state that the first one left under its lock. What nobody can rule out is that the provider gives the money back after
all: a worker that was stopped with its answer in hand, or a provider that changes its mind. Then the customer has it
twice, which is entered as what it is and stays with the refund until staff have sorted it out.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.payments import Payment, Refund
from server.domain import books
from server.domain.refund_attempts import tell_settled
from server.domain.shifts import count_cash_refund
from server.errors import FailedPrecondition, InvalidArgument, NotFound
from server.states import RefundMethod, RefundState


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a refund was paid back; of one that was paid twice: how what was too much came back.

    Attributes:
        method: the way.
        reference: what proves it; required unless it was cash.
        reason: why, for the record.
        actor_id: who says so.
    """

    method: RefundMethod
    reference: str
    reason: str
    actor_id: UUID


def settle(
    session: Session,
    performance_id: int,
    booking_id: UUID,
    payment_id: UUID,
    refund_id: UUID,
    *,
    settlement: Settlement,
) -> Refund:
    """Note that a refund was paid back in another way; or, of one that was paid twice, that this is sorted out.

    Args:
        session: a transaction.
        performance_id: the booking's performance.
        booking_id: the payment's booking.
        payment_id: the payment.
        refund_id: the refund.
        settlement: what staff say.

    Raises:
        NotFound: no such refund.
        FailedPrecondition: REFUND_STATE, it is under way, or done.
        InvalidArgument: no reference, where it was not cash; or CASH, where money came back.
    """
    refund = _locked(session, performance_id, refund_id)
    if refund is None or (refund.booking_id, refund.payment_id) != (booking_id, payment_id):
        raise NotFound.of(resources.refund(performance_id, booking_id, payment_id, refund_id))
    if not settlement.reference and settlement.method is not RefundMethod.CASH:
        raise InvalidArgument.of("reference", "is required: what proves that it was paid")
    if refund.state is RefundState.FAILED:
        _pay(session, refund, settlement)
    elif refund.discrepancy is not None:
        if settlement.method is RefundMethod.CASH:
            raise InvalidArgument.of("method", "cash that comes back is counted in no till: name another way")
        books.enter_surplus_settled(session, refund, settlement.method, settlement.actor_id)
        refund.discrepancy = None
        refund.update_time = database_now(session)
    else:
        raise FailedPrecondition("REFUND_STATE", f"the refund is {refund.state.name}", state=refund.state.name)
    session.flush()
    return refund


def _locked(session: Session, performance_id: int, refund_id: UUID) -> Refund | None:
    """The refund's row, which nobody else has tried anew or settles until the commit."""
    return session.get(Refund, (performance_id, refund_id), with_for_update={"key_share": True})


def _pay(session: Session, refund: Refund, settlement: Settlement) -> None:
    now = database_now(session)
    refund.state = RefundState.SUCCEEDED
    refund.error_reason = None
    refund.update_time = refund.complete_time = now
    refund.settle_method, refund.settle_reference = settlement.method, settlement.reference
    refund.settle_reason, refund.settler_id, refund.settle_time = settlement.reason, settlement.actor_id, now
    books.enter_refund_settled(session, refund, settlement.method, settlement.actor_id)
    if settlement.method is RefundMethod.CASH:
        booking_id = refund.returned_booking_id or refund.booking_id
        count_cash_refund(
            session,
            settlement.actor_id,
            refund.performance_id,
            booking_id,
            amount=refund.amount,
            currency=refund.currency,
        )
    payment = session.get_one(Payment, (refund.performance_id, refund.payment_id))
    tell_settled(session, refund, payment.customer_id)
