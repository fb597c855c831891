"""Tickets as pages to print."""

from google.api.httpbody_pb2 import HttpBody
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin import CustomView, route

from console.calling import call
from console.tables import short
from rowlock.v1 import ticket_pb2
from rowlock.v1.booking_pb2_grpc import BookingServiceStub
from rowlock_client.rpc import Rpc


class TicketDocuments(CustomView):
    """Has no page of its own: bookings lead to it."""

    path = "/ticket-document"
    add_to_menu = False

    @route("", name="ticket-document")
    async def index(self, request: Request) -> Response:
        """The ticket of the parameter `name`, as PDF."""
        name = request.query_params.get("name", "")
        wanted = ticket_pb2.GetTicketDocumentRequest(name=name)
        body: HttpBody = await call(request, Rpc(BookingServiceStub, "GetTicketDocument", wanted))
        disposition = f'inline; filename="ticket-{short(name)}.pdf"'
        return Response(body.data, media_type=body.content_type, headers={"content-disposition": disposition})
