"""Payments."""

from __future__ import annotations

from rowlock.v1 import payment_pb2, payment_pb2_grpc
from rowlock_client.rpc import Rpc

_Payments = payment_pb2_grpc.PaymentServiceStub

SIMULATOR = payment_pb2.Payment.SIMULATOR
APPROVE = payment_pb2.SimulatePaymentRequest.APPROVE


def pay(
    booking: str,
    *,
    provider: payment_pb2.Payment.Provider.ValueType = SIMULATOR,
    return_uri: str = "",
    cancel_uri: str = "",
) -> Rpc[payment_pb2.Payment]:
    """Begin to pay a held booking. Nothing is charged until the customer approves: see `approval_uri`, `simulate`.

    Args:
        booking: `performances/{performance}/bookings/{booking}`; the server takes the amount from its own prices.
        provider: who is to take the money.
        return_uri: where the provider sends the customer after the approval, https; empty: what the server has set.
        cancel_uri: where it sends a customer who changed their mind; empty: `return_uri`.
    """
    request = payment_pb2.CreatePaymentRequest(
        parent=booking,
        payment=payment_pb2.Payment(provider=provider),
        return_uri=return_uri,
        cancel_uri=cancel_uri,
    )
    return Rpc(_Payments, "CreatePayment", request)


def simulate(
    payment: str, outcome: payment_pb2.SimulatePaymentRequest.Outcome.ValueType = APPROVE
) -> Rpc[payment_pb2.Payment]:
    """Play the provider's and the customer's part for a payment with the simulator."""
    request = payment_pb2.SimulatePaymentRequest(name=payment, outcome=outcome)
    return Rpc(_Payments, "SimulatePayment", request)


def capture(payment: str) -> Rpc[payment_pb2.Payment]:
    """Take the money after the customer approved."""
    return Rpc(_Payments, "CapturePayment", payment_pb2.CapturePaymentRequest(name=payment))


def cancel_payment(payment: str) -> Rpc[payment_pb2.Payment]:
    """Give a payment up before money was taken; the booking stays held."""
    return Rpc(_Payments, "CancelPayment", payment_pb2.CancelPaymentRequest(name=payment))


def payment(name: str) -> Rpc[payment_pb2.Payment]:
    """Read a payment."""
    return Rpc(_Payments, "GetPayment", payment_pb2.GetPaymentRequest(name=name))


def payments(
    booking: str = "performances/-/bookings/-", *, page_size: int = 0, page_token: str = ""
) -> Rpc[payment_pb2.ListPaymentsResponse]:
    """List the payments of a booking, or of all bookings, newest first."""
    request = payment_pb2.ListPaymentsRequest(parent=booking, page_size=page_size, page_token=page_token)
    return Rpc(_Payments, "ListPayments", request)
