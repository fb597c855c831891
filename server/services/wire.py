"""Values on the wire: times, durations and money, from and to what the rules and tables use."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import overload

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

from server.domain.currencies import KNOWN, decimal_places
from server.errors import InvalidArgument

_NANOS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@overload
def timestamp(time: datetime) -> Timestamp: ...


@overload
def timestamp(time: datetime | None) -> Timestamp | None: ...


def timestamp(time: datetime | None) -> Timestamp | None:
    """A time as a message; None stays unset."""
    if time is None:
        return None
    # What Timestamp.FromDatetime does, without its detour over a calendar: every answer carries several.
    since = time - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


@lru_cache(maxsize=1024)
def shared_timestamp(time: datetime) -> Timestamp:
    """A time that many answers name, as all that a batch decided do: put the message into another, never change it."""
    return timestamp(time)


def time_in(message: Message, field: str) -> datetime | None:
    """The time in a timestamp field, aware, in UTC; None where it is unset."""
    if not message.HasField(field):
        return None
    value: Timestamp = getattr(message, field)
    return value.ToDatetime(tzinfo=UTC)


def duration(length: timedelta | None) -> Duration | None:
    """A length of time as a message; None stays unset."""
    if length is None:
        return None
    message = Duration()
    message.FromTimedelta(length)
    return message


def length_in(message: Message, field: str) -> timedelta | None:
    """The length in a duration field; None where it is unset."""
    if not message.HasField(field):
        return None
    value: Duration = getattr(message, field)
    return value.ToTimedelta()


@lru_cache(maxsize=4096)
def money(minor_units: int, currency: str) -> Money:
    """An amount of integer minor units: 1250 of EUR is 12 units and 500,000,000 nanos.

    The same few prices are named in every answer, so the message is shared: put it into another, never change it.
    """
    scale = 10 ** decimal_places(currency)
    units, rest = divmod(abs(minor_units), scale)
    sign = -1 if minor_units < 0 else 1  # both parts have the sign of the whole
    return Money(currency_code=currency, units=sign * units, nanos=sign * rest * (_NANOS // scale))


def minor_units(amount: Money, field: str) -> int:
    """The integer minor units of an amount that is not negative.

    Raises:
        InvalidArgument: there is no such currency, or the amount has a fraction that it has no coins for.
    """
    if amount.currency_code not in KNOWN:
        raise InvalidArgument.of(f"{field}.currency_code", "is no currency of ISO 4217")
    places = decimal_places(amount.currency_code)
    scale: int = 10**places
    whole, rest = divmod(int(amount.nanos), _NANOS // scale)
    if rest:
        raise InvalidArgument.of(field, f"{amount.currency_code} has {places} decimal places")
    return int(amount.units) * scale + whole
