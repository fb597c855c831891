"""Times by the clock on the wall of the place where something happens, in forms and on pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette_admin import RequestAction
from starlette_admin.exceptions import FormValidationError
from starlette_admin.fields import StringField

_FORM: Final = "%Y-%m-%dT%H:%M"


@dataclass
class LocalMoment(StringField):
    """A time in the zone that the same resource names; forms take it by the minute.

    Args:
        zone: the attribute with the name of the zone; empty: it is UTC.
    """

    zone: str = "time_zone"
    input_type: str = "datetime-local"
    class_: str = "form-control"

    async def parse_obj(self, request: Request, obj: Any) -> datetime | None:
        """The time, in its zone."""
        time: datetime | None = await super().parse_obj(request, obj)
        return None if time is None else in_local(time, getattr(obj, self.zone, ""))

    async def serialize_value(self, request: Request, value: Any) -> str:
        """For a form, a file, or people, who are told the zone."""
        action = request.state.action
        if action.is_form():
            return for_form(value)
        if action == RequestAction.EXPORT:
            return str(value.isoformat())
        return told(value)

    async def parse_form_data(self, request: Request, form_data: FormData) -> str:
        """What was entered."""
        return str(form_data.get(self.id) or "").strip()


def in_local(time: datetime, zone: str) -> datetime:
    """A time by the clocks of a zone; those of UTC where none is named."""
    return time.astimezone(ZoneInfo(zone or "UTC"))


def for_form(time: datetime) -> str:
    """A local time as a browser's field takes it."""
    return time.strftime(_FORM)


def told(time: datetime) -> str:
    """A time as people read it, with the zone: `Fri 20 Nov 2026 19:30 CET`."""
    return time.strftime("%a %d %b %Y %H:%M %Z")


def in_zone(data: Mapping[str, Any], names: tuple[str, ...], zone: str, before: Any = None) -> dict[str, Any]:
    """What was entered in fields for local times, as times.

    Args:
        data: the form's values.
        names: of the fields.
        zone: in which they were meant.
        before: the record. A time that the form shows as it was stays as it was, to the microsecond, and in the hour
            that clocks show twice the one of both that it is. Entered anew, that hour is the first of both.

    Raises:
        FormValidationError: at the field: it is no time, or one that clocks leave out when they go forward; at
            `time_zone`: there is none of the name.
    """
    try:
        ZoneInfo(zone or "UTC")
    except (KeyError, ValueError):
        raise FormValidationError({"time_zone": "There is no such zone."}) from None
    times: dict[str, Any] = {}
    for name in names:
        text = data[name]
        known: datetime | None = getattr(before, name, None) if before is not None else None
        if not text:
            times[name] = None
        elif known is not None and text == for_form(in_local(known, zone)):
            times[name] = known.astimezone(UTC)
        else:
            times[name] = _meant(name, text, zone)
    return times


def _meant(name: str, text: str, zone: str) -> datetime:
    try:
        wall = datetime.fromisoformat(text).replace(tzinfo=None)
        time = wall.replace(tzinfo=ZoneInfo(zone or "UTC")).astimezone(UTC)
        shown = in_local(time, zone).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise FormValidationError({name: "Write a day and a time."}) from None
    if shown != wall:
        raise FormValidationError({name: f"Clocks go forward then: there is no {wall:%H:%M} on that day."})
    return time
