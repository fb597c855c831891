"""PaymentService: customers pay for their bookings.

No call here speaks to a provider: it writes down what is to be said, and wakes a worker. What providers tell by
webhooks is taken in by ``payment_webhooks``, and what staff do is in ``payment_staff``.
"""

import time
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import grpc.aio

from rowlock.v1 import payment_pb2 as pb
from server import resources
from server.db.combining import Combined
from server.db.engine import Database, deadline
from server.db.ids import new_id
from server.domain import bookings, payment_reads, refund_reads
from server.domain.payment_reads import ShownPayment
from server.domain.payment_rules import not_configured, payment_failed
from server.domain.payments import Begin, Capture, Done, GiveUp, PaymentCommand, Remembered, Return, Simulate, carry_out
from server.errors import NotFound, RowlockError, Unavailable
from server.interceptors.access import require_scope
from server.interceptors.authentication import Caller, caller
from server.payments.wake import PAYMENTS, Waker
from server.seats.commands import Confirm
from server.seats.ledger import Ledger
from server.services.fingerprints import fingerprint
from server.services.key_quotas import charged
from server.services.paging import page_of
from server.services.payment_messages import payment_message, refund_message
from server.services.payment_outcomes import PaymentOutcomes
from server.services.payment_staff import PaymentStaffMethods
from server.services.staff_recording import record_of
from server.services.standing import owner_of
from server.states import ConfirmedBy, KeyQuota, PaymentState, Provider, RefundState, SimulatedOutcome

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_ANY: Final = "-"
_LONGEST_WAIT: Final = 5.0
_FOR_THE_ANSWER: Final = 0.2
"""Seconds of the caller's deadline that are left for the way back."""


class PaymentService(PaymentStaffMethods):
    """The servicer; what staff do has a file of its own.

    Args:
        database: where payments are.
        ledger: confirms bookings that cost nothing.
        waker: wakes workers.
        providers: those that this installation is set up for.
    """

    def __init__(self, database: Database, ledger: Ledger, waker: Waker, providers: Collection[Provider]) -> None:
        super().__init__(database, waker)
        self._ledger = ledger
        self._providers = frozenset(providers)
        self._outcomes = PaymentOutcomes(database)
        self._commands: Combined[PaymentCommand, Done] = Combined(
            database, lambda session, commands: carry_out(session, commands, _encoded)
        )

    async def CreatePayment(self, request: pb.CreatePaymentRequest, context: Context) -> pb.Payment:
        """Begin to pay a booking."""
        who = caller()
        performance_id, booking_id = resources.parse_booking(request.parent, "parent")
        payment_id = new_id()
        begin = Begin(
            performance_id=performance_id,
            booking_id=booking_id,
            payment_id=payment_id,
            owner=owner_of(who),
            provider=Provider(request.payment.provider),
            providers=self._providers,
            back=Return(request.return_uri or None, request.cancel_uri or None),
            request=_remembered(request, who),
            record=record_of(request, resources.payment(performance_id, booking_id, payment_id)),
        )
        answer = await charged(
            self._database,
            who,
            KeyQuota.SOLD_PLACES,
            amount=await self._places(who, performance_id, booking_id),
            # Of the booking: a second try to pay for it sells no more places than the first.
            reference=lambda: request.parent,
            work=lambda: self._change(who, begin),
        )
        if answer.state == pb.Payment.PROCESSING:
            return await self._confirm_free(who, answer)
        return answer

    async def _places(self, who: Caller, performance_id: int, booking_id: UUID) -> int:
        """How many places are to be paid for, where anybody counts them."""
        if not who.has_quotas:
            return 0
        booking = await self._database.read(
            lambda session: bookings.get_booking(session, performance_id, booking_id, owner_of(who))
        )
        return len(booking.places)

    async def CapturePayment(self, request: pb.CapturePaymentRequest, context: Context) -> pb.Payment:
        """Have the money taken."""
        who = caller()
        return await self._change(who, Capture(**_named(request, who)))

    async def CancelPayment(self, request: pb.CancelPaymentRequest, context: Context) -> pb.Payment:
        """Give a payment up."""
        who = caller()
        return await self._change(who, GiveUp(**_named(request, who)))

    async def SimulatePayment(self, request: pb.SimulatePaymentRequest, context: Context) -> pb.Payment:
        """Play the customer's and the provider's part, and wait a little for what comes of it."""
        who = caller()
        if Provider.SIMULATOR not in self._providers:
            raise not_configured(Provider.SIMULATOR)
        outcome = SimulatedOutcome(request.outcome or SimulatedOutcome.RANDOM)
        command = Simulate(**_named(request, who), outcome=outcome)
        await self._change(who, command)
        return await self._outcome(command)

    async def GetPayment(self, request: pb.GetPaymentRequest, context: Context) -> pb.Payment:
        """Read a payment."""
        who = caller()
        name = resources.parse_payment(request.name)
        await self._require_scope(who, name[0])
        shown = await self._read(who, name)
        return payment_message(shown, owner=shown.payment.customer_id == who.user_id, staff=owner_of(who) is None)

    async def ListPayments(self, request: pb.ListPaymentsRequest, context: Context) -> pb.ListPaymentsResponse:
        """List payments, newest first."""
        who = caller()
        performance_id, booking_id = await self._listed(who, request.parent)
        page = page_of(request, datetime, UUID, scope=str(owner_of(who)))
        found = await self._database.read(
            lambda session: payment_reads.list_payments(
                session,
                performance_id=performance_id,
                booking_id=booking_id,
                owner=owner_of(who),
                state=PaymentState(request.state) if request.state else None,
                only_discrepancies=request.only_discrepancies and owner_of(who) is None,
                after=page.after,
                limit=page.limit,
            )
        )
        rows, token = page.cut(found.payments, lambda shown: (shown.payment.create_time, shown.payment.id))
        return pb.ListPaymentsResponse(
            payments=[payment_message(row, staff=owner_of(who) is None) for row in rows],
            next_page_token=token,
            total_size=found.total,
        )

    async def GetRefund(self, request: pb.GetRefundRequest, context: Context) -> pb.Refund:
        """Read a refund."""
        who = caller()
        name = resources.parse_refund(request.name)
        await self._require_scope(who, name[0])
        refund = await self._database.read(lambda session: refund_reads.get(session, *name, owner=owner_of(who)))
        return refund_message(refund, staff=owner_of(who) is None)

    async def ListRefunds(self, request: pb.ListRefundsRequest, context: Context) -> pb.ListRefundsResponse:
        """List refunds, newest first."""
        who = caller()
        parent, _, payment = request.parent.rpartition("/payments/")
        performance_id, booking_id = await self._listed(who, parent)
        page = page_of(request, datetime, UUID, scope=str(owner_of(who)))
        found = await self._database.read(
            lambda session: refund_reads.list_refunds(
                session,
                performance_id=performance_id,
                booking_id=booking_id,
                payment_id=None if payment == _ANY else UUID(payment),
                owner=owner_of(who),
                state=RefundState(request.state) if request.state else None,
                only_discrepancies=request.only_discrepancies and owner_of(who) is None,
                after=page.after,
                limit=page.limit,
            )
        )
        rows, token = page.cut(found.refunds, lambda refund: (refund.create_time, refund.id))
        return pb.ListRefundsResponse(
            refunds=[refund_message(refund, staff=owner_of(who) is None) for refund in rows],
            next_page_token=token,
            total_size=found.total,
        )

    async def _change(self, who: Caller, command: PaymentCommand) -> pb.Payment:
        """Change a payment once, however often the request comes, and wake a worker."""
        await self._require_scope(who, command.performance_id)
        done = await self._commands(command)
        self._waker.wake(PAYMENTS)
        return pb.Payment.FromString(done.answer)

    async def _confirm_free(self, who: Caller, answer: pb.Payment) -> pb.Payment:
        """Confirm a booking that costs nothing; if that fails here, a worker does it."""
        name = resources.parse_payment(answer.name)
        performance_id, booking_id, payment_id = name
        try:
            await self._ledger.execute(
                Confirm(
                    performance_id=performance_id,
                    booking_id=booking_id,
                    actor_id=None,
                    staff=True,
                    confirmed_by=ConfirmedBy.PROVIDER,
                    payment_id=payment_id,
                )
            )
        except RowlockError:
            self._waker.wake(PAYMENTS)
        return payment_message(await self._read(who, name))

    async def _outcome(self, command: Simulate) -> pb.Payment:
        """The payment when its outcome is known, or when the caller should not wait any longer.

        Raises:
            FailedPrecondition: PAYMENT_FAILED.
            Unavailable: PROVIDER_UNREACHABLE, the provider went silent.
        """
        shown = await self._outcomes.wait(command.performance_id, command.payment_id, _patience())
        if shown.payment.state is PaymentState.FAILED:
            raise payment_failed(shown.payment)
        if shown.payment.state is PaymentState.UNKNOWN:
            raise Unavailable(
                "PROVIDER_UNREACHABLE",
                "the provider did not answer; it is being asked what became of the payment",
                retry_after=5,
            )
        return payment_message(shown)

    async def _read(self, who: Caller, name: tuple[int, UUID, UUID]) -> ShownPayment:
        return await self._database.read(lambda session: payment_reads.get(session, *name, owner_of(who)))

    async def _listed(self, who: Caller, parent: str) -> tuple[int | None, UUID | None]:
        """The performance and the booking that a list is narrowed to; None: all.

        Raises:
            NotFound: the performance is absent, or the booking is, or it is another customer's.
        """
        performance, _, booking = parent.rpartition("/bookings/")
        booking_id = None if booking == _ANY else UUID(booking)
        if performance == resources.ANY_PERFORMANCE:
            require_scope(who, (performance,))
            return None, booking_id
        performance_id = resources.parse_performance(performance, "parent")
        if await self._ledger.rules(performance_id) is None:
            raise NotFound.of(performance)
        await self._require_scope(who, performance_id)
        if booking_id is not None:
            named = booking_id
            await self._database.read(
                lambda session: bookings.get_booking(session, performance_id, named, owner_of(who))
            )
        return performance_id, booking_id

    async def _require_scope(self, who: Caller, performance_id: int) -> None:
        if who.scopes:
            names = await self._database.read(lambda session: bookings.names_covering(session, performance_id))
            require_scope(who, names)


def _named(request: Any, who: Caller) -> dict[str, Any]:
    """What every command on a payment carries."""
    performance_id, booking_id, payment_id = resources.parse_payment(request.name)
    return {
        "performance_id": performance_id,
        "booking_id": booking_id,
        "payment_id": payment_id,
        "owner": owner_of(who),
        "request": _remembered(request, who),
        "record": record_of(request),
    }


def _remembered(request: Any, who: Caller) -> Remembered | None:
    if not request.request_id:
        return None
    return Remembered(who.scope, request.request_id, fingerprint(request, b""))


def _encoded(shown: ShownPayment) -> bytes:
    return payment_message(shown).SerializeToString()


def _patience() -> float:
    """Seconds for which a call may wait for an outcome and still answer in time."""
    end = deadline.get()
    left = _LONGEST_WAIT if end is None else end - time.monotonic() - _FOR_THE_ANSWER
    return min(left, _LONGEST_WAIT)
