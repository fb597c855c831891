"""Fields that the pages share: states as badges, amounts, times, names that lead to their pages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette_admin import RequestAction
from starlette_admin.fields import BooleanField, DateTimeField, EnumField, StringField

from console.narrowing import worded, words_of

_COLOURS: Final = {
    "green": "CONFIRMED SUCCEEDED SENT PUBLISHED ON_SALE ADMITTED OPEN VALID ACTIVE DELIVERED USED ANSWERED DONE",
    "yellow": "HELD PENDING PROCESSING REQUIRES_ACTION UNKNOWN WAITING QUEUED DRAFT SCHEDULED",
    "red": "FAILED CANCELLED DEAD REFUSED GIVEN_UP DISABLED",
    "secondary": "EXPIRED REFUNDED RELEASED CLOSED LEFT",
}
_COLOUR_OF: Final = {word: colour for colour, words in _COLOURS.items() for word in words.split()}


def colour_of(state: str) -> str:
    """What a state's badge is coloured with, by the state's name in the API."""
    return _COLOUR_OF.get(state, "azure")


@dataclass
class State(StringField):
    """A state, as a word on a colour. The word says it all: nobody has to see the colour."""

    list_template: str = "columns/badge.html"
    detail_template: str = "columns/badge.html"
    read_only: bool | None = True
    exclude_from_create: bool | None = True
    exclude_from_edit: bool | None = True

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """The word, and its colour."""
        if request.state.action == RequestAction.EXPORT:
            return worded(str(value))
        return {"word": worded(str(value)), "colour": colour_of(str(value))}


@dataclass
class Flag(BooleanField):
    """Yes or no, as a word: neither is good or bad by itself."""

    list_template: str = "columns/flag.html"
    detail_template: str = "columns/flag.html"


@dataclass
class Amount(StringField):
    """An amount of money, as `console.records.amount` writes it; pages do not let it be edited here."""

    read_only: bool | None = True
    exclude_from_create: bool | None = True
    exclude_from_edit: bool | None = True


def time_text(time: datetime | None) -> str:
    """A time by UTC, to the second; empty: there is none."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else ""


@dataclass
class Moment(DateTimeField):
    """A time, shown by UTC; forms take theirs by `console.local_times.LocalMoment`."""

    read_only: bool | None = True
    exclude_from_create: bool | None = True
    exclude_from_edit: bool | None = True

    async def serialize_value(self, request: Request, value: Any) -> str:
        """As people read it; in a file, as programs do."""
        return str(value.isoformat()) if request.state.action == RequestAction.EXPORT else time_text(value)


@dataclass
class Reference(StringField):
    """The name of another resource, which leads to its page.

    Args:
        view: the key of the view that shows it; the name itself is the key of the row.
        text: the attribute with what people call it; empty, or nothing in it: the name itself is shown.
    """

    view: str = ""
    text: str = ""
    list_template: str = "columns/reference.html"
    detail_template: str = "columns/reference.html"
    read_only: bool | None = True
    exclude_from_create: bool | None = True
    exclude_from_edit: bool | None = True

    async def parse_obj(self, request: Request, obj: Any) -> Any:
        """The name, and what to show of it; None: there is none."""
        name = await super().parse_obj(request, obj)
        return (str(name), str(getattr(obj, self.text, "") or name)) if name else None

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """What to show, and where it leads. In a file: the name."""
        name, shown = value
        if request.state.action == RequestAction.EXPORT:
            return name
        url = request.url_for("console:detail", key=self.view).include_query_params(pk=name)
        return {"name": shown, "url": str(url)}


def enum_field(name: str, kind: Any, **more: Any) -> EnumField:
    """A choice of a member of an enum of the API."""
    return EnumField(name, choices=words_of(kind), **more)
