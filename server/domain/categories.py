"""Categories: the kinds of events. Their names are unique without regard to case."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server import resources
from server.db.models.catalogue import Category, Event
from server.domain.rows import Listing, behind, changed, count, found, locked, unique
from server.errors import FailedPrecondition


@dataclass(frozen=True, slots=True)
class CategoryValues:
    """What staff say of a category."""

    display_name: str
    description: str


def create(session: Session, values: CategoryValues) -> Category:
    """Make a category.

    Raises:
        AlreadyExists: the name is taken.
    """
    category = Category(display_name=values.display_name, description=values.description)
    with unique(session, "category.display_name", "another category has this name"):
        session.add(category)
    return category


def get(session: Session, category_id: int) -> Category:
    """Read a category.

    Raises:
        NotFound: there is none.
    """
    return found(session.get(Category, category_id), resources.category(category_id))


def lock(session: Session, category_id: int, etag: str, *, delete: bool = False) -> Category:
    """Lock a category for a change.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
    """
    query = select(Category).where(Category.id == category_id)
    return locked(session, query, resources.category(category_id), etag, key=delete)


def update(session: Session, category: Category, values: CategoryValues) -> None:
    """Give a locked category new values.

    Raises:
        AlreadyExists: the name is taken.
    """
    category.display_name = values.display_name
    category.description = values.description
    with unique(session, "category.display_name", "another category has this name"):
        changed(session, category)


def delete(session: Session, category_id: int, etag: str) -> None:
    """Delete a category that no event is in.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: IN_USE.
    """
    category = lock(session, category_id, etag, delete=True)
    events = count(session, select(Event.id).where(Event.category_id == category_id))
    if events:
        raise FailedPrecondition("IN_USE", f"{events} events are in this category", dependants=f"{events} events")
    session.delete(category)


def page(session: Session, after: tuple[str, int] | None, limit: int) -> Listing[Category]:
    """Categories by name, those behind ``after`` (name, id)."""
    query = select(Category)
    keys = (Category.display_name, Category.id)
    rows = query if after is None else query.where(behind(keys, after))
    return Listing(session.scalars(rows.order_by(*keys).limit(limit)).all(), count(session, query))
