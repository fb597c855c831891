"""Lists of bookings, tickets and payments cost a fixed number of statements, however long they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from server.db.engine import Database
from server.domain import payment_reads
from server.domain.bookings import changed_bookings, list_bookings, list_tickets
from server.states import BookingState
from tests.paying import desk_on
from tests.staging import hall_document, stage


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that are sent within the block."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


@pytest.mark.promise("3.7")
async def test_a_list_is_no_query_per_row(fresh_database: Database) -> None:
    database = fresh_database
    house = database.run_transaction(lambda s: stage(s, hall_document(), customer_limit=50))
    async with desk_on(database) as desk:
        bookings = [await desk.hold(house, place) for place in range(20)]
        for booking in bookings:
            await desk.captured(booking)
        await desk.settle()

        everything: dict[str, Any] = {"performance_id": None, "after": None, "limit": 50, "state": None}
        with counted(database) as statements:
            page = database.run_transaction(lambda s: list_bookings(s, customer_id=None, **everything))
        assert len(page.bookings) == 20
        assert len(statements) <= 3
        with counted(database) as statements:
            tickets = database.run_transaction(lambda s: list_tickets(s, booking_id=None, owner=None, **everything))
        assert len(tickets.tickets) == 20
        assert len(statements) <= 2
        with counted(database) as statements:
            paid = database.run_transaction(
                lambda s: payment_reads.list_payments(s, booking_id=None, owner=None, **everything)
            )
        assert len(paid.payments) == 20
        assert len(statements) <= 3
        with counted(database) as statements:
            changed = database.run_transaction(lambda s: changed_bookings(s, bookings))
        assert {booking.state for booking in changed} == {BookingState.CONFIRMED}
        assert len(statements) <= 2
