"""The line before a sale."""

from __future__ import annotations

from rowlock.v1 import waiting_room_pb2, waiting_room_pb2_grpc
from rowlock_client.rpc import Rpc

_Queue = waiting_room_pb2_grpc.WaitingRoomServiceStub


def join_queue(performance: str, *, entry_token: str = "", customer: str = "") -> Rpc[waiting_room_pb2.QueueEntry]:
    """Take a place in line, or get back the one that one has.

    Args:
        performance: `performances/{performance}`.
        entry_token: of an earlier answer, to restore a place that was lost.
        customer: for whom, by staff: `users/{user}`.
    """
    request = waiting_room_pb2.JoinQueueRequest(parent=performance, entry_token=entry_token, customer=customer)
    return Rpc(_Queue, "JoinQueue", request)


def queue_entry(name: str) -> Rpc[waiting_room_pb2.QueueEntry]:
    """Read a place in line; once admitted, it has the `admission_token` that `hold` takes."""
    return Rpc(_Queue, "GetQueueEntry", waiting_room_pb2.GetQueueEntryRequest(name=name))


def leave_queue(name: str) -> Rpc[waiting_room_pb2.QueueEntry]:
    """Give a place in line up, or an admission that was not used."""
    return Rpc(_Queue, "LeaveQueue", waiting_room_pb2.LeaveQueueRequest(name=name))


def waiting_room(performance: str) -> Rpc[waiting_room_pb2.WaitingRoom]:
    """Read a performance's waiting room."""
    request = waiting_room_pb2.GetWaitingRoomRequest(name=f"{performance}/waitingRoom")
    return Rpc(_Queue, "GetWaitingRoom", request)


def update_waiting_room(room: waiting_room_pb2.WaitingRoom, *paths: str) -> Rpc[waiting_room_pb2.WaitingRoom]:
    """Change a waiting room: the fields in `paths`; none: those that are not empty. Staff."""
    request = waiting_room_pb2.UpdateWaitingRoomRequest(waiting_room=room)
    request.update_mask.paths.extend(paths)
    return Rpc(_Queue, "UpdateWaitingRoom", request)
