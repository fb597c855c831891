"""How mails write money, times and texts. Pure."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.domain.currencies import decimal_places

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def money(minor_units: int, currency: str) -> str:
    """``1,250.00 EUR``: integer minor units with the decimal places of their currency."""
    places = decimal_places(currency)
    whole, rest = divmod(abs(minor_units), 10**places)
    sign = "-" if minor_units < 0 else ""
    fraction = f".{rest:0{places}d}" if places else ""
    return f"{sign}{whole:,}{fraction} {currency}"


def day(time: datetime, zone: str) -> str:
    """``Saturday, 14 March 2026`` in a time zone; never by the locale of the machine."""
    local = time.astimezone(_zone(zone))
    return f"{_DAYS[local.weekday()]}, {local.day} {_MONTHS[local.month - 1]} {local.year}"


def clock_time(time: datetime, zone: str) -> str:
    """``19:30`` in a time zone."""
    return f"{time.astimezone(_zone(zone)):%H:%M}"


def moment(time: datetime | str, zone: str) -> str:
    """``Saturday, 14 March 2026, 19:30 (Europe/Berlin)``; the time may be ISO 8601, as in data of messages."""
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    return f"{day(time, zone)}, {clock_time(time, zone)} ({zone})"


def paragraphs(text: str) -> list[list[str]]:
    """Plain text as paragraphs of lines: empty lines separate them."""
    blocks: list[list[str]] = [[]]
    for line in text.strip().splitlines():
        if line.strip():
            blocks[-1].append(line.rstrip())
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
