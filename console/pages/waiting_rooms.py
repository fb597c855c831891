"""The lines before sales: each performance has one, which is off at first."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from google.protobuf.field_mask_pb2 import FieldMask
from starlette.requests import Request
from starlette_admin import IntegerField, StringField

from console import choices
from console.calling import call
from console.columns import Flag, Moment, Reference, enum_field
from console.form_fields import OpenedWith, update
from console.known import labels
from console.local_times import LocalMoment, in_zone
from console.narrowing import Moment as MomentChoice
from console.narrowing import Named, Narrowing, moment
from console.records import Record
from console.resources import RpcView
from rowlock.v1 import performance_pb2, waiting_room_pb2
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock.v1.waiting_room_pb2_grpc import WaitingRoomServiceStub
from rowlock_client.rpc import Rpc

_ROOM = "/waitingRoom"
_Room = waiting_room_pb2.WaitingRoom
_Performance = performance_pb2.Performance


class WaitingRooms(RpcView[_Room | _Performance]):
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
        Flag("enabled", label="On"),
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
        Named("event", "Event", "events", choices.events),
        MomentChoice("from", "Begins from (UTC)"),
    )
    items = "performances"
    actions = ()
    row_actions = ("view", "edit")

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[performance_pb2.ListPerformancesResponse]:
        """By performance: there is no list of rooms."""
        wanted = performance_pb2.ListPerformancesRequest(
            event=narrowed["event"], start_time_from=moment(narrowed["from"])
        )
        return Rpc(EventServiceStub, "ListPerformances", wanted)

    def get_rpc(self, name: str) -> Rpc[waiting_room_pb2.WaitingRoom]:
        """One room."""
        return Rpc(WaitingRoomServiceStub, "GetWaitingRoom", waiting_room_pb2.GetWaitingRoomRequest(name=name))

    async def prepare(self, request: Request, messages: Sequence[_Room | _Performance]) -> None:
        """The rooms of the performances in a list, all at once."""
        rooms = await asyncio.gather(*(call(request, self.get_rpc(one.name + _ROOM)) for one in messages))
        request.state.rooms = {room.name: room for room in rooms}

    async def record(self, request: Request, message: _Room | _Performance) -> Record[_Room]:
        """The room; of a performance in a list, its room."""
        room: _Room = request.state.rooms[message.name + _ROOM] if isinstance(message, _Performance) else message
        performance = room.name.removesuffix(_ROOM)
        known = await labels(request, [performance])
        return Record(
            room,
            performance=performance,
            label=f"Waiting room: {known[performance]}",
            performance_label=known[performance],
            admit_seconds=room.admit_interval.seconds,
            admission_seconds=room.admission_duration.seconds,
        )

    async def change(self, request: Request, record: Any, data: dict[str, Any]) -> _Room:
        """UpdateWaitingRoom."""
        seconds = {"admit_interval": "admit_seconds", "admission_duration": "admission_seconds"}
        times = in_zone(data, ("open_time",), "", record)
        values = {**data, **times, **{name: timedelta(seconds=data[field] or 0) for name, field in seconds.items()}}
        before: waiting_room_pb2.WaitingRoom = record.proto
        return await update(request, before, values, _update)


def _update(room: waiting_room_pb2.WaitingRoom, mask: FieldMask) -> Rpc[waiting_room_pb2.WaitingRoom]:
    wanted = waiting_room_pb2.UpdateWaitingRoomRequest(waiting_room=room, update_mask=mask)
    return Rpc(WaitingRoomServiceStub, "UpdateWaitingRoom", wanted)
