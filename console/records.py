"""Messages as pages read them: times as times, states as words, amounts as people write them."""

from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any, Generic

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

from console.messages import MessageT
from server.domain.currencies import decimal_places


class Record(Generic[MessageT]):
    """One message, each field of it an attribute.

    Args:
        message: is read, never changed; it is `proto`, a name that no message has for a field.
        more: attributes beside its own, or in their place.
    """

    def __init__(self, message: MessageT, **more: Any) -> None:
        self.proto = message
        self._more = more

    def __getattr__(self, name: str) -> Any:
        more = self.__dict__.get("_more", {})
        if name in more:
            return more[name]
        field = self.__dict__["proto"].DESCRIPTOR.fields_by_name.get(name) if "proto" in self.__dict__ else None
        if field is None:
            raise AttributeError(name)
        return field_value(self.proto, field)


def field_value(message: Message, field: FieldDescriptor) -> Any:
    """A field as Python has it; None: a message or an optional value that is not there."""
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_plain(one, field) for one in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _plain(value, field)


def amount(money: Money) -> str:
    """`12.50 EUR`, `1,250 JPY`; its currency's decimals, or as many as it has. Empty: it is no amount."""
    if not money.currency_code:
        return ""
    value = Decimal(money.units) + Decimal(money.nanos).scaleb(-9)
    exact = value.normalize()
    places = max(decimal_places(money.currency_code), -int(exact.as_tuple().exponent))
    return f"{value:,.{places}f} {money.currency_code}"


def _plain(value: Any, field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        found = field.enum_type.values_by_number.get(value)
        return found.name if found else str(value)
    match value:
        case Timestamp():
            return value.ToDatetime(UTC)
        case Duration():
            return timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)
        case Money():
            return amount(value)
        case Message():
            return Record(value)
        case _:
            return value
