"""Who of staff did what, and when: the server's own record, which nobody can change."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from google.protobuf import json_format
from starlette.requests import Request
from starlette_admin import RequestAction
from starlette_admin.fields import StringField

from console.columns import Moment as MomentField
from console.columns import Reference
from console.customers import find_customer
from console.narrowing import Moment, Narrowing, Words, moment
from console.records import Record
from console.resources import RpcView
from console.tables import Cell, short
from rowlock.v1 import operations_pb2
from rowlock.v1.operations_pb2_grpc import OperationsServiceStub
from rowlock_client.rpc import Rpc

_SAME: Final = "events performances venues categories bookings payments refunds users inquiries shifts"
_VIEWS: Final = {one: one for one in _SAME.split()} | {
    "seatMaps": "seat-maps",
    "ticketTypes": "ticket-types",
    "socialLinks": "social-links",
    "waitingRoom": "waiting-rooms",
}
"""What names have before the id, or for their end: the key of the view that shows such resources."""

_UUID: Final = 36
"""Characters."""


@dataclass
class About(StringField):
    """Names of resources, which lead to their pages where they have some."""

    list_template: str = "columns/about.html"

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """What to show of each, and where it leads. In a file: the names."""
        if request.state.action == RequestAction.EXPORT:
            return ", ".join(value)
        return [Cell(_shown(name), _url(request, name)) for name in value]


class StaffActions(RpcView[operations_pb2.StaffAction]):
    """What staff changed, newest first."""

    key = "staff-actions"
    menu_label = "Staff actions"
    display_name = "staff action"
    icon = "fa fa-clipboard-list"
    page_size_options = (25, 50, 100)
    fields = (
        MomentField("action_time", label="When"),
        Reference("actor", label="Who", view="users", text="actor_display_name"),
        StringField("method", label="What"),
        About("resources", label="About"),
        StringField("asked", label="Request", list_template="columns/code.html"),
    )
    narrowing: ClassVar[tuple[Narrowing, ...]] = (
        Words("resource", "About", "performances/7"),
        Words("actor", "Who", "name or e-mail"),
        Words("method", "What", "EventService.CreateEvent"),
        Moment("start_time", "From (UTC)"),
        Moment("end_time", "Before (UTC)"),
    )

    async def narrow(self, request: Request, narrowed: dict[str, str]) -> Mapping[str, str] | None:
        """The person by the account that was meant."""
        actor = await find_customer(request, narrowed["actor"], "actor")
        return None if actor is None else {**narrowed, "actor": actor}

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[operations_pb2.ListStaffActionsResponse]:
        """By resource, person, RPC and time."""
        wanted = operations_pb2.ListStaffActionsRequest(
            resource=narrowed["resource"],
            actor=narrowed["actor"],
            method=narrowed["method"],
            start_time=moment(narrowed["start_time"]),
            end_time=moment(narrowed["end_time"]),
        )
        return Rpc(OperationsServiceStub, "ListStaffActions", wanted)

    async def record(self, request: Request, message: operations_pb2.StaffAction) -> Record[operations_pb2.StaffAction]:
        """With what was asked for as people can read it."""
        asked = json.dumps(json_format.MessageToDict(message.request), ensure_ascii=False)
        return Record(message, asked=asked)


def _shown(name: str) -> str:
    """`performances/7` as it is; `bookings/5386c1db` for a name with an id that nobody reads."""
    parent, _, last = name.rpartition("/")
    return f"{parent.rpartition('/')[2]}/{short(last)}" if len(last) == _UUID else name


def _url(request: Request, name: str) -> str:
    parent, _, last = name.rpartition("/")
    view = _VIEWS.get(parent.rpartition("/")[2]) or _VIEWS.get(last)
    return str(request.url_for("console:detail", key=view).include_query_params(pk=name)) if view else ""
