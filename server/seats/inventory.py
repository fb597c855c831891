"""The places of a performance: made once, with the performance."""

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from server.db.models.inventory import Inventory


def create_inventory(session: Session, performance_id: int, place_count: int) -> None:
    """Make one available seat for each place of the hall, and the counts that go with them."""
    session.execute(
        text("INSERT INTO seats (performance_id, place) SELECT :id, n FROM generate_series(0, :last) n"),
        {"id": performance_id, "last": place_count - 1},
    )
    session.execute(insert(Inventory).values(performance_id=performance_id, total=place_count, available=place_count))


def delete_inventory(session: Session, performance_id: int) -> None:
    """Remove the places of a performance that nobody ever booked."""
    for table in ("seats", "seat_changes", "quotas", "inventories"):
        session.execute(text(f"DELETE FROM {table} WHERE performance_id = :id"), {"id": performance_id})  # noqa: S608
