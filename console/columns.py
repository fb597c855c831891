"""Fields that the pages share: states as badges, amounts, times, names that lead to their pages."""

from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette_admin.fields import DateTimeField, EnumField, StringField

from console.narrowing import worded, words_of

_COLOURS: Final = {
    "green": "CONFIRMED SUCCEEDED SENT PUBLISHED ON_SALE ADMITTED OPEN VALID ACTIVE DELIVERED USED ANSWERED DONE",
    "yellow": "HELD PENDING PROCESSING REQUIRES_ACTION UNKNOWN WAITING QUEUED DRAFT SCHEDULED",
    "red": "FAILED CANCELLED DEAD REFUSED GIVEN_UP DISABLED",
    "secondary": "EXPIRED REFUNDED RELEASED CLOSED LEFT",
}
_COLOUR_OF: Final = {word: colour for colour, words in _COLOURS.items() for word in words.split()}


@dataclass
class State(StringField):
    """A state, as a word on a colour. The word says it all: nobody has to see the colour."""

    list_template: str = "columns/badge.html"
    detail_template: str = "columns/badge.html"
    read_only: bool | None = True

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """The word, and its colour."""
        return {"word": worded(str(value)), "colour": _COLOUR_OF.get(str(value), "azure")}


@dataclass
class Amount(StringField):
    """An amount of money, as `console.records.amount` writes it; pages do not let it be edited here."""

    read_only: bool | None = True


@dataclass
class Moment(DateTimeField):
    """A time, shown by UTC."""


@dataclass
class Reference(StringField):
    """The name of another resource, which leads to its page.

    Args:
        view: the key of the view that shows it; the name itself is the key of the row.
    """

    view: str = ""
    list_template: str = "columns/reference.html"
    detail_template: str = "columns/reference.html"
    read_only: bool | None = True

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """The name, and where it leads; an empty one leads nowhere."""
        if not value:
            return {"name": "", "url": ""}
        url = request.url_for("console:detail", key=self.view).include_query_params(pk=value)
        return {"name": str(value), "url": str(url)}


def enum_field(name: str, kind: Any, **more: Any) -> EnumField:
    """A choice of a member of an enum of the API."""
    return EnumField(name, choices=words_of(kind), **more)
