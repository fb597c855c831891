"""Payments and refunds as callers see them."""

from rowlock.v1 import payment_pb2
from server import resources
from server.db.models.payments import Refund
from server.domain.payment_reads import ShownPayment
from server.services.wire import money, timestamp
from server.states import PaymentState


def payment_message(shown: ShownPayment, *, owner: bool = False, staff: bool = False) -> payment_pb2.Payment:
    """A payment; ``owner`` and ``staff`` say who reads it, and so what else they are shown."""
    payment = shown.payment
    confirms = owner and payment.state is PaymentState.REQUIRES_ACTION
    bought = payment.bought_booking_id
    return payment_pb2.Payment(
        name=resources.payment(payment.performance_id, payment.booking_id, payment.id),
        booking=resources.booking(payment.performance_id, payment.booking_id),
        state=payment_pb2.Payment.State.ValueType(payment.state),
        amount=money(payment.amount, payment.currency),
        provider=payment_pb2.Payment.Provider.ValueType(payment.provider),
        provider_reference=payment.provider_reference or "",
        approval_uri=payment.approval_uri or "",
        error_reason=payment.error_reason or "",
        refunded=money(shown.refunded, payment.currency),
        create_time=timestamp(payment.create_time),
        update_time=timestamp(payment.update_time),
        complete_time=timestamp(payment.complete_time),
        bought_booking="" if bought is None else resources.booking(payment.performance_id, bought),
        client_secret=(payment.client_secret or "") if confirms else "",
        discrepancy=(payment.discrepancy or "") if staff else "",
        resolution=payment_pb2.Payment.Resolution.ValueType((payment.resolution or 0) if staff else 0),
        resolver=resources.user(payment.resolver_id) if staff and payment.resolver_id is not None else "",
        resolution_reason=(payment.resolution_reason or "") if staff else "",
        resolve_time=timestamp(payment.resolve_time) if staff else None,
    )


def refund_message(refund: Refund, *, staff: bool) -> payment_pb2.Refund:
    """A refund; who asked for it, and who settled it and why, is shown to staff."""
    booking = refund.performance_id, refund.booking_id
    return payment_pb2.Refund(
        name=resources.refund(*booking, refund.payment_id, refund.id),
        payment=resources.payment(*booking, refund.payment_id),
        amount=money(refund.amount, refund.currency),
        state=payment_pb2.Refund.State.ValueType(refund.state),
        reason=refund.reason,
        provider_reference=refund.provider_reference or "",
        error_reason=refund.error_reason or "",
        create_time=timestamp(refund.create_time),
        update_time=timestamp(refund.update_time),
        complete_time=timestamp(refund.complete_time),
        requester=resources.user(refund.actor_id) if staff and refund.actor_id is not None else "",
        tickets=[
            resources.ticket(refund.performance_id, refund.returned_booking_id or refund.booking_id, ticket_id)
            for ticket_id in refund.ticket_ids
        ],
        next_attempt_time=timestamp(refund.next_attempt_time),
        settlement=_settlement(refund, staff=staff),
        discrepancy=(refund.discrepancy or "") if staff else "",
    )


def _settlement(refund: Refund, *, staff: bool) -> payment_pb2.Refund.Settlement | None:
    if refund.settle_method is None:
        return None
    return payment_pb2.Refund.Settlement(
        method=payment_pb2.Refund.Method.ValueType(refund.settle_method),
        reference=refund.settle_reference or "",
        reason=(refund.settle_reason or "") if staff else "",
        settler=resources.user(refund.settler_id) if staff and refund.settler_id is not None else "",
        settle_time=timestamp(refund.settle_time),
    )
