"""Payments as customers drive them: begin, capture, give up, read.

Nothing here speaks to a provider. What has to be said to one is written into the row (`next_attempt_time`), and a
worker does it after the commit; see ``payment_attempts``.

When a hold waits for its payment: while the customer has the next move (CREATED, REQUIRES_ACTION) the hold's own clock
runs on, and if it runs out the payment is given up. From the moment that the customer asks for the capture until the
outcome is known (PROCESSING, UNKNOWN) the booking names the payment, and then neither runs out nor changes; so what is
paid is what was priced.

Order of locks, here and in the ledger: the booking, then its payments.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.ids import new_id
from server.db.models.catalogue import Performance
from server.db.models.inventory import Booking
from server.db.models.payments import Payment
from server.domain.bookings import booking_of, lock_booking, touch_booking
from server.domain.payment_reads import seen
from server.errors import FailedPrecondition, NotFound, Unavailable
from server.payments.simulator import CAPTURE, script
from server.states import (
    OPEN_STATES,
    BookingState,
    PaymentState,
    PerformanceState,
    Provider,
    SimulatedOutcome,
)

CUSTOMERS_MOVE: Final = frozenset({PaymentState.CREATED, PaymentState.REQUIRES_ACTION})
"""The states in which nothing was charged, and nothing will be unless the customer asks for it."""

BOOKING_ENDED: Final = "BOOKING_ENDED"
"""The reason of a payment that was given up because its booking had ended."""


@dataclass(frozen=True, slots=True)
class Return:
    """Where the provider sends the customer after approving, and after giving up."""

    return_uri: str | None = None
    cancel_uri: str | None = None


def begin(
    session: Session,
    performance_id: int,
    booking_id: UUID,
    owner: UUID | None,
    *,
    provider: Provider,
    providers: Collection[Provider],
    back: Return,
) -> Payment:
    """Begin to pay a booking: what it costs is the booking's own total.

    A booking that costs nothing is captured at once, by nobody: then it does not matter who is set up.

    Args:
        session: a transaction.
        performance_id: the booking's performance.
        booking_id: the booking.
        owner: whose it must be; None: anybody's.
        provider: who is to move the money.
        providers: those that this installation is set up for.
        back: where the provider sends the customer.

    Raises:
        NotFound: the booking is absent, or not the owner's.
        FailedPrecondition: HOLD_EXPIRED, BOOKING_STATE, BOOKING_EMPTY, PERFORMANCE_CANCELLED, PAYMENT_IN_FLIGHT or
            PROVIDER_NOT_CONFIGURED.
    """
    booking = _locked_booking(session, performance_id, booking_id, owner)
    now, state, open_payment = session.execute(_facts(performance_id, booking_id)).one()
    _require_payable(booking, now)
    if state is PerformanceState.CANCELLED:
        raise FailedPrecondition("PERFORMANCE_CANCELLED", "the performance was cancelled")
    if open_payment is not None:
        raise _in_flight(performance_id, booking_id, open_payment)
    amount = sum(booking.prices)
    if amount and provider not in providers:
        raise not_configured(provider)
    payment = Payment(
        performance_id=performance_id,
        id=new_id(),
        booking_id=booking_id,
        customer_id=booking.customer_id,
        provider=provider,
        state=PaymentState.CREATED,
        amount=amount,
        currency=booking.currency,
        return_uri=back.return_uri,
        cancel_uri=back.cancel_uri,
        next_attempt_time=now,
        create_time=now,
        update_time=now,
    )
    session.add(payment)
    if amount == 0:
        begin_capture(booking, payment, now)
    session.flush()
    return payment


def capture(session: Session, performance_id: int, booking_id: UUID, payment_id: UUID, owner: UUID | None) -> Payment:
    """Have the money taken; one that is being taken or was taken is returned as it is.

    Raises:
        NotFound: the payment is absent, or not the owner's.
        FailedPrecondition: PAYMENT_FAILED, PAYMENT_STATE (given up, or the booking was changed since), HOLD_EXPIRED,
            BOOKING_STATE or BOOKING_EMPTY.
        Unavailable: PROVIDER_UNREACHABLE, the provider has not said yet what became of it.
    """
    booking, payment = _locked(session, performance_id, booking_id, payment_id, owner)
    if payment.state not in (PaymentState.PROCESSING, PaymentState.SUCCEEDED):
        _capture(session, booking, payment)
    return payment


def _capture(session: Session, booking: Booking, payment: Payment) -> None:
    _require_customers_move(payment)
    now = database_now(session)
    _require_payable(booking, now)
    if (sum(booking.prices), booking.currency) != (payment.amount, payment.currency):
        raise FailedPrecondition(
            "PAYMENT_STATE",
            "the booking was changed since this payment was made: cancel it and make another",
            state=payment.state.name,
        )
    begin_capture(booking, payment, now)
    session.flush()


def simulate(
    session: Session,
    performance_id: int,
    booking_id: UUID,
    payment_id: UUID,
    *,
    owner: UUID | None,
    outcome: SimulatedOutcome,
) -> Payment:
    """Write the simulator its part, and have the money taken.

    Raises:
        NotFound: the payment is absent, or not the owner's.
        FailedPrecondition: PROVIDER_NOT_CONFIGURED (it is not with the simulator), PAYMENT_STATE (it is being taken or
            was taken), or what ``capture`` raises.
        Unavailable: PROVIDER_UNREACHABLE.
    """
    booking, payment = _locked(session, performance_id, booking_id, payment_id, owner)
    if payment.provider is not Provider.SIMULATOR:
        raise not_configured(payment.provider)
    if payment.state in (PaymentState.PROCESSING, PaymentState.SUCCEEDED):
        raise _wrong_state(payment)
    _capture(session, booking, payment)
    script(session, payment_id, CAPTURE, outcome)
    return payment


def give_up(session: Session, performance_id: int, booking_id: UUID, payment_id: UUID, owner: UUID | None) -> Payment:
    """End a payment before money was taken; one that was given up already is returned as it is.

    Raises:
        NotFound: the payment is absent, or not the owner's.
        FailedPrecondition: PAYMENT_FAILED or PAYMENT_STATE.
        Unavailable: PROVIDER_UNREACHABLE.
    """
    _, payment = _locked(session, performance_id, booking_id, payment_id, owner)
    if payment.state is PaymentState.CANCELLED:
        return payment
    if payment.state in (PaymentState.PROCESSING, PaymentState.SUCCEEDED):
        raise _wrong_state(payment)
    _require_customers_move(payment)
    end_unpaid(payment, database_now(session))
    session.flush()
    return payment


def give_up_abandoned(session: Session, limit: int) -> int:
    """End payments that wait for the customer of a booking that is over; return how many."""
    abandoned = session.scalars(
        select(Payment)
        .join(Booking, (Booking.performance_id == Payment.performance_id) & (Booking.id == Payment.booking_id))
        .where(
            Payment.state.in_(CUSTOMERS_MOVE),
            Booking.state != BookingState.HELD,
            # Otherwise the customer may have made their move at the provider, who is asked first: see payment_openings.
            Payment.approval_uri.is_(None),
            Payment.client_secret.is_(None),
        )
        .limit(limit)
        .with_for_update(of=Payment, skip_locked=True)
    ).all()
    now = database_now(session)
    for payment in abandoned:
        payment.error_reason = BOOKING_ENDED
        end_unpaid(payment, now)
    return len(abandoned)


def detach(booking: Booking | None, payment_id: UUID, now: datetime) -> None:
    """Let a locked booking that waits for this payment go its own way again: its clock runs."""
    if booking is not None and booking.state is BookingState.HELD and booking.payment_id == payment_id:
        booking.payment_id = None
        touch_booking(booking, now)


def attach(booking: Booking, payment_id: UUID, now: datetime) -> None:
    """Have a locked booking wait for this payment: it neither runs out nor changes until the outcome is known."""
    booking.payment_id = payment_id
    touch_booking(booking, now)


def lock_payment(session: Session, performance_id: int, payment_id: UUID) -> Payment | None:
    """A payment's row, locked; lock its booking first."""
    return session.get(Payment, (performance_id, payment_id), with_for_update={"key_share": True})


def _facts(performance_id: int, booking_id: UUID) -> Select[datetime, PerformanceState | None, UUID | None]:
    """The time, the performance's state and the booking's payment that is not over; read after the locks are held."""
    performance = select(Performance.state).where(Performance.id == performance_id)
    payment = select(Payment.id).where(
        Payment.performance_id == performance_id,
        Payment.booking_id == booking_id,
        Payment.state.in_(OPEN_STATES),
    )
    return select(func.clock_timestamp(), performance.scalar_subquery(), payment.scalar_subquery())


def begin_capture(booking: Booking, payment: Payment, now: datetime) -> None:
    """The money of a locked payment is to be taken, and its booking waits for it."""
    if payment.state is PaymentState.REQUIRES_ACTION:
        payment.attempt_count = 0  # those before only asked whether the customer had made their move
    payment.state = PaymentState.PROCESSING
    payment.capture_time = payment.next_attempt_time = payment.update_time = now
    attach(booking, payment.id, now)


def end_unpaid(payment: Payment, now: datetime) -> None:
    """End a locked payment before money was taken."""
    payment.state = PaymentState.CANCELLED
    # The provider is told, lest somebody approves there what is over here; unless it never heard of the payment.
    was_heard_of = payment.attempt_count or payment.provider_reference
    payment.next_attempt_time = now if was_heard_of else None
    payment.update_time = payment.complete_time = now
    payment.compare_after_time = now if was_heard_of else None


def _require_payable(booking: Booking, now: datetime) -> None:
    if booking.state is BookingState.EXPIRED or booking_of(booking).has_run_out(now):
        raise FailedPrecondition(
            "HOLD_EXPIRED", "the hold of this booking has run out", expire_time=booking.hold_expire_time.isoformat()
        )
    if booking.state is not BookingState.HELD:
        raise FailedPrecondition("BOOKING_STATE", f"the booking is {booking.state.name}", state=booking.state.name)
    if booking.payment_id is not None:
        raise _in_flight(booking.performance_id, booking.id, booking.payment_id)
    if not booking.places:
        raise FailedPrecondition("BOOKING_EMPTY", "the booking has no places")


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
        payment=_name(payment),
        cause=payment.error_reason or "",
    )


def _wrong_state(payment: Payment) -> FailedPrecondition:
    return FailedPrecondition("PAYMENT_STATE", f"the payment is {payment.state.name}", state=payment.state.name)


def _in_flight(performance_id: int, booking_id: UUID, payment_id: UUID) -> FailedPrecondition:
    return FailedPrecondition(
        "PAYMENT_IN_FLIGHT",
        "a payment of this booking is under way: wait for it, or cancel it",
        payment=resources.payment(performance_id, booking_id, payment_id),
    )


def _name(payment: Payment) -> str:
    return resources.payment(payment.performance_id, payment.booking_id, payment.id)


def _locked_booking(session: Session, performance_id: int, booking_id: UUID, owner: UUID | None) -> Booking:
    booking = lock_booking(session, performance_id, booking_id)
    if booking is None or owner not in (None, booking.customer_id):
        raise NotFound.of(resources.booking(performance_id, booking_id))
    return booking


def _locked(
    session: Session, performance_id: int, booking_id: UUID, payment_id: UUID, owner: UUID | None
) -> tuple[Booking, Payment]:
    booking = lock_booking(session, performance_id, booking_id)
    payment = seen(lock_payment(session, performance_id, payment_id), performance_id, booking_id, payment_id, owner)
    assert booking is not None, "a payment names its booking, and neither is ever deleted"  # noqa: S101
    return booking, payment
