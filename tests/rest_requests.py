"""How a request of the contract is said over REST: derived from `google.api.http`, as the gateway is."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from server.interceptors.method import Method
from server.registration import contract

_VARIABLE: Final = re.compile(r"\{([a-z_.]+)(?:=([^}]*))?\}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DESCRIPTORS: Final[dict[str, MethodDescriptor]] = {
    f"/{service.full_name}/{method.name}": method for service in contract() for method in service.methods
}


class NotSaidError(Exception):
    """REST has no words for this request, such as for a list of objects within a query."""


@dataclass(frozen=True)
class RestRequest:
    """A request as HTTP has it.

    Args:
        verb: GET, POST, …
        url: path and query.
        body: the JSON; None: there is none.
        routed: whether the path leads to the RPC. If not, a name in it has another form than the RPC's path wants.
        in_path: the fields that the path tells.
    """

    verb: str
    url: str
    body: bytes | None
    routed: bool
    in_path: frozenset[str]


def rest_request(method: Method, message: Message) -> RestRequest:
    """Say a request over REST.

    Raises:
        NotSaidError: that cannot be.
    """
    rule = _rule(method)
    verb = str(rule.WhichOneof("pattern"))
    path, told, routed = _path(getattr(rule, verb), message)
    rest = _without(message, told)
    body = None
    if rule.body == "*":
        body = _text(rest)
        rest = type(message)()
    elif rule.body:
        part = getattr(rest, rule.body)
        body = _text(part) if rest.HasField(rule.body) else b""
        rest.ClearField(rule.body)
    if query := urlencode(list(_query(rest))):
        path = f"{path}?{query}"
    return RestRequest(verb.upper(), path, body, routed, told)


def _rule(method: Method) -> http_pb2.HttpRule:
    rule: http_pb2.HttpRule = _DESCRIPTORS[method.path].GetOptions().Extensions[annotations_pb2.http]
    return rule


def _path(template: str, message: Message) -> tuple[str, frozenset[str], bool]:
    told: set[str] = set()
    routed = True

    def fill(found: re.Match[str]) -> str:
        nonlocal routed
        field, form = found[1], found[2] or "*"
        told.add(field)
        *parents, last = field.split(".")
        holder: Any = message
        for name in parents:
            holder = getattr(holder, name)
        descriptor, value = holder.DESCRIPTOR.fields_by_name[last], getattr(holder, last)
        if descriptor.enum_type is not None:
            known = descriptor.enum_type.values_by_number.get(value)
            value = known.name if known else str(value)
        pattern = re.escape(form).replace(r"\*", "[^/]+")
        routed = routed and re.fullmatch(pattern, value) is not None
        # A client would tidy up a path with dots between slashes.
        return "/".join(
            quote(part, safe="") if part.strip(".") else part.replace(".", "%2E") for part in value.split("/")
        )

    return _VARIABLE.sub(fill, template), frozenset(told), routed


def _without(message: Message, told: frozenset[str]) -> Any:
    copy: Any = type(message)()
    copy.CopyFrom(message)
    for field in told:
        *parents, last = field.split(".")
        holder = copy
        for name in parents:
            holder = getattr(holder, name)
        holder.ClearField(last)
    return copy


def _text(message: Message) -> bytes:
    return json.dumps(as_json(message), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _query(message: Message, prefix: str = "") -> Iterator[tuple[str, str]]:
    for field, value in message.ListFields():
        name = f"{prefix}{field.json_name}"
        part = field.message_type
        if part is not None and (field.is_repeated or part.full_name == "google.protobuf.Struct"):
            raise NotSaidError(name)
        if part is not None and not part.full_name.startswith("google.protobuf."):
            yield from _query(value, f"{name}.")
            continue
        for one in value if field.is_repeated else (value,):
            said = _value(field, one)
            yield name, said if isinstance(said, str) else json.dumps(said)


def as_json(message: Message) -> dict[str, Any]:
    """A message in the public JSON, also one whose values no JSON may have."""
    return {field.json_name: _field(field, value) for field, value in message.ListFields()}


def _field(field: FieldDescriptor, value: Any) -> Any:
    part = field.message_type
    if part is not None and part.GetOptions().map_entry:
        return dict(value)
    if field.is_repeated:
        return [_value(field, one) for one in value]
    return _value(field, value)


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return _WELL_KNOWN.get(field.message_type.full_name, as_json)(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(value).decode()
    if field.cpp_type in {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}:
        return str(value)
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT} and value * 0 != 0:
        return "NaN" if value != value else "Infinity"  # noqa: PLR0124 - what NaN is
    return value


def _time(value: Any) -> str:
    if value.nanos >= 1_000_000_000:
        raise NotSaidError("more digits than a second has")
    try:
        day = (_EPOCH + timedelta(seconds=value.seconds)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    except OverflowError:
        day = f"{1970 + value.seconds // 31_556_952}-01-01T00:00:00"
    return f"{day}.{value.nanos:09d}Z" if value.nanos else f"{day}Z"


def _length(value: Any) -> str:
    return f"{value.seconds}.{value.nanos:09d}s" if value.nanos else f"{value.seconds}s"


def _mask(value: Any) -> str:
    return ",".join(re.sub("_([a-z])", lambda found: found[1].upper(), path) for path in value.paths)


_WELL_KNOWN: Final[dict[str, Any]] = {
    "google.protobuf.Timestamp": _time,
    "google.protobuf.Duration": _length,
    "google.protobuf.FieldMask": _mask,
}
