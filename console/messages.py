"""What a form says, as the API takes it: a message with what changed, and the mask that names it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from starlette_admin.exceptions import FormValidationError

MessageT = TypeVar("MessageT", bound=Message)


def fill(message: Message, data: Mapping[str, Any]) -> None:
    """Write what a form says into the fields of the same names; what was left empty stays unset.

    Args:
        message: is changed.
        data: field names and values: words, numbers, names of enum members, lists, aware datetimes or those of UTC,
            timedeltas, and messages. Names that the message has not are left out.

    Raises:
        FormValidationError: at the field: a value for which it has no room.
    """
    for field in message.DESCRIPTOR.fields:
        value = data.get(field.name)
        if value is None or value in ("", []):
            continue
        try:
            if field.is_repeated:
                getattr(message, field.name).extend(_raw(one, field) for one in value)
            elif isinstance(value, Message | datetime | timedelta):
                getattr(message, field.name).CopyFrom(_raw(value, field))
            else:
                setattr(message, field.name, _raw(value, field))
        except (KeyError, ValueError):
            raise FormValidationError({field.name: "This cannot be."}) from None


def changed(before: MessageT, data: Mapping[str, Any]) -> tuple[MessageT, list[str]]:
    """What a form changes of a resource.

    Args:
        before: how it was when the form was opened.
        data: the form's values, as for `fill`; an empty one empties the field.

    Returns:
        A message with `name`, `etag` and the fields that changed, and the names of these, for the update mask.
    """
    wanted = type(before)()
    fill(wanted, data)
    after = type(before)()
    paths: list[str] = []
    for field in before.DESCRIPTOR.fields:
        if field.name in {"name", "etag"}:
            setattr(after, field.name, getattr(before, field.name))
        elif field.name in data and _differs(before, wanted, field):
            paths.append(field.name)
            _copy(wanted, after, field)
    return after, paths


def _differs(one: Message, other: Message, field: Any) -> bool:
    if field.has_presence and one.HasField(field.name) != other.HasField(field.name):
        return True
    return bool(getattr(one, field.name) != getattr(other, field.name))


def _copy(source: Message, target: Message, field: Any) -> None:
    value = getattr(source, field.name)
    if field.is_repeated:
        getattr(target, field.name).extend(value)
    elif not field.has_presence:
        setattr(target, field.name, value)
    elif source.HasField(field.name):
        if isinstance(value, Message):
            getattr(target, field.name).CopyFrom(value)
        else:
            setattr(target, field.name, value)


def _raw(value: Any, field: Any) -> Any:
    match value:
        case datetime():
            stamp = Timestamp()
            stamp.FromDatetime(value if value.tzinfo else value.replace(tzinfo=UTC))
            return stamp
        case timedelta():
            length = Duration()
            length.FromTimedelta(value)
            return length
        case str() if field.enum_type is not None:
            return field.enum_type.values_by_name[value].number
        case _:
            return value
