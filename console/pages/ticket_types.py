"""Ticket types of a performance: what a place costs, and for whom."""

from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.requests import Request
from starlette_admin.exceptions import FormValidationError
from starlette_admin.fields import IntegerField, StringField, TextAreaField

from console import choices
from console.calling import call
from console.form_fields import Choosing, Lines, OpenedWith, lines, plain, price, update
from console.known import labels
from console.local_times import LocalMoment, in_zone
from console.messages import fill
from console.narrowing import Named, Narrowing
from console.records import Record
from console.resources import RpcView
from rowlock.v1 import performance_pb2, ticket_type_pb2
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock_client.rpc import Rpc

_TIMES = ("sale_start_time", "sale_end_time")


class TicketTypes(RpcView[ticket_type_pb2.TicketType]):
    """The ticket types of one performance, in their order."""

    key = "ticket-types"
    menu_label = "Ticket types"
    display_name = "ticket type"
    icon = "fa fa-tag"
    list_template = "ticket_types.html"
    fields = (
        StringField("name", label="Ticket type", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        Choosing(
            "performance",
            view="performances",
            text="performance_label",
            choices=choices.performances,
            required=True,
            exclude_from_edit=True,
        ),
        StringField("display_name", label="Name", required=True, maxlength=100, help_text="Such as Adult."),
        TextAreaField("description", maxlength=1000, exclude_from_list=True),
        StringField("price", required=True, placeholder="12.50 EUR"),
        Lines("zones", label="Price zones", help_text="Whose places it can buy, one a line. Empty: all."),
        IntegerField("quantity", min=1, help_text="How many are sold at most. Empty: as many as there are places."),
        IntegerField("claimed", label="Taken", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        LocalMoment(
            "sale_start_time", label="Sold from", exclude_from_list=True, help_text="Empty: with the performance."
        ),
        LocalMoment(
            "sale_end_time", label="Sold until", exclude_from_list=True, help_text="Empty: with the performance."
        ),
        IntegerField("customer_limit", label="Places a customer", exclude_from_list=True, min=1, max=1000),
        IntegerField("position", min=0, max=10_000, help_text="Its place among the others."),
        OpenedWith(),
    )
    narrowing: ClassVar[tuple[Narrowing, ...]] = (
        Named("performance", "Performance", "performances", choices.performances),
    )

    async def narrow(self, request: Request, narrowed: dict[str, str]) -> Mapping[str, str] | None:
        """Only of one performance."""
        return narrowed if narrowed["performance"] else None

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[ticket_type_pb2.ListTicketTypesResponse]:
        """Of one performance."""
        parent = narrowed["performance"]
        return Rpc(EventServiceStub, "ListTicketTypes", ticket_type_pb2.ListTicketTypesRequest(parent=parent))

    def get_rpc(self, name: str) -> Rpc[ticket_type_pb2.TicketType]:
        """One."""
        return Rpc(EventServiceStub, "GetTicketType", ticket_type_pb2.GetTicketTypeRequest(name=name))

    async def record(self, request: Request, message: ticket_type_pb2.TicketType) -> Record[ticket_type_pb2.TicketType]:
        """With its performance and the zone of its clocks."""
        performance = message.name.partition("/ticketTypes/")[0]
        known = await labels(request, [performance])
        zone = await self._zone(request, performance)
        return Record(message, performance=performance, performance_label=known[performance], time_zone=zone)

    async def make(self, request: Request, data: dict[str, Any]) -> ticket_type_pb2.TicketType:
        """A new one."""
        parent = data["performance"]
        if not parent:
            raise FormValidationError({"performance": "Choose the performance that it is sold for."})
        times = in_zone(data, _TIMES, await self._zone(request, parent))
        made = ticket_type_pb2.TicketType()
        fill(made, {**_values(data), **times})
        wanted = ticket_type_pb2.CreateTicketTypeRequest(parent=parent, ticket_type=made)
        return await call(request, Rpc(EventServiceStub, "CreateTicketType", wanted))

    async def change(self, request: Request, record: Any, data: dict[str, Any]) -> ticket_type_pb2.TicketType:
        """Its terms; what is held and sold keeps its price."""
        times = in_zone(data, _TIMES, record.time_zone, record)
        return await update(
            request,
            record.proto,
            {**_values(data), **times},
            lambda changed, mask: Rpc(
                EventServiceStub,
                "UpdateTicketType",
                ticket_type_pb2.UpdateTicketTypeRequest(ticket_type=changed, update_mask=mask),
            ),
        )

    async def remove(self, request: Request, name: str) -> None:
        """Delete one that no booking ever used."""
        wanted = ticket_type_pb2.DeleteTicketTypeRequest(name=name)
        await call(request, Rpc(EventServiceStub, "DeleteTicketType", wanted))

    async def _zone(self, request: Request, performance: str) -> str:
        """Of the performance; read once for a whole list."""
        read: dict[str, str] = request.state.__dict__.setdefault("zones_of_performances", {})
        if performance not in read:
            wanted = performance_pb2.GetPerformanceRequest(name=performance)
            found: performance_pb2.Performance = await call(request, Rpc(EventServiceStub, "GetPerformance", wanted))
            read[performance] = found.time_zone
        return read[performance]


def _values(data: Mapping[str, Any]) -> dict[str, Any]:
    if not data["price"]:
        raise FormValidationError({"price": "Write an amount and its currency, such as 12.50 EUR."})
    return {**plain(data), "price": price(data["price"], "price"), "zones": lines(data["zones"])}
