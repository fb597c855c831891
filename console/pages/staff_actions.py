"""Who of staff did what, and when: the server's own record, which nobody can change."""

import json
from collections.abc import Mapping
from typing import ClassVar

from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.requests import Request
from starlette_admin.fields import StringField

from console.columns import Moment as MomentField
from console.columns import Reference
from console.narrowing import Moment, Narrowing, Words, moment
from console.records import Record
from console.resources import RpcView
from rowlock.v1 import operations_pb2
from rowlock.v1.operations_pb2_grpc import OperationsServiceStub
from rowlock_client.rpc import Rpc


class StaffActions(RpcView):
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
        StringField("about"),
        StringField("asked", label="Request", list_template="columns/code.html"),
    )
    narrowing: ClassVar[tuple[Narrowing, ...]] = (
        Words("resource", "About", "performances/7"),
        Words("actor", "Who", "users/…"),
        Words("method", "What", "EventService.CreateEvent"),
        Moment("start_time", "From (UTC)"),
        Moment("end_time", "Before (UTC)"),
    )

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

    async def record(self, request: Request, message: Message) -> Record:
        """With what was asked for as people can read it."""
        assert isinstance(message, operations_pb2.StaffAction)  # noqa: S101 - by list_rpc
        asked = json.dumps(json_format.MessageToDict(message.request), ensure_ascii=False)
        return Record(message, about=", ".join(message.resources), asked=asked)
