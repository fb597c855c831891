"""What staff list over all performances: pages are read along an index, and rows are counted up to a limit."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, event, func, select, text
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.db.ids import new_id
from server.domain import booking_search, bookings, cash_dues, payment_reads, refund_reads
from server.domain.rows import MOST_COUNTED, count_up
from server.domain.signing_keys import keys_of
from server.states import BookingState, PaymentState, RefundState
from server.tickets.codes import ticket_code

AFTER = (datetime(2026, 5, 1, tzinfo=UTC), UUID(int=7))
ANYBODY: dict[str, Any] = {"performance_id": None, "after": AFTER, "limit": 51}
ALL: dict[str, Any] = ANYBODY | {"booking_id": None, "owner": None}
READS = re.compile(r"\b(bookings|payments|refunds|book_entries)\b")

KEYS = keys_of([Ed25519PrivateKey.generate()])
NAMES = {
    "id": str(new_id()),
    "ticket": ticket_code(KEYS, 7, new_id(), new_id()),
    "reference": "SIM-1",
}

LISTS: dict[str, Callable[[Session], object]] = {
    "bookings": lambda session: bookings.list_bookings(session, **ANYBODY, customer_id=None, state=None),
    **{
        f"bookings by {what}": lambda session, text=text: bookings.list_bookings(  # type: ignore[misc]
            session, **ANYBODY, customer_id=None, state=None, named=booking_search.named_by(text, None, KEYS)
        )
        for what, text in NAMES.items()
    },
    "payments": lambda session: payment_reads.list_payments(session, **ALL, state=None),
    "payments to look at": lambda session: payment_reads.list_payments(
        session, **ALL, state=None, only_discrepancies=True
    ),
    "refunds": lambda session: refund_reads.list_refunds(session, **ALL, payment_id=None, state=None),
    "refunds to look at": lambda session: refund_reads.list_refunds(
        session, **ALL, payment_id=None, state=None, only_discrepancies=True
    ),
    "cash due": lambda session: cash_dues.list_cash_due(session, **ANYBODY),
}
for booking_state in BookingState:
    LISTS[f"bookings that are {booking_state.name}"] = lambda session, state=booking_state: bookings.list_bookings(  # type: ignore[misc]
        session, **ANYBODY, customer_id=None, state=state
    )
for payment_state in PaymentState:
    LISTS[f"payments that are {payment_state.name}"] = lambda session, state=payment_state: (  # type: ignore[misc]
        payment_reads.list_payments(session, **ALL, state=state)
    )
for refund_state in RefundState:
    LISTS[f"refunds that are {refund_state.name}"] = lambda session, state=refund_state: refund_reads.list_refunds(  # type: ignore[misc]
        session, **ALL, payment_id=None, state=state
    )


OF_ONE_PERFORMANCE: dict[str, Callable[[Session], object]] = {
    "bookings": lambda session: bookings.list_bookings(
        session, **ANYBODY | {"performance_id": 1}, customer_id=None, state=BookingState.CONFIRMED
    ),
    "payments": lambda session: payment_reads.list_payments(
        session, **ALL | {"performance_id": 1}, state=PaymentState.SUCCEEDED
    ),
    "refunds": lambda session: refund_reads.list_refunds(
        session, **ALL | {"performance_id": 1}, payment_id=None, state=RefundState.SUCCEEDED
    ),
}
MOST_ARE = {"bookings that are CONFIRMED", "payments that are SUCCEEDED", "refunds that are SUCCEEDED"}
"""What most rows are is counted to the limit wherever one begins: it needs no index, and has none."""


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_staff_reads_no_table_as_a_whole(database: Database, name: str) -> None:
    plans = plans_of(database, LISTS[name])
    assert plans
    for statement, plan in plans:
        assert "Limit" in plan
        if "count(" in statement and name in MOST_ARE:
            continue
        assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize("name", OF_ONE_PERFORMANCE)
def test_a_list_of_one_performance_does_not_walk_through_those_of_others(database: Database, name: str) -> None:
    """Nor along the index of times, on which those of one performance may lie far from the end."""
    for _, plan in plans_of(database, OF_ONE_PERFORMANCE[name]):
        assert re.search(r"Index Cond: .*performance_id = ", plan), plan
        assert "_create_time" not in plan, plan


def plans_of(database: Database, listing: Callable[[Session], object]) -> list[tuple[str, str]]:
    """The statements of a list, each with how it would be read if there were millions of rows."""
    said: list[tuple[str, Any]] = []

    def hear(_connection: Connection, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if READS.search(statement):
            said.append((statement, values))

    def work(session: Session) -> list[tuple[str, str]]:
        # As PostgreSQL would choose with millions of rows, of which a test has none.
        session.execute(text("SET LOCAL enable_seqscan = off"))
        connection = session.connection()
        event.listen(connection, "before_cursor_execute", hear)
        listing(session)
        event.remove(connection, "before_cursor_execute", hear)
        return [
            (statement, "\n".join(line for (line,) in connection.exec_driver_sql(f"EXPLAIN {statement}", values)))
            for statement, values in said
        ]

    return database.run_transaction(work)


def test_a_list_is_counted_up_to_a_limit(database: Database) -> None:
    def counted(session: Session, rows: int) -> int:
        return count_up(session, select(func.generate_series(1, rows).label("n")))

    assert database.run_transaction(lambda s: counted(s, MOST_COUNTED - 1)) == MOST_COUNTED - 1
    assert database.run_transaction(lambda s: counted(s, MOST_COUNTED + 1)) == MOST_COUNTED
