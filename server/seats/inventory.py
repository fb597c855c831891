"""The places of a performance: made once, with the performance, and replaced only while nobody ever booked one."""

from sqlalchemy import insert, text, update
from sqlalchemy.orm import Session

from server.db.models.inventory import Inventory
from server.seats.rules import touch_rules


def create_inventory(session: Session, performance_id: int, place_count: int) -> None:
    """Make one available seat for each place of the hall, and the counts that go with them."""
    _add_seats(session, performance_id, place_count)
    session.execute(insert(Inventory).values(performance_id=performance_id, total=place_count, available=place_count))


def lock_inventory(session: Session, performance_id: int) -> None:
    """Keep the ledger off all places until this transaction ends, and make it read the rules again afterwards.

    Seats first, the inventory last: the order in which the ledger locks.
    """
    session.execute(
        text("SELECT count(*) FROM (SELECT FROM seats WHERE performance_id = :id ORDER BY place FOR UPDATE) AS locked"),
        {"id": performance_id},
    )
    touch_rules(session, performance_id)


def replace_inventory(session: Session, performance_id: int, place_count: int) -> None:
    """Make the places anew for another hall; ``lock_inventory`` came before, and nobody ever booked one.

    The revision moves on without a change in the log, so every watcher gets a fresh snapshot. What was blocked is free,
    and allocations end: their places are gone.
    """
    session.execute(
        text(
            "UPDATE allocations SET state = 2, version = version + 1, end_time = clock_timestamp(),"
            " update_time = clock_timestamp() WHERE performance_id = :id AND state = 1"
        ),
        {"id": performance_id},
    )
    for table in ("seats", "seat_changes"):
        session.execute(text(f"DELETE FROM {table} WHERE performance_id = :id"), {"id": performance_id})  # noqa: S608
    _add_seats(session, performance_id, place_count)
    session.execute(
        update(Inventory)
        .where(Inventory.performance_id == performance_id)
        .values(revision=Inventory.revision + 1, total=place_count, available=place_count, held=0, sold=0, blocked=0)
    )


def delete_inventory(session: Session, performance_id: int) -> None:
    """Remove the places of a performance that nobody ever booked."""
    for table in ("seats", "seat_changes", "allocations", "quotas", "inventories"):
        session.execute(text(f"DELETE FROM {table} WHERE performance_id = :id"), {"id": performance_id})  # noqa: S608


def _add_seats(session: Session, performance_id: int, place_count: int) -> None:
    session.execute(
        text("INSERT INTO seats (performance_id, place) SELECT :id, n FROM generate_series(0, :last) n"),
        {"id": performance_id, "last": place_count - 1},
    )
