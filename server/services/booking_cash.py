"""BookingService: cash that customers are owed at the box office."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from rowlock.v1 import booking_pb2 as pb
from server import resources
from server.domain import books, cash_dues
from server.domain.cash_dues import CashDue
from server.interceptors.authentication import caller
from server.services.booking_parts import BookingServiceParts, Context
from server.services.mutation import once
from server.services.paging import page_of
from server.services.wire import money, timestamp


class CashMethods(BookingServiceParts):
    """The RPCs of owed cash."""

    async def PayOutCash(self, request: pb.PayOutCashRequest, context: Context) -> pb.PayOutCashResponse:
        """Note that cash was handed out."""
        who = caller()
        performance_id, booking_id = resources.parse_booking(request.name)

        def work(session: Session) -> pb.PayOutCashResponse:
            paid = books.pay_cash_out(session, performance_id, booking_id, who.user_id)
            return pb.PayOutCashResponse(amount=money(paid.amount, paid.currency))

        return await once(self._database, request, pb.PayOutCashResponse, work, scope=who.scope)

    async def ListCashDue(self, request: pb.ListCashDueRequest, context: Context) -> pb.ListCashDueResponse:
        """List who is owed cash."""
        performance_id = await self._listed_performance(caller(), request.parent)
        page = page_of(request, datetime, UUID)
        found = await self._database.read(
            lambda session: cash_dues.list_cash_due(
                session, performance_id=performance_id, after=page.after, limit=page.limit
            )
        )
        shown, next_page_token = page.cut(found.dues, lambda due: (due.due_time, due.booking_id))
        return pb.ListCashDueResponse(
            cash_due=map(_message, shown), next_page_token=next_page_token, total_size=found.total
        )


def _message(due: CashDue) -> pb.CashDue:
    return pb.CashDue(
        booking=resources.booking(due.performance_id, due.booking_id),
        customer=resources.user(due.customer_id),
        amount=money(due.amount, due.currency),
        due_time=timestamp(due.due_time),
    )
