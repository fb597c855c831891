"""Page tokens: opaque, and bound to the query that they continue.

A token holds where the page ended (the sort key of its last row) and a digest over that and the query: the request
without its page fields. So a token that was edited, or that comes with another filter, another parent or another
RPC, is refused. The digest has no key: a token grants nothing that the request itself would not, because every
query applies its filters anew, and the types of what it holds are checked.

Use::

    page = page_of(request, datetime, UUID)
    rows = await database.read(lambda session: list_users(session, after=page.after, limit=page.limit))
    users, next_page_token = page.cut(rows, key=lambda user: (user.create_time, user.id))
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from server.errors import FieldFault, InvalidArgument

DEFAULT_SIZE: Final = 50
MAX_SIZE: Final = 1000

Cursor = tuple[Any, ...]
"""The sort key of a row: ints, strings, UUIDs and aware datetimes."""

Row = TypeVar("Row")

_DIGEST_BYTES: Final = 12
_VERSION: Final = 1


class ListRequest(Protocol):
    """What every List request has."""

    page_size: int
    page_token: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page that was asked for.

    Attributes:
        size: how many rows to return at most, 1 to 1000.
        after: the sort key behind which the page begins; None: at the start.
        query: the digest of the query, for the next token.
    """

    size: int
    after: Cursor | None
    query: bytes

    @property
    def limit(self) -> int:
        """How many rows to read: one more than are shown, which tells whether there is a next page."""
        return self.size + 1

    def cut(self, rows: Sequence[Row], key: Callable[[Row], Cursor]) -> tuple[Sequence[Row], str]:
        """Return the rows of this page, and the token of the next one ("" if this is the last).

        Args:
            rows: up to ``limit`` rows, in order.
            key: gives a row's sort key, of the types that were given to ``page_of``.
        """
        if len(rows) <= self.size:
            return rows, ""
        shown = rows[: self.size]
        return shown, _write(key(shown[-1]), self.query)


def page_of(request: ListRequest, *kinds: type, scope: str = "") -> Page:
    """Read which page a List request asks for.

    Args:
        request: the request; page_size 0 means 50, and more than 1000 counts as 1000.
        kinds: the types of the sort key, such as ``datetime, UUID``.
        scope: anything else that selects the rows, such as the caller's id where the list is the caller's own.

    Raises:
        InvalidArgument: PAGE_TOKEN_INVALID, or a negative size.
    """
    if request.page_size < 0:
        raise InvalidArgument.of("page_size", "must not be negative")
    query = _query(request, scope)
    after = _read(request.page_token, query, kinds) if request.page_token else None
    return Page(min(request.page_size or DEFAULT_SIZE, MAX_SIZE), after, query)


def _query(request: ListRequest, scope: str) -> bytes:
    assert isinstance(request, Message)  # noqa: S101 - the protocol only names the two fields that are used
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("page_size")
    bare.ClearField("page_token")
    digest = hashlib.blake2b(request.DESCRIPTOR.full_name.encode() + b"\0" + scope.encode() + b"\0")
    digest.update(bare.SerializeToString(deterministic=True))
    return digest.digest()


def _seal(body: bytes, query: bytes) -> bytes:
    return hashlib.blake2b(query + body, digest_size=_DIGEST_BYTES, person=b"rowlock page").digest()


def _write(cursor: Cursor, query: bytes) -> str:
    body = json.dumps([_VERSION, *map(_plain, cursor)], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_seal(body, query) + body).rstrip(b"=").decode()


def _read(token: str, query: bytes, kinds: tuple[type, ...]) -> Cursor:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        seal, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        # The last character of base64 has spare bits: without this, some edits would go unseen.
        if seal != _seal(body, query) or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
            raise _refused()
        version, *values = json.loads(body)
        if version != _VERSION or len(values) != len(kinds):
            raise _refused()
        return tuple(_typed(value, kind) for value, kind in zip(values, kinds, strict=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise _refused() from error


def _plain(value: object) -> int | str:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, int) else str(value)


def _typed(value: object, kind: type) -> object:
    if kind is UUID and isinstance(value, str):
        return UUID(value)
    if kind is datetime and isinstance(value, str):
        time = datetime.fromisoformat(value)
        if time.tzinfo is not None:
            return time
    elif kind is int and type(value) is int and -(2**63) <= value < 2**63:
        return value
    elif kind is str and isinstance(value, str) and "\0" not in value:
        return value.encode().decode()  # a lone surrogate is a ValueError
    raise _refused()


def _refused() -> InvalidArgument:
    return InvalidArgument(
        "PAGE_TOKEN_INVALID",
        "the page_token does not belong to this query; list from the start",
        fields=[FieldFault("page_token", "was changed, or belongs to another query")],
    )
