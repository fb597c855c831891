"""Messages of the seat feed as bytes: encoded once, stored and sent as they are.

A stored change is the ``WatchSeatsResponse`` without its revision, because the revision is assigned by the very
statement that stores it. Protobuf fields may come in any order and a message may be put together by joining its
parts, so ``frame`` only has to put the revision field in front.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from google.protobuf.message import DecodeError

from rowlock.v1 import seat_feed_pb2 as pb
from rowlock.v1 import stream_pb2

_REVISION_FIELD: Final = b"\x08"
"""Tag of ``WatchSeatsResponse.revision``: field 1, a varint."""

_REVISION_BYTES: Final = 8
"""A published frame: so many bytes of revision, the most significant first, then the body."""


class Farewell(IntEnum):
    """Why a stream ends; the numbers are those of ``Reconnect.Reason``."""

    AGE = 1
    DRAIN = 2
    TOKEN = 3
    SLOW = 4
    FINISHED = 5


def encode_changes(changes: Iterable[tuple[int, int]], first_revision: int = 0) -> bytes:
    """A change's body: (index of the place, number of its new state) for every place of one batch.

    Args:
        changes: each place at most once.
        first_revision: where several revisions are told at once, the first of them.
    """
    message = pb.WatchSeatsResponse()
    if first_revision:
        message.changes.first_revision = first_revision
    add = message.changes.changes.add
    for index, state in changes:
        add(index=index, state=state)
    return message.SerializeToString()


def decode_changes(body: bytes) -> list[tuple[int, int]]:
    """Read a stored change back: (index, number of the state).

    Raises:
        ValueError: these bytes are not the change of one revision.
    """
    try:
        message = pb.WatchSeatsResponse.FromString(body)
    except DecodeError as error:
        raise ValueError("not a message of the seat feed") from error
    if message.WhichOneof("event") != "changes" or message.revision or message.changes.first_revision:
        raise ValueError("a message of the seat feed, but not a change")
    return [(change.index, change.state) for change in message.changes.changes]


def frame(revision: int, body: bytes) -> bytes:
    """The whole message for a watcher: ``body`` as of ``revision``."""
    return _REVISION_FIELD + _varint(revision) + body


def snapshot_body(states: bytes, *, reset: bool) -> bytes:
    """The body of a snapshot: one byte a place."""
    return pb.WatchSeatsResponse(snapshot=pb.SeatSnapshot(states=states, reset=reset)).SerializeToString()


def heartbeat(revision: int) -> bytes:
    """The message that says: nothing more up to ``revision``."""
    return frame(revision, _HEARTBEAT)


def reconnect(revision: int, reason: Farewell) -> bytes:
    """The last message of a stream."""
    return frame(revision, _RECONNECT[reason])


def to_payload(revision: int, body: bytes) -> bytes:
    """What is published for the hubs of other processes."""
    return revision.to_bytes(_REVISION_BYTES, "big") + body


def from_payload(payload: bytes) -> tuple[int, bytes]:
    """Read a published frame: revision, body.

    Raises:
        ValueError: too short to be one.
    """
    if len(payload) <= _REVISION_BYTES:
        raise ValueError("a published frame has a revision and a body")
    return int.from_bytes(payload[:_REVISION_BYTES], "big"), payload[_REVISION_BYTES:]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_HEARTBEAT: Final = pb.WatchSeatsResponse(heartbeat=stream_pb2.Heartbeat()).SerializeToString()
_RECONNECT: Final = {
    reason: pb.WatchSeatsResponse(
        reconnect=stream_pb2.Reconnect(reason=stream_pb2.Reconnect.Reason.ValueType(reason))
    ).SerializeToString()
    for reason in Farewell
}
