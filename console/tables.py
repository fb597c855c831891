"""Tables and timelines on the page of a resource: what belongs to it, below what it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette_admin.fields import StringField

from console.columns import colour_of
from console.narrowing import worded


@dataclass(frozen=True, slots=True)
class Cell:
    """One value.

    Args:
        text: what people read.
        url: where it leads; empty: nowhere.
        colour: of a badge around it; empty: none.
        note: in small letters behind it.
    """

    text: str
    url: str = ""
    colour: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings.

    Args:
        headings: one for each column.
        rows: cells for each column.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Happening:
    """One entry of a timeline.

    Args:
        time: when, as people read it.
        title: what.
        who: who did it, as the end of the sentence; empty: that is not known.
        states: the state before and the one after, as words; either may be empty.
        facts: amounts, places, reasons: what else there is to say.
        about: what it happened to.
    """

    time: str
    title: str
    who: str
    states: tuple[Cell, Cell]
    facts: Sequence[str]
    about: Cell


@dataclass
class Rows(StringField):
    """A table of its own, below the other fields. Its value is a `Table`."""

    wide: bool = True
    exclude_from_list: bool | None = True
    exclude_from_export: bool | None = True
    exclude_from_create: bool | None = True
    exclude_from_edit: bool | None = True
    detail_template: str = "columns/rows.html"

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """As it is: the template reads it."""
        return value


@dataclass
class Timeline(Rows):
    """What happened, the oldest first. Its value is a list of `Happening`."""

    detail_template: str = "columns/timeline.html"


def state_cell(name: str) -> Cell:
    """A state's name as the API has it, as a badge."""
    return Cell(worded(name), colour=colour_of(name)) if name else Cell("")


def short(name: str) -> str:
    """What people call a resource whose id is a UUID: the end of it, as its beginning is the time when it was made."""
    return name.rpartition("/")[2][-8:]


def performance_of(name: str) -> str:
    """The performance in the name of what belongs to it."""
    return "/".join(name.split("/")[:2])
