"""Messages of the seat feed as bytes: encoded once, stored and sent as they are.

A stored change is the ``WatchSeatsResponse`` without its revision, because the revision is assigned by the very
statement that stores it. Protobuf fields may come in any order and a message may be put together by joining its
parts, so ``frame`` only has to put the revision field in front.
"""

from collections.abc import Iterable
from typing import Final

from rowlock.v1 import seat_feed_pb2 as pb

_REVISION_FIELD: Final = b"\x08"
"""Tag of ``WatchSeatsResponse.revision``: field 1, a varint."""


def encode_changes(changes: Iterable[tuple[int, int]]) -> bytes:
    """A change's body: (index of the place, number of its new state) for every place of one batch."""
    message = pb.WatchSeatsResponse()
    add = message.changes.changes.add
    for index, state in changes:
        add(index=index, state=state)
    return message.SerializeToString()


def frame(revision: int, body: bytes) -> bytes:
    """The whole message for a watcher: ``body`` as of ``revision``."""
    return _REVISION_FIELD + _varint(revision) + body


def snapshot_body(states: bytes, *, reset: bool) -> bytes:
    """The body of a snapshot: one byte a place."""
    return pb.WatchSeatsResponse(snapshot=pb.SeatSnapshot(states=states, reset=reset)).SerializeToString()


def decode_changes(body: bytes) -> list[tuple[int, int]]:
    """Read a stored change back: (index, number of the state)."""
    return [(change.index, change.state) for change in pb.WatchSeatsResponse.FromString(body).changes.changes]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
