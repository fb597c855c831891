"""The lines before sales: each performance has one, which is off at first."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from starlette.requests import Request
from starlette_admin import BooleanField, IntegerField, StringField

from console.calling import call
from console.columns import Moment, Reference, enum_field
from console.form_fields import OpenedWith, update
from console.known import labels
from console.local_times import LocalMoment, in_zone
from console.narrowing import Moment as MomentChoice
from console.narrowing import Narrowing, Words, in_full, moment
from console.records import Record
from console.resources import RpcView
from rowlock.v1 import performance_pb2, waiting_room_pb2
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock.v1.waiting_room_pb2_grpc import WaitingRoomServiceStub
from rowlock_client.rpc import Rpc

_ROOM = "/waitingRoom"


class WaitingRooms(RpcView):
    """The waiting rooms of performances to come; a page of one tells its numbers anew every few seconds."""

    key = "waiting-rooms"
    menu_label = "Waiting rooms"
    display_name = "waiting room"
    icon = "fa fa-people-line"
    detail_template = "waiting_room.html"
    page_size = 10
    page_size_options = (10, 25)
    fields = (
        Reference("performance", view="performances", text="performance_label", exclude_from_edit=True),
        BooleanField("enabled", label="On"),
        IntegerField("waiting_count", label="Waiting", exclude_from_edit=True),
        IntegerField("shopping_count", label="Shopping", exclude_from_edit=True),
        IntegerField("admit_count", label="Admitted at a time", min=1, max=10_000, required=True),
        IntegerField("admit_seconds", label="… every (seconds)", min=1, max=86_400, required=True),
        IntegerField(
            "admission_seconds", label="Admission is valid (seconds)", min=60, max=3600, exclude_from_list=True
        ),
        IntegerField(
            "shopping_limit",
            label="Shopping at once, at most",
            help_text="Empty: any number.",
            exclude_from_list=True,
        ),
        enum_field("order", waiting_room_pb2.WaitingRoom.Order, exclude_from_list=True),
        LocalMoment(
            "open_time", label="Opens", zone="", help_text="By UTC. Empty: with the sale.", exclude_from_list=True
        ),
        Moment("next_admit_time", label="Next admission", exclude_from_list=True, exclude_from_edit=True),
        StringField("draw_commitment", exclude_from_list=True, exclude_from_edit=True),
        StringField("draw_seed", exclude_from_list=True, exclude_from_edit=True),
        OpenedWith(),
    )
    narrowing: ClassVar[tuple[Narrowing, ...]] = (
        Words("event", "Event", "events/1"),
        MomentChoice("from", "Begins from (UTC)"),
    )
    items = "performances"
    actions = ()
    row_actions = ("view", "edit")

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[performance_pb2.ListPerformancesResponse]:
        """By performance: there is no list of rooms."""
        wanted = performance_pb2.ListPerformancesRequest(
            event=in_full("events", narrowed["event"]), start_time_from=moment(narrowed["from"])
        )
        return Rpc(EventServiceStub, "ListPerformances", wanted)

    def get_rpc(self, name: str) -> Rpc[waiting_room_pb2.WaitingRoom]:
        """One room."""
        return Rpc(WaitingRoomServiceStub, "GetWaitingRoom", waiting_room_pb2.GetWaitingRoomRequest(name=name))

    async def record(self, request: Request, message: Message) -> Record:
        """The room; of a performance in a list, its room."""
        if isinstance(message, performance_pb2.Performance):
            room = await call(request, self.get_rpc(message.name + _ROOM))
            return await self.record(request, room)
        assert isinstance(message, waiting_room_pb2.WaitingRoom)  # noqa: S101 - by get_rpc
        performance = message.name.removesuffix(_ROOM)
        return Record(
            message,
            performance=performance,
            performance_label=(await labels(request, [performance]))[performance],
            admit_seconds=message.admit_interval.seconds,
            admission_seconds=message.admission_duration.seconds,
        )

    async def change(self, request: Request, record: Any, data: dict[str, Any]) -> Message:
        """UpdateWaitingRoom."""
        seconds = {"admit_interval": "admit_seconds", "admission_duration": "admission_seconds"}
        times = in_zone(data, ("open_time",), "", record)
        values = {**data, **times, **{name: timedelta(seconds=data[field] or 0) for name, field in seconds.items()}}
        before: waiting_room_pb2.WaitingRoom = record.proto
        return await update(request, before, values, _update)


def _update(room: waiting_room_pb2.WaitingRoom, mask: FieldMask) -> Rpc[waiting_room_pb2.WaitingRoom]:
    wanted = waiting_room_pb2.UpdateWaitingRoomRequest(waiting_room=room, update_mask=mask)
    return Rpc(WaitingRoomServiceStub, "UpdateWaitingRoom", wanted)
