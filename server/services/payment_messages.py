"""Payments and refunds as callers see them."""

from rowlock.v1 import payment_pb2
from server import resources
from server.db.models.payments import Refund
from server.domain.payment_reads import ShownPayment
from server.services.wire import money, timestamp


def payment_message(shown: ShownPayment) -> payment_pb2.Payment:
    """A payment."""
    payment = shown.payment
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
    )


def refund_message(refund: Refund) -> payment_pb2.Refund:
    """A refund."""
    return payment_pb2.Refund(
        name=resources.refund(refund.performance_id, refund.booking_id, refund.payment_id, refund.id),
        payment=resources.payment(refund.performance_id, refund.booking_id, refund.payment_id),
        amount=money(refund.amount, refund.currency),
        state=payment_pb2.Refund.State.ValueType(refund.state),
        reason=refund.reason,
        provider_reference=refund.provider_reference or "",
        error_reason=refund.error_reason or "",
        create_time=timestamp(refund.create_time),
        update_time=timestamp(refund.update_time),
        complete_time=timestamp(refund.complete_time),
    )
