"""Payments as customers drive them: begin, capture, give up; many calls in one transaction.

Nothing here speaks to a provider. What has to be said to one is written into the row (`next_attempt_time`), and a
worker does it after the commit; see ``payment_attempts``. What may be done is decided in ``payment_rules``.

When a hold waits for its payment: while the customer has the next move (CREATED, REQUIRES_ACTION) the hold's own clock
runs on, and if it runs out the payment is given up. From the moment that the customer asks for the capture until the
outcome is known (PROCESSING, UNKNOWN) the booking names the payment, and then neither runs out nor changes; so what is
paid is what was priced.

Order of locks, here and in the ledger: bookings, then payments. The number of statements does not depend on the number
of calls. The answer to a request is stored in the transaction that has its effect, as ``services.mutation`` does; of
two requests with one id the second waits for the lock of the booking, and then finds the answer to the first.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from server import resources
from server.db.ids import new_id
from server.db.models.inventory import Booking
from server.db.models.payments import Payment
from server.domain import payment_rows, payment_rules, staff_actions
from server.domain.payment_reads import ShownPayment, refunded_of, seen
from server.domain.payment_rules import BOOKING_ENDED, end_unpaid
from server.domain.staff_records import StaffRecord
from server.errors import FieldFault, InvalidArgument, NotFound, RowlockError
from server.states import OPEN_STATES, PaymentState, PerformanceState, Provider, SimulatedOutcome

Key = tuple[int, UUID]


@dataclass(frozen=True, slots=True)
class Return:
    """Where the provider sends the customer after approving, and after giving up."""

    return_uri: str | None = None
    cancel_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """Under what the answer to a request is stored, and the digest of the request."""

    scope: str
    request_id: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfBooking:
    """``owner``: whose the booking must be; None: anybody's. ``record``: what is to be recorded, if staff ask."""

    performance_id: int
    booking_id: UUID
    owner: UUID | None
    request: Remembered | None = None
    record: StaffRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin(_OfBooking):
    """Begin to pay a booking; ``providers`` are those that this installation is set up for."""

    provider: Provider
    providers: Collection[Provider]
    back: Return = Return()
    payment_id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnPayment(_OfBooking):
    payment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture(_OnPayment):
    """Have the money taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulate(_OnPayment):
    """Write the simulator its part, and have the money taken."""

    outcome: SimulatedOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp(_OnPayment):
    """End a payment before money was taken."""


PaymentCommand = Begin | Capture | Simulate | GiveUp


@dataclass(frozen=True, slots=True)
class Done:
    """A payment as a command left it, and the answer; of a repeated request only the answer that it had before."""

    payment: Payment | None
    answer: bytes


def carry_out(
    session: Session, commands: Sequence[PaymentCommand], encode: Callable[[ShownPayment], bytes]
) -> list[Done | RowlockError]:
    """Carry commands out in their order, each wholly or not at all.

    Args:
        session: a transaction.
        commands: what is asked.
        encode: makes the answer, which is stored where the command came with a request id.

    Returns:
        For each command what it did, or why it was refused: NOT_FOUND, REQUEST_ID_REUSED, or what ``payment_rules``
        raises.
    """
    state = _load(session, commands)
    outcomes: list[Done | RowlockError] = []
    for command in commands:
        try:
            outcomes.append(_carry_out(state, command, encode))
        except RowlockError as refusal:
            outcomes.append(refusal)
    payment_rows.insert_new(session, list(state.new.values()))
    payment_rows.update(session, [payment for key, payment in state.changed.items() if key not in state.new])
    payment_rows.update_bookings(session, list(state.waiting.values()))
    payment_rows.write_scripts(session, state.scripts)
    payment_rows.remember(session, [(key, *answer) for key, answer in state.remembered.items()])
    staff_actions.write(session, state.records)
    return outcomes


def alone(session: Session, command: PaymentCommand) -> Payment:
    """Carry one command out, for whoever has a session of their own, and return the payment.

    Raises:
        RowlockError: it was refused.
    """
    (outcome,) = carry_out(session, [command], lambda _: b"")
    if isinstance(outcome, RowlockError):
        raise outcome
    assert outcome.payment is not None, "without a request id nothing is repeated"  # noqa: S101
    return outcome.payment


def give_up_abandoned(session: Session, limit: int) -> int:
    """End payments that wait for the customer of a booking that is over; return how many.

    Not those that the customer approves at the provider: they may have done so, and the provider is asked first. See
    ``payment_openings``.
    """
    now, abandoned = payment_rows.lock_abandoned(session, limit)
    for payment in abandoned:
        payment.error_reason = BOOKING_ENDED
        end_unpaid(payment, now)
    return len(abandoned)


@dataclass(slots=True)
class _State:
    """The working copy: what is locked and read, and what has to be written of it."""

    now: datetime
    bookings: dict[Key, Booking]
    payments: dict[Key, Payment]
    performances: dict[int, PerformanceState]
    refunded: dict[UUID, int]
    answers: dict[tuple[str, str], tuple[bytes, bytes]]
    by_booking: dict[Key, list[Payment]] = field(default_factory=dict)
    new: dict[Key, Payment] = field(default_factory=dict)
    changed: dict[Key, Payment] = field(default_factory=dict)
    waiting: dict[Key, Booking] = field(default_factory=dict)
    scripts: dict[UUID, SimulatedOutcome] = field(default_factory=dict)
    remembered: dict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)
    records: list[StaffRecord] = field(default_factory=list)

    def open_payment(self, booking: Key) -> UUID | None:
        """The booking's payment that is not over."""
        of_booking = self.by_booking.get(booking, ())
        return next((payment.id for payment in of_booking if payment.state in OPEN_STATES), None)

    def add(self, payment: Payment) -> None:
        """A new payment."""
        named = (payment.performance_id, payment.id)
        self.payments[named] = self.new[named] = payment
        self.by_booking.setdefault((payment.performance_id, payment.booking_id), []).append(payment)


def _load(session: Session, commands: Sequence[PaymentCommand]) -> _State:
    keys = sorted({(command.performance_id, command.booking_id) for command in commands})
    bookings = payment_rows.lock_bookings(session, keys)
    named = {command.payment_id for command in commands if not isinstance(command, Begin)}
    payments = payment_rows.lock_payments(session, keys, named)
    requests = [command.request for command in commands if command.request is not None]
    now, answers = payment_rows.read_facts(session, [(one.scope, one.request_id) for one in requests])
    begun = {command.performance_id for command in commands if isinstance(command, Begin)}
    by_booking: dict[Key, list[Payment]] = {}
    for payment in payments.values():
        by_booking.setdefault((payment.performance_id, payment.booking_id), []).append(payment)
    return _State(
        now=now,
        bookings=bookings,
        payments=payments,
        performances=payment_rows.performance_states(session, begun) if begun else {},
        refunded=refunded_of(session, list(payments.values())),
        answers=answers,
        by_booking=by_booking,
    )


def _carry_out(state: _State, command: PaymentCommand, encode: Callable[[ShownPayment], bytes]) -> Done:
    request = command.request
    if request is not None and (earlier := state.answers.get((request.scope, request.request_id))) is not None:
        return Done(None, _same(request, *earlier))
    payment = _begin(state, command) if isinstance(command, Begin) else _on_payment(state, command)
    answer = encode(ShownPayment(payment, state.refunded.get(payment.id, 0)))
    if request is not None:
        key = (request.scope, request.request_id)
        state.answers[key] = state.remembered[key] = (request.fingerprint, answer)
    return Done(payment, answer)


def _same(request: Remembered, fingerprint: bytes, answer: bytes) -> bytes:
    if fingerprint == request.fingerprint:
        return answer
    raise InvalidArgument(
        "REQUEST_ID_REUSED",
        "this request_id was used for another request",
        fields=[FieldFault("request_id", "was used for another request; take a new one")],
    )


def _begin(state: _State, command: Begin) -> Payment:
    key = (command.performance_id, command.booking_id)
    booking = state.bookings.get(key)
    if booking is None or command.owner not in (None, booking.customer_id):
        raise NotFound.of(resources.booking(*key))
    payment = Payment(
        performance_id=command.performance_id,
        id=command.payment_id,
        booking_id=booking.id,
        provider=command.provider,
        return_uri=command.back.return_uri,
        cancel_uri=command.back.cancel_uri,
    )
    payment_rules.begin(
        booking,
        payment,
        performance=state.performances.get(command.performance_id),
        open_payment=state.open_payment(key),
        providers=command.providers,
        now=state.now,
    )
    state.add(payment)
    _record(state, command)
    if booking.payment_id == payment.id:
        state.waiting[key] = booking
    return payment


def _on_payment(state: _State, command: Capture | Simulate | GiveUp) -> Payment:
    key, named = (command.performance_id, command.booking_id), (command.performance_id, command.payment_id)
    payment = seen(state.payments.get(named), *key, command.payment_id, command.owner)
    booking = state.bookings[key]
    if not _apply(state, command, booking, payment):
        return payment
    state.changed[named] = payment
    _record(state, command)
    if payment.state is PaymentState.PROCESSING:
        state.waiting[key] = booking
    return payment


def _record(state: _State, command: PaymentCommand) -> None:
    """Note what changed, if staff did it."""
    if command.record is not None:
        state.records.append(command.record)


def _apply(state: _State, command: Capture | Simulate | GiveUp, booking: Booking, payment: Payment) -> bool:
    """Do what is asked; whether that changed anything."""
    match command:
        case GiveUp():
            return payment_rules.give_up(payment, state.now)
        case Simulate():
            payment_rules.simulate(booking, payment, state.now)
            state.scripts[payment.id] = command.outcome
            return True
        case Capture():
            return payment_rules.capture(booking, payment, state.now)
