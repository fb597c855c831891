"""What a list can be narrowed to: the fields above it, and what a browser sent in them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from starlette.exceptions import HTTPException
from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words, or none.

    Args:
        name: of the query parameter.
        label: what people read.
        choices: value and label of each.
        none: the label of none of them; empty: there always is one, the first if nothing is said.
    """

    name: str
    label: str
    choices: Sequence[tuple[str, str]]
    none: str = "any"
    kind: str = "choice"


@dataclass(frozen=True, slots=True)
class Words:
    """Text, such as a name or an address."""

    name: str
    label: str
    placeholder: str = ""
    kind: str = "words"


@dataclass(frozen=True, slots=True)
class Named:
    """A resource: chosen among those that there are, and in a link by its name or its number.

    Args:
        name: of the query parameter.
        label: what people read.
        collection: of the resources, such as `performances`.
        choices: reads names and labels of those to choose from, see `console.choices`.
    """

    name: str
    label: str
    collection: str
    choices: Callable[[Request], Awaitable[Sequence[tuple[str, str]]]]
    kind: str = "named"

    def in_full(self, text: str) -> str:
        """The resource's name, of which links may have the number only: `7` is `performances/7`. Empty: none."""
        text = text.strip()
        return f"{self.collection}/{text}" if text and "/" not in text else text


@dataclass(frozen=True, slots=True)
class Moment:
    """A day and time, by UTC."""

    name: str
    label: str
    kind: str = "moment"


Narrowing = Choice | Words | Named | Moment


async def offer(request: Request, fields: Sequence[Narrowing]) -> None:
    """Read what fields offer to choose from, for the page that shows them: `request.state.offered`."""
    named = [field for field in fields if isinstance(field, Named)]
    read = await asyncio.gather(*(field.choices(request) for field in named))
    request.state.offered = {field.name: choices for field, choices in zip(named, read, strict=True)}


def read_narrowed(fields: Sequence[Narrowing], query: Mapping[str, str]) -> dict[str, str]:
    """What a browser sent in the fields; empty where it sent nothing.

    Raises:
        HTTPException: 400, a value that no field could have sent.
    """
    found = {field.name: query.get(field.name, "").strip() for field in fields}
    for field in fields:
        value = found[field.name]
        if isinstance(field, Choice) and value and value not in {choice for choice, _ in field.choices}:
            raise HTTPException(400, f"{field.label}: {value!r} is none of the choices")
        if isinstance(field, Named):
            found[field.name] = field.in_full(value)
        if isinstance(field, Moment):
            moment(value)
    return found


def moment(text: str) -> Timestamp | None:
    """A time as a browser's field sends it (`2027-01-31T19:30`), as UTC; None: the field was left empty.

    Raises:
        HTTPException: 400, it is none.
    """
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise HTTPException(400, f"{text!r} is no time: write 2027-01-31T19:30") from None
    stamp = Timestamp()
    stamp.FromDatetime(time if time.tzinfo else time.replace(tzinfo=UTC))
    return stamp


def member(kind: Any, name: str) -> Any:
    """The member of an enum of the API that was chosen; the one that says nothing where nothing was."""
    return kind.Value(name) if name else 0


def words_of(kind: Any) -> list[tuple[str, str]]:
    """The members of an enum of the API as choices, without the one that says nothing."""
    return [(name, worded(name)) for name, number in kind.items() if number != 0]


def worded(name: str) -> str:
    """`REQUIRES_ACTION` as people read it: `Requires action`."""
    return name.replace("_", " ").capitalize()
