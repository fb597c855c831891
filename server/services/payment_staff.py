"""PaymentService: staff give money back, see to what a provider refused, and decide about what is in doubt."""

from typing import Any, TypeAlias

import grpc.aio
from sqlalchemy.orm import Session

from rowlock.v1 import payment_pb2 as pb
from rowlock.v1 import payment_pb2_grpc
from server import resources
from server.db.engine import Database
from server.domain import payment_doubts, payment_reads, refunds
from server.domain.refund_settlement import Settlement, settle
from server.domain.refunds import Amount
from server.interceptors.authentication import caller
from server.payments.wake import PAYMENTS, REFUNDS, Waker
from server.services.mutation import once
from server.services.payment_messages import payment_message, refund_message
from server.services.wire import minor_units
from server.states import RefundMethod, Resolution

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class PaymentStaffMethods(payment_pb2_grpc.PaymentServiceServicer):
    """The RPCs of staff.

    Args:
        database: where payments are.
        waker: wakes workers.
    """

    def __init__(self, database: Database, waker: Waker) -> None:
        self._database = database
        self._waker = waker

    async def RefundPayment(self, request: pb.RefundPaymentRequest, context: Context) -> pb.Refund:
        """Give money back."""
        who = caller()
        name = resources.parse_payment(request.name)
        amount = None
        if request.HasField("amount"):
            amount = Amount(minor_units(request.amount, "amount"), request.amount.currency_code)

        def work(session: Session) -> pb.Refund:
            asked = refunds.request(session, *name, amount=amount, reason=request.reason, actor_id=who.user_id)
            return refund_message(asked, staff=True)

        answer = await once(self._database, request, pb.Refund, work, scope=who.scope)
        self._waker.wake(REFUNDS)
        return answer

    async def RetryRefund(self, request: pb.RetryRefundRequest, context: Context) -> pb.Refund:
        """Have a refund that was refused tried anew."""
        name = resources.parse_refund(request.name)

        def work(session: Session) -> pb.Refund:
            return refund_message(refunds.retry(session, *name, reason=request.reason), staff=True)

        answer = await once(self._database, request, pb.Refund, work, scope=caller().scope)
        self._waker.wake(REFUNDS)
        return answer

    async def SettleRefund(self, request: pb.SettleRefundRequest, context: Context) -> pb.Refund:
        """Note that a refund was paid back in another way."""
        who = caller()
        name = resources.parse_refund(request.name)
        settlement = Settlement(RefundMethod(request.method), request.reference, request.reason, who.user_id)

        def work(session: Session) -> pb.Refund:
            return refund_message(settle(session, *name, settlement=settlement), staff=True)

        return await once(self._database, request, pb.Refund, work, scope=who.scope)

    async def ResolvePayment(self, request: pb.ResolvePaymentRequest, context: Context) -> pb.Payment:
        """Decide about money whose owner is in doubt."""
        who = caller()
        name = resources.parse_payment(request.name)

        def work(session: Session) -> pb.Payment:
            resolved = payment_doubts.resolve(
                session,
                *name,
                resolution=Resolution(request.resolution),
                reason=request.reason,
                actor_id=who.user_id,
            )
            return payment_message(payment_reads.as_shown(session, resolved), staff=True)

        answer = await once(self._database, request, pb.Payment, work, scope=who.scope)
        self._waker.wake(PAYMENTS)
        return answer
