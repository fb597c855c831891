"""EventService: ticket types."""

from typing import Final

from google.protobuf.empty_pb2 import Empty
from sqlalchemy.orm import Session

from rowlock.v1 import ticket_type_pb2 as pb
from server import resources
from server.domain import ticket_types
from server.domain.ticket_types import TicketTypeValues, TicketTypeView
from server.services.catalogue_messages import ticket_type_message
from server.services.event_parts import Context, EventServiceParts, by_staff, view_scope
from server.services.field_mask import apply, paths_of
from server.services.paging import page_of
from server.services.wire import minor_units, time_in

_WRITABLE: Final = (
    "display_name",
    "description",
    "price",
    "zones",
    "quantity",
    "sale_start_time",
    "sale_end_time",
    "customer_limit",
    "position",
)


class TicketTypeMethods(EventServiceParts):
    """The RPCs of ticket types."""

    async def CreateTicketType(self, request: pb.CreateTicketTypeRequest, context: Context) -> pb.TicketType:
        """Make a ticket type."""
        performance_id = resources.parse_performance(request.parent, "parent")
        values = _values(request.ticket_type)

        def work(session: Session) -> pb.TicketType:
            return ticket_type_message(ticket_types.create(session, performance_id, values))

        return await self._once(request, pb.TicketType, work)

    async def GetTicketType(self, request: pb.GetTicketTypeRequest, context: Context) -> pb.TicketType:
        """Read a ticket type."""
        performance_id, kind = resources.parse_ticket_type(request.name)
        staff = by_staff()
        return await self._database.read(
            lambda session: ticket_type_message(ticket_types.get(session, performance_id, kind, staff=staff))
        )

    async def ListTicketTypes(self, request: pb.ListTicketTypesRequest, context: Context) -> pb.ListTicketTypesResponse:
        """List the ticket types of a performance by position."""
        performance_id = resources.parse_performance(request.parent, "parent")
        staff = by_staff()
        page = page_of(request, int, int, scope=view_scope(staff=staff))
        found = await self._database.read(
            lambda session: ticket_types.page(session, performance_id, staff=staff, after=page.after, limit=page.limit)
        )
        rows, next_page_token = page.cut(found.rows, key=lambda view: (view.ticket_type.position, view.ticket_type.id))
        return pb.ListTicketTypesResponse(
            ticket_types=map(ticket_type_message, rows), next_page_token=next_page_token, total_size=found.total
        )

    async def UpdateTicketType(self, request: pb.UpdateTicketTypeRequest, context: Context) -> pb.TicketType:
        """Change a ticket type; what is held and sold keeps its price."""
        performance_id, kind = resources.parse_ticket_type(request.ticket_type.name, "ticket_type.name")
        paths = paths_of(request.update_mask, request.ticket_type, _WRITABLE)

        def work(session: Session) -> pb.TicketType:
            ticket_type = ticket_types.lock(session, performance_id, kind, request.ticket_type.etag)
            wanted = ticket_type_message(TicketTypeView(ticket_type, 0))
            apply(paths, request.ticket_type, wanted)
            return ticket_type_message(ticket_types.update(session, ticket_type, _values(wanted)))

        return await self._once(request, pb.TicketType, work)

    async def DeleteTicketType(self, request: pb.DeleteTicketTypeRequest, context: Context) -> Empty:
        """Delete a ticket type that no booking ever used."""
        performance_id, kind = resources.parse_ticket_type(request.name)

        def work(session: Session) -> Empty:
            ticket_types.delete(session, performance_id, kind, request.etag)
            return Empty()

        return await self._once(request, Empty, work)


def _values(ticket_type: pb.TicketType) -> TicketTypeValues:
    return TicketTypeValues(
        display_name=ticket_type.display_name,
        description=ticket_type.description,
        price=minor_units(ticket_type.price, "ticket_type.price"),
        currency=ticket_type.price.currency_code,
        zones=tuple(ticket_type.zones),
        quantity=ticket_type.quantity if ticket_type.HasField("quantity") else None,
        sale_start_time=time_in(ticket_type, "sale_start_time"),
        sale_end_time=time_in(ticket_type, "sale_end_time"),
        customer_limit=ticket_type.customer_limit if ticket_type.HasField("customer_limit") else None,
        position=ticket_type.position,
    )
