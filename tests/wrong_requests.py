"""Requests with one wrong field each, derived from the descriptors: what nobody should send, for every RPC there is.

A case either must be refused with the field named, or may be: refused in order, or harmless. The first kind follows
from the field's type, its `google.api` annotations and its name alone, not from its validation rules, or the rules
would be tested against themselves.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.api import field_behavior_pb2, resource_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

SECRETS: Final = {
    "password",
    "current_password",
    "new_password",
    "refresh_token",
    "api_key",
    "admission_token",
    "entry_token",
}
"""Any characters are welcome in these; what is wrong is simply not the secret."""

LONG_TEXTS: Final = {"answer", "body", "description", "message"}
"""These may well have 10 kB."""

_MARK: Final = "Q" * 7
_INTEGERS: Final = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64}
_FLOATS: Final = {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}
_ORDERED: Final = (
    ("start_time", "end_time"),
    ("sale_start_time", "sale_end_time"),
    ("start_time_from", "start_time_before"),
)


@dataclass(frozen=True)
class Wrong:
    """A request with one wrong field.

    Args:
        path: the field, as `BadRequest` names it.
        what: what is wrong with it.
        raw: the request's bytes.
        refused: whether it must be refused as INVALID_ARGUMENT with the field named; otherwise it may also be
            harmless, or refused for another good reason.
        named: whether the answer can name the field: bytes that are no message have none.
    """

    path: str
    what: str
    raw: bytes
    refused: bool
    named: bool = True


@dataclass(frozen=True)
class Field:
    """A field of a request, at any depth.

    Args:
        descriptor: of the field.
        path: such as `seats[0].seat`.
        holder: finds, in a copy of the request, the message that has it.
        ignored: it is of the server's making, so what a caller writes there is not looked at; or it lies in a part that
            the good request does not have, where the lack of its other fields is a fault, too.
        is_part: it lies in a message within the request.
    """

    descriptor: Any
    path: str
    holder: Callable[[Any], Any]
    ignored: bool
    is_part: bool

    @property
    def name(self) -> str:
        """Its own name."""
        return str(self.descriptor.name)

    @property
    def required(self) -> bool:
        """Whether a request without it must be refused; in a part it depends on the RPC."""
        return behaves(self.descriptor, "REQUIRED") and not self.is_part

    @property
    def reference(self) -> str:
        """The type of the resource that it names, or of the resource whose parent it names; or nothing."""
        options = self.descriptor.GetOptions().Extensions[resource_pb2.resource_reference]
        return str(options.type or options.child_type)

    @property
    def resource(self) -> str:
        """The type of the resource that the message is which has it, or nothing."""
        return str(self.descriptor.containing_type.GetOptions().Extensions[resource_pb2.resource].type)

    @property
    def is_parent(self) -> bool:
        """Whether it names what contains the resource of its type."""
        return bool(self.descriptor.GetOptions().Extensions[resource_pb2.resource_reference].child_type)


def behaves(field: FieldDescriptor, behavior: str) -> bool:
    """Whether a field has a `google.api.field_behavior`."""
    number = field_behavior_pb2.FieldBehavior.Value(behavior)
    return number in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def fields_of(request: Message) -> Iterator[Field]:
    """Every field of a request and of its parts; of a list its first entry, made if there is none."""
    yield from _fields(request, request.DESCRIPTOR, "", lambda copy: copy, ignored=False, depth=0)


def _fields(
    good: Message, descriptor: Any, prefix: str, holder: Callable[[Any], Any], *, ignored: bool, depth: int
) -> Iterator[Field]:
    for field in descriptor.fields:
        path = f"{prefix}{field.name}"
        skip = ignored or behaves(field, "OUTPUT_ONLY") or (depth > 0 and behaves(field, "IDENTIFIER"))
        yield Field(field, path, holder, skip, depth > 0)
        part = field.message_type
        if part is not None and part.file.package == "rowlock.v1" and depth < 4 and not _is_map(field):
            index = "[0]" if field.is_repeated else ""
            missing = skip or not _has(holder(_copy(good)), field)
            inside = _inside(holder, field)
            yield from _fields(good, part, f"{path}{index}.", inside, ignored=missing, depth=depth + 1)


def _has(holder: Any, field: FieldDescriptor) -> bool:
    return bool(getattr(holder, field.name)) if field.is_repeated else bool(holder.HasField(field.name))


def _inside(holder: Callable[[Any], Any], field: FieldDescriptor) -> Callable[[Any], Any]:
    def find(copy: Any) -> Any:
        value = getattr(holder(copy), field.name)
        if not field.is_repeated:
            value.SetInParent()
            return value
        return value[0] if value else value.add()

    return find


def wrong_requests(good: Message) -> Iterator[Wrong]:
    """Every field of a good request in turn, with every wrong value that its type can hold."""
    for field in fields_of(good):
        for what, put, refused in _faults(field, good):
            request = type(good)()
            request.CopyFrom(good)
            put(field.holder(request))
            raw = request.SerializeToString()
            if _MARK.encode() in raw:
                yield Wrong(field.path, what, raw.replace(_MARK.encode(), b"\xc3\x28" + b"Q" * 5), True, named=False)
            else:
                yield Wrong(field.path, what, raw, refused and not field.ignored)


Put = Callable[[Any], object]
Fault = tuple[str, Put, bool]


def _faults(field: Field, good: Message) -> Iterator[Fault]:
    descriptor = field.descriptor
    if field.required:
        yield "missing", lambda holder: holder.ClearField(descriptor.name), True
    if _is_map(descriptor):
        yield from _map_faults(field.name)
        return
    if descriptor.is_repeated:
        yield from _list_faults(field, good)
        return
    if descriptor.message_type is not None:
        yield from _message_faults(field)
        return
    for what, value, refused in _scalar_faults(field):
        yield what, _setting(descriptor.name, value), refused


def _setting(name: str, value: Any) -> Put:
    return lambda holder: setattr(holder, name, value)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _map_faults(name: str) -> Iterator[Fault]:
    """Of a map from texts to texts."""
    wrong = {
        "1,001 pairs": {f"key-{n}": "x" for n in range(1001)},
        "an empty key": {"": "x"},
        "a key of 10 kB": {"a" * 10_240: "x"},
        "a value of 10 kB": {"a": "x" * 10_240},
        "a value that is not UTF-8": {"a": _MARK},
    }
    for what, pairs in wrong.items():
        yield what, _putting(name, pairs), True


def _putting(name: str, pairs: dict[str, str]) -> Put:
    return lambda holder: getattr(holder, name).update(pairs)


def _list_faults(field: Field, good: Message) -> Iterator[Fault]:
    name, part = field.name, field.descriptor.message_type

    def fill(values: Callable[[int], Any], count: int) -> Put:
        def put(holder: Any) -> None:
            entries = getattr(holder, name)
            if part is None:
                entries.extend(values(n) for n in range(count))
            else:
                for _ in range(count):
                    entries.add()

        return put

    if field.descriptor.cpp_type == FieldDescriptor.CPPTYPE_STRING or part is not None:
        # Drawings of halls have more parts than that: their fields say so.
        yield "1,001 entries", fill(lambda n: f"Stalls-Z-{n}", 1001), not _is_drawing(field)
    if part is None and field.descriptor.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        for what, value, refused in _text_faults(field):
            yield what, _appending(name, value), refused
    if getattr(field.holder(_copy(good)), name):

        def twice(holder: Any) -> None:
            entries = getattr(holder, name)
            entries.extend([entries[0]])

        # Counted claims add up; what names a place can be named once.
        names_places = part is None or "seat" in part.fields_by_name
        yield "an entry twice", twice, names_places and not _is_drawing(field)


def _appending(name: str, value: str) -> Put:
    return lambda holder: getattr(holder, name).append(value)


def _is_drawing(field: Field) -> bool:
    return "layout" in field.path


def _copy(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


_WRONG_PARTS: Final[dict[str, dict[str, Message]]] = {
    "google.protobuf.Timestamp": {
        "the year 1": Timestamp(seconds=-62_135_596_800),
        "the year 9999": Timestamp(seconds=253_402_300_799),
        "the year 10000": Timestamp(seconds=253_402_300_800),
        "the end of int64": Timestamp(seconds=2**63 - 1),
        "nanoseconds below zero": Timestamp(seconds=1_800_000_000, nanos=-1),
        "a whole second of nanoseconds": Timestamp(seconds=1_800_000_000, nanos=1_000_000_000),
    },
    "google.protobuf.Duration": {
        "below zero": Duration(seconds=-1),
        "ten thousand years": Duration(seconds=315_576_000_000),
        "seconds and nanoseconds that disagree": Duration(seconds=1000, nanos=-1),
    },
    "google.type.Money": {
        "below zero": Money(currency_code="EUR", units=-1),
        "no currency": Money(units=1),
        "an unknown currency": Money(currency_code="QQQ", units=1),
        "more than a unit of nanoseconds": Money(currency_code="EUR", nanos=1_000_000_000),
        "the end of int64": Money(currency_code="EUR", units=2**63 - 1),
        "a part of a cent": Money(currency_code="EUR", units=1, nanos=1),
    },
}
_WRONG_MASKS: Final = ("no_such_field", "name", "create_time", "state.x", "", "a" * 10_240, "a\0b")


def _message_faults(field: Field) -> Iterator[Fault]:
    kind = field.descriptor.message_type.full_name
    for what, value in _WRONG_PARTS.get(kind, {}).items():
        yield what, _copying(field.name, value), True
    for first, last in _ORDERED:
        if field.name == last and first in field.descriptor.containing_type.fields_by_name:
            yield f"before {first}", _disordered(first, last), True
    if kind == "google.protobuf.FieldMask":
        for path in _WRONG_MASKS:
            yield f"the path {path[:20]!r}", _masking(field.name, path), True


def _copying(name: str, value: Message) -> Put:
    return lambda holder: getattr(holder, name).CopyFrom(value)


def _disordered(first: str, last: str) -> Put:
    def put(holder: Any) -> None:
        for name, seconds in ((first, 1_900_000_000), (last, 1_800_000_000)):
            getattr(holder, name).CopyFrom(Timestamp(seconds=seconds))

    return put


def _masking(name: str, path: str) -> Put:
    return lambda holder: getattr(holder, name).paths.append(path)


def _scalar_faults(field: Field) -> Iterator[tuple[str, Any, bool]]:
    kind = field.descriptor.cpp_type
    if field.descriptor.type == FieldDescriptor.TYPE_BYTES:
        yield from (("no document", b"\0", False), ("brackets", b"[" * 10_000, False))
    elif kind == FieldDescriptor.CPPTYPE_STRING:
        yield from _text_faults(field)
    elif kind == FieldDescriptor.CPPTYPE_ENUM:
        yield from (("an unknown number", 99, True), ("a number below zero", -1, True))
    elif kind in _INTEGERS:
        ahead = "revision" in field.name
        yield from (("-1", -1, True), ("-2**31", -(2**31), True), ("0", 0, False), ("2**31-1", 2**31 - 1, ahead))
    elif kind in _FLOATS:
        yield from (("NaN", math.nan, True), ("infinity", math.inf, True), ("-1", -1.0, False), ("1e300", 1e300, True))


def _text_faults(field: Field) -> Iterator[tuple[str, Any, bool]]:
    strict = field.name not in SECRETS
    yield "10 kB of text", "x" * 10_240, field.name not in LONG_TEXTS
    yield "60 kB of text", "x" * 61_440, True
    yield "bytes that are no text", _MARK, True
    yield "NUL", "a\0b", strict
    yield "a control character", "a\x07b", strict
    yield "a right-to-left override", "\u202egnp.exe", strict
    yield "quotes", "'; DROP TABLE users; --", field.name in {"request_id", "page_token", "etag", "order_by"}
    yield "a path", "../../etc/passwd", bool(field.reference)
    yield "only spaces", "   ", bool(field.reference) or field.name in {"request_id", "page_token"}
    yield "an astral character", "\U0001f3ad", bool(field.reference)
    if field.reference:
        for what, name in MALFORMED:
            yield what, name, True


UUID_OF_NOBODY: Final = "0190a000-0000-7000-8000-000000000000"
MALFORMED: Final = (
    ("another kind of name", "gates/1"),
    ("an upper-case id", f"users/{UUID_OF_NOBODY.upper()}"),
    ("the number 0", "performances/0"),
    ("a number with a sign", "performances/+1"),
    ("a number of 40 digits", "performances/" + "9" * 40),
    ("a slash at the end", "performances/1/"),
    ("a dot", "performances/1/bookings/."),
)


def absent(name: str) -> str:
    """A well-formed name of nothing: the last id of ``name`` is another."""
    head, _, last = name.rpartition("/")
    return f"{head}/{UUID_OF_NOBODY if len(last) == len(UUID_OF_NOBODY) else 999_999_999}"
