"""What is said to a provider of one payment, made from its row."""

from server import resources
from server.db.models.payments import Payment
from server.payments.port import PaymentOrder


def order_of(payment: Payment) -> PaymentOrder:
    """The payment as its provider has to know it."""
    return PaymentOrder(
        payment_id=payment.id,
        amount=payment.amount,
        currency=payment.currency,
        reference=payment.provider_reference,
        return_uri=payment.return_uri,
        cancel_uri=payment.cancel_uri,
        name=resources.payment(payment.performance_id, payment.booking_id, payment.id),
        capture_reference=payment.capture_reference,
    )
