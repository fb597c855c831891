"""BookingService: tickets as their owners have them: listed, read, printed, mailed again."""

from typing import Final
from uuid import UUID

from google.api.httpbody_pb2 import HttpBody
from sqlalchemy.orm import Session

from rowlock.v1 import ticket_pb2 as pb
from server import resources
from server.domain import bookings, ticket_mail, tickets
from server.interceptors.authentication import caller
from server.payments.wake import MAIL
from server.services.booking_messages import ticket_message
from server.services.booking_parts import BookingServiceParts, Context
from server.services.mutation import once
from server.services.paging import page_of
from server.services.standing import owner_of
from server.states import TicketState

_ANY: Final = "-"


class TicketMethods(BookingServiceParts):
    """The RPCs of tickets."""

    async def ListTickets(self, request: pb.ListTicketsRequest, context: Context) -> pb.ListTicketsResponse:
        """List tickets, those of the newest booking first."""
        who = caller()
        performance, _, booking = request.parent.rpartition("/bookings/")
        performance_id = await self._listed_performance(who, performance)
        booking_id = None if booking == _ANY else UUID(booking)
        owner = owner_of(who)
        page = page_of(request, UUID, int, scope=str(owner))
        keys = self._keys()

        def work(session: Session) -> pb.ListTicketsResponse:
            found = bookings.list_tickets(
                session,
                performance_id=performance_id,
                booking_id=booking_id,
                owner=owner,
                state=TicketState(request.state) if request.state else None,
                after=page.after,
                limit=page.limit,
            )
            shown, next_page_token = page.cut(found.tickets, lambda ticket: (ticket.booking_id, ticket.place))
            halls = self._halls.of_performances(session, (ticket.performance_id for ticket in shown))
            # Made here, off the event loop: a signature for each code.
            return pb.ListTicketsResponse(
                tickets=[ticket_message(ticket, halls[ticket.performance_id], keys) for ticket in shown],
                next_page_token=next_page_token,
                total_size=found.total,
            )

        return await self._database.read(work)

    async def GetTicket(self, request: pb.GetTicketRequest, context: Context) -> pb.Ticket:
        """Read a ticket with its code."""
        who = caller()
        performance_id, booking_id, ticket_id = resources.parse_ticket(request.name)
        hall = (await self._rules(performance_id)).hall
        await self._require_scope(who, performance_id)
        keys = self._keys()
        return await self._database.read(
            lambda session: ticket_message(
                bookings.get_ticket(session, performance_id, booking_id, ticket_id, owner_of(who)), hall, keys
            )
        )

    async def GetTicketDocument(self, request: pb.GetTicketDocumentRequest, context: Context) -> HttpBody:
        """Make a ticket's page to print, or its entry for a calendar."""
        who = caller()
        performance_id, booking_id, ticket_id = resources.parse_ticket(request.name)
        await self._require_scope(who, performance_id)
        keys = self._keys()
        admission = await self._database.read(
            lambda session: tickets.admission(
                session, performance_id, booking_id, ticket_id, owner=owner_of(who), keys=keys, halls=self._halls
            )
        )
        if request.format == pb.GetTicketDocumentRequest.ICALENDAR:
            # An evening stands in a calendar once, with all its places.
            beside = await self._database.read(
                lambda session: tickets.admissions(session, performance_id, booking_id, keys=keys, halls=self._halls)
            )
            entry = await self._printing.calendar_entry(beside or [admission])
            return HttpBody(content_type="text/calendar; charset=utf-8", data=entry)
        return HttpBody(content_type="application/pdf", data=await self._printing.pdf(admission))

    async def ResendTickets(self, request: pb.ResendTicketsRequest, context: Context) -> pb.ResendTicketsResponse:
        """Have a booking's tickets mailed again."""
        who = caller()
        performance_id, booking_id = resources.parse_booking(request.name)
        await self._require_scope(who, performance_id)
        owner = owner_of(who)
        address = await self._database.read(
            lambda session: ticket_mail.address(session, performance_id, booking_id, owner)
        )
        await self._mail_limit.admit(address)

        def work(session: Session) -> pb.ResendTicketsResponse:
            message = ticket_mail.mail_again(session, performance_id, booking_id, owner)
            return pb.ResendTicketsResponse(notification=resources.notification(message))

        answer = await once(self._database, request, pb.ResendTicketsResponse, work, scope=who.scope)
        self._waker.wake(MAIL)
        return answer
