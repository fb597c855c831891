"""What all parts of the catalogue do with a row: find it, lock it against its etag, mark it as changed, list it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from server.db.engine import sqlstate
from server.db.models.base import Timestamps
from server.domain.etags import require_current
from server.errors import AlreadyExists, FieldFault, NotFound

Row = TypeVar("Row")
Versioned = TypeVar("Versioned", bound=Timestamps)

SortKey: TypeAlias = ColumnElement[Any] | InstrumentedAttribute[Any]

MOST_COUNTED: Final = 10_000
"""How far the rows of a list are counted that may have millions: this number says that there may be more."""

_UNIQUE_VIOLATION: Final = "23505"


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """Some rows of a list in their order, and how many the whole list has."""

    rows: Sequence[Row]
    total: int


def found(row: Row | None, name: str) -> Row:
    """The row, if there is one.

    Args:
        row: what a query has found.
        name: the resource name by which it was asked for.

    Raises:
        NotFound: there is none.
    """
    if row is None:
        raise NotFound.of(name)
    return row


def locked(session: Session, query: Select[Versioned], name: str, etag: str = "", *, key: bool = False) -> Versioned:
    """Lock the one row of ``query`` until the transaction ends.

    Args:
        session: the transaction that will change the row.
        query: selects the row.
        name: what the row is called, for the refusal.
        etag: what the caller believes to be current; empty: does not care.
        key: whether the row is to be deleted, so that nothing may begin to refer to it.

    Raises:
        NotFound: there is no such row.
        Aborted: ETAG_MISMATCH.
    """
    query = query.with_for_update(key_share=not key).execution_options(populate_existing=True)
    row = found(session.scalars(query).one_or_none(), name)
    require_current(etag, row.version)
    return row


def referred(session: Session, query: Select[Versioned], name: str) -> Versioned:
    """Read the one row of ``query`` and see that it is neither changed nor deleted while the transaction lasts.

    Raises:
        NotFound: there is no such row.
    """
    query = query.with_for_update(read=True).execution_options(populate_existing=True)
    return found(session.scalars(query).one_or_none(), name)


def changed(session: Session, row: Timestamps) -> None:
    """Write a locked row's new values, under a new etag."""
    row.version += 1
    session.flush()
    session.refresh(row, ["update_time"])


@contextmanager
def unique(session: Session, field: str, description: str) -> Iterator[None]:
    """Turn a violated unique constraint of the block's rows into ALREADY_EXISTS.

    Args:
        session: flushed at the end of the block.
        field: the request's field that must be unique.
        description: what is taken, for people.

    Raises:
        AlreadyExists: with the field as its fault.
    """
    try:
        yield
        session.flush()
    except IntegrityError as error:
        if sqlstate(error) != _UNIQUE_VIOLATION:
            raise
        raise AlreadyExists(
            "ALREADY_EXISTS", description, fields=[FieldFault(field, "is taken")], field=field
        ) from error


def count(session: Session, query: Select[Any]) -> int:
    """How many rows a query has."""
    return session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0


def count_up(session: Session, query: Select[Any]) -> int:
    """How many rows a query has, counted up to ``MOST_COUNTED``: a list of millions is not read for a number."""
    return count(session, query.order_by(None).limit(MOST_COUNTED))


def newest_first(
    query: Select[Any],
    create_time: InstrumentedAttribute[datetime],
    row_id: InstrumentedAttribute[UUID],
    *,
    narrowed: bool,
    after: tuple[datetime, UUID] | None,
) -> Select[Any]:
    """A query of things of performances, the newest first, behind the last one of the page before.

    Ids lead with the time at which they were made. So what is narrowed to one performance is in the order of its
    primary key, and is read along that; what is not has an index of times.

    Args:
        query: what is listed.
        create_time: the column of when it was made.
        row_id: the column of its id.
        narrowed: whether it is of one performance.
        after: (create_time, id) of the last one of the page before; None: from the newest on.
    """
    if narrowed:
        query = query if after is None else query.where(row_id < after[1])
        return query.order_by(row_id.desc())
    if after is not None:
        query = query.where(tuple_(create_time, row_id) < after)
    return query.order_by(create_time.desc(), row_id.desc())


def behind(
    keys: Sequence[ColumnElement[Any] | InstrumentedAttribute[Any]],
    cursor: tuple[Any, ...],
    *,
    descending: bool = False,
) -> ColumnElement[bool]:
    """The condition that a row comes after ``cursor`` in the order of ``keys``."""
    here = tuple_(*keys)
    there = tuple_(*(literal(value, key.type) for key, value in zip(keys, cursor, strict=True)))
    return here < there if descending else here > there
