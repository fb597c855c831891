"""What may be done with a payment, and what it does: decided over rows that the caller has locked.

Nothing here reads or writes the database. A function that raises has changed nothing; one that returns has changed only
the objects that it was given. Who locks and writes them: ``payments`` for many calls of customers at once,
``payment_attempts`` and ``payment_openings`` for workers.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from server import resources
from server.db.models.inventory import Booking
from server.db.models.payments import Payment
from server.domain.bookings import booking_of, touch_booking
from server.errors import FailedPrecondition, Unavailable
from server.states import BookingState, PaymentState, PerformanceState, Provider

CUSTOMERS_MOVE: Final = frozenset({PaymentState.CREATED, PaymentState.REQUIRES_ACTION})
"""The states in which nothing was charged, and nothing will be unless the customer asks for it."""

BOOKING_ENDED: Final = "BOOKING_ENDED"
"""The reason of a payment that was given up because its booking had ended."""

_FOR_THE_CREATION: Final = timedelta(seconds=1)
"""For how long a capture is left to the worker that was telling the provider of the payment when it was asked for."""

_TAKEN: Final = frozenset({PaymentState.PROCESSING, PaymentState.SUCCEEDED})


def begin(
    booking: Booking,
    payment: Payment,
    *,
    performance: PerformanceState | None,
    open_payment: UUID | None,
    providers: Collection[Provider],
    now: datetime,
) -> None:
    """Begin to pay a booking: what it costs is the booking's own total.

    A booking that costs nothing is captured at once, by nobody: then it does not matter who is set up.

    Args:
        booking: the booking.
        payment: the new payment, which names the booking, the provider and the ways back.
        performance: the state of its performance.
        open_payment: the booking's payment that is not over.
        providers: those that this installation is set up for.
        now: the time.

    Raises:
        FailedPrecondition: HOLD_EXPIRED, BOOKING_STATE, BOOKING_EMPTY, PERFORMANCE_CANCELLED, PAYMENT_IN_FLIGHT or
            PROVIDER_NOT_CONFIGURED.
    """
    require_payable(booking, now)
    if performance is PerformanceState.CANCELLED:
        raise FailedPrecondition("PERFORMANCE_CANCELLED", "the performance was cancelled")
    if open_payment is not None:
        raise _in_flight(booking, open_payment)
    amount = sum(booking.prices)
    if amount and payment.provider not in providers:
        raise not_configured(payment.provider)
    payment.state = PaymentState.CREATED
    payment.amount, payment.currency = amount, booking.currency
    payment.customer_id = booking.customer_id
    payment.attempt_count = 0
    payment.next_attempt_time = payment.create_time = payment.update_time = now
    if amount == 0:
        begin_capture(booking, payment, now)


def capture(booking: Booking, payment: Payment, now: datetime) -> bool:
    """Have the money taken; False: it is being taken or was taken, and nothing changes.

    Raises:
        FailedPrecondition: PAYMENT_FAILED, PAYMENT_STATE (given up, or the booking was changed since), HOLD_EXPIRED,
            BOOKING_STATE or BOOKING_EMPTY.
        Unavailable: PROVIDER_UNREACHABLE, the provider has not said yet what became of it.
    """
    if payment.state in _TAKEN:
        return False
    _require_customers_move(payment)
    require_payable(booking, now)
    if not is_price_of(payment, booking):
        raise FailedPrecondition(
            "PAYMENT_STATE",
            "the booking was changed since this payment was made: cancel it and make another",
            state=payment.state.name,
        )
    begin_capture(booking, payment, now)
    return True


def simulate(booking: Booking, payment: Payment, now: datetime) -> None:
    """Have the money of a payment with the simulator taken.

    Raises:
        FailedPrecondition: PROVIDER_NOT_CONFIGURED (it is not with the simulator), PAYMENT_STATE (it is being taken or
            was taken), or what ``capture`` raises.
        Unavailable: PROVIDER_UNREACHABLE.
    """
    if payment.provider is not Provider.SIMULATOR:
        raise not_configured(payment.provider)
    if not capture(booking, payment, now):
        raise _wrong_state(payment)


def give_up(payment: Payment, now: datetime) -> bool:
    """End a payment before money was taken; False: it was given up already, and nothing changes.

    Raises:
        FailedPrecondition: PAYMENT_FAILED or PAYMENT_STATE.
        Unavailable: PROVIDER_UNREACHABLE.
    """
    if payment.state is PaymentState.CANCELLED:
        return False
    if payment.state in _TAKEN:
        raise _wrong_state(payment)
    _require_customers_move(payment)
    end_unpaid(payment, now)
    return True


def begin_capture(booking: Booking, payment: Payment, now: datetime) -> None:
    """The money of a payment is to be taken, and its booking waits for it."""
    # A worker that is making the payment known to its provider goes on with the capture by itself.
    is_being_created = payment.state is PaymentState.CREATED and payment.attempt_count > 0
    if payment.state is PaymentState.REQUIRES_ACTION:
        payment.attempt_count = 0  # those before only asked whether the customer had made their move
    payment.state = PaymentState.PROCESSING
    payment.capture_time = payment.update_time = now
    payment.next_attempt_time = now + _FOR_THE_CREATION if is_being_created else now
    attach(booking, payment.id, now)


def end_unpaid(payment: Payment, now: datetime) -> None:
    """End a payment before money was taken."""
    payment.state = PaymentState.CANCELLED
    # The provider is told, lest somebody approves there what is over here; unless it never heard of the payment.
    was_heard_of = payment.attempt_count or payment.provider_reference
    payment.next_attempt_time = now if was_heard_of else None
    payment.update_time = payment.complete_time = now
    payment.compare_after_time = now if was_heard_of else None


def attach(booking: Booking, payment_id: UUID, now: datetime) -> None:
    """Have a booking wait for this payment: it neither runs out nor changes until the outcome is known."""
    booking.payment_id = payment_id
    touch_booking(booking, now)


def detach(booking: Booking | None, payment_id: UUID, now: datetime) -> None:
    """Let a booking that waits for this payment go its own way again: its clock runs."""
    if booking is not None and booking.state is BookingState.HELD and booking.payment_id == payment_id:
        booking.payment_id = None
        touch_booking(booking, now)


def is_price_of(payment: Payment, booking: Booking) -> bool:
    """Whether the payment is over what the booking costs by now."""
    return (payment.amount, payment.currency) == (sum(booking.prices), booking.currency)


def require_payable(booking: Booking, now: datetime) -> None:
    """Return if a payment of the booking may begin, or be captured.

    Raises:
        FailedPrecondition: HOLD_EXPIRED, BOOKING_STATE, PAYMENT_IN_FLIGHT or BOOKING_EMPTY.
    """
    if booking.state is BookingState.EXPIRED or booking_of(booking).has_run_out(now):
        raise FailedPrecondition(
            "HOLD_EXPIRED", "the hold of this booking has run out", expire_time=booking.hold_expire_time.isoformat()
        )
    if booking.state is not BookingState.HELD:
        raise FailedPrecondition("BOOKING_STATE", f"the booking is {booking.state.name}", state=booking.state.name)
    if booking.payment_id is not None:
        raise _in_flight(booking, booking.payment_id)
    if not booking.places:
        raise FailedPrecondition("BOOKING_EMPTY", "the booking has no places")


def not_configured(provider: Provider) -> FailedPrecondition:
    """The answer where this installation does not have the provider."""
    return FailedPrecondition(
        "PROVIDER_NOT_CONFIGURED", f"this server is not set up for {provider.name}", provider=provider.name
    )


def payment_failed(payment: Payment) -> FailedPrecondition:
    """The answer about a payment that the provider declined."""
    return FailedPrecondition(
        "PAYMENT_FAILED",
        "the provider declined the payment; the booking is held until its time runs out: try again, or another way",
        payment=resources.payment(payment.performance_id, payment.booking_id, payment.id),
        cause=payment.error_reason or "",
    )


def _require_customers_move(payment: Payment) -> None:
    if payment.state in CUSTOMERS_MOVE:
        return
    if payment.state is PaymentState.UNKNOWN:
        raise Unavailable(
            "PROVIDER_UNREACHABLE", "the provider has not said yet what became of this payment", retry_after=5
        )
    if payment.state is PaymentState.FAILED:
        raise payment_failed(payment)
    raise _wrong_state(payment)


def _wrong_state(payment: Payment) -> FailedPrecondition:
    return FailedPrecondition("PAYMENT_STATE", f"the payment is {payment.state.name}", state=payment.state.name)


def _in_flight(booking: Booking, payment_id: UUID) -> FailedPrecondition:
    return FailedPrecondition(
        "PAYMENT_IN_FLIGHT",
        "a payment of this booking is under way: wait for it, or cancel it",
        payment=resources.payment(booking.performance_id, booking.id, payment_id),
    )
