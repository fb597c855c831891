"""Times and lengths of time that are no such thing, anywhere in a request.

The rules in the protos compare a `Timestamp` or a `Duration` with limits, by its seconds first; that its nanoseconds
are within a second, and of the sign of its seconds, follows from their own definition, which nobody else enforces.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from google.protobuf.message import Message

from server.errors import FieldFault

Check = Callable[[Message], list[FieldFault]]

_SECOND: Final = 1_000_000_000
_NANOS: Final = {"google.protobuf.Timestamp", "google.protobuf.Duration"}


def well_formed(request: Any) -> Check | None:
    """What finds malformed times in requests of one kind; None: such a request carries none.

    Args:
        request: the descriptor of the request (which has one type as generated and another as loaded).
    """
    carriers = _carriers(request)
    if request.full_name not in carriers:
        return None
    return lambda message: list(_faults(message, "", carriers))


def _carriers(descriptor: Any) -> dict[str, list[Any]]:
    """Full names of the messages that have times in them, with the fields through which they have them."""
    fields: dict[str, list[Any]] = {}
    found: dict[str, list[Any]] = {}

    def collect(kind: Any) -> None:
        if kind.full_name in fields:
            return
        fields[kind.full_name] = [field for field in kind.fields if field.message_type is not None]
        for field in fields[kind.full_name]:
            if field.message_type.full_name not in _NANOS:
                collect(field.message_type)

    collect(descriptor)
    # A message carries times if one of its parts does: look until nothing is added, since parts may be recursive.
    while True:
        known = _NANOS | found.keys()
        grown = {
            name: through
            for name, parts in fields.items()
            if (through := [part for part in parts if part.message_type.full_name in known])
        }
        if grown == found:
            return found
        found = grown


def _faults(message: Any, prefix: str, carriers: dict[str, list[Any]]) -> Iterator[FieldFault]:
    for field in carriers[message.DESCRIPTOR.full_name]:
        path = f"{prefix}{field.name}"
        if field.is_repeated:
            for index, entry in enumerate(getattr(message, field.name)):
                yield from _fault(entry, f"{path}[{index}]", carriers)
        elif message.HasField(field.name):
            yield from _fault(getattr(message, field.name), path, carriers)


def _fault(value: Any, path: str, carriers: dict[str, list[Any]]) -> Iterator[FieldFault]:
    kind = value.DESCRIPTOR.full_name
    if kind not in _NANOS:
        yield from _faults(value, f"{path}.", carriers)
    elif kind == "google.protobuf.Timestamp":
        if not 0 <= value.nanos < _SECOND:
            yield FieldFault(path, "must have 0 to 999,999,999 nanoseconds")
    elif not -_SECOND < value.nanos < _SECOND or value.seconds * value.nanos < 0:
        yield FieldFault(path, "must have less than a second of nanoseconds, of the sign of its seconds")
