"""What sweeps look for they find by an index of times, however many rows wait for a later time."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.db.models.notifications import Notification
from server.db.models.payments import Payment, Refund
from server.db.models.webhooks import ProviderWebhook
from server.domain import allocations, deliveries, housekeeping, payment_comparison, refund_pace, webhooks
from server.domain.backlog import backlog
from server.domain.due import take_up
from server.domain.revocations import revoked_within
from server.domain.waiting_room_admission import end_run_out
from server.seats.change_log import trim
from server.states import Provider

SOON = timedelta(seconds=30)
COMPARED = re.compile("_time [<>]")

SWEEPS: dict[str, Callable[[Session], object]] = {
    "payments": lambda session: take_up(session, Payment, 10, SOON),
    "refunds": lambda session: take_up(session, Refund, 10, SOON, only=Refund.provider == Provider.SIMULATOR),
    "paced refunds": lambda session: refund_pace.take_due(session, 10, SOON, 5.0),
    "mails": lambda session: take_up(session, Notification, 10, SOON, first=["bulk"]),
    "messages of providers": lambda session: take_up(session, ProviderWebhook, 10, SOON),
    "old messages of providers": lambda session: webhooks.delete_outdated(session, SOON, 10),
    "comparisons": lambda session: payment_comparison.take_comparable(session, 10, SOON, SOON),
    "deliveries to partners": lambda session: deliveries.take_due(session, 10, SOON, 4, {}),
    "old records of deliveries": lambda session: deliveries.delete_outdated(session, SOON, 10),
    "allocations": lambda session: allocations.due_allocations(session, 10),
    "admissions": lambda session: end_run_out(session, 10),
    "old answers to requests, ended sessions and old codes": lambda session: housekeeping.delete_outdated(
        session, answers_after=SOON, limit=10
    ),
    "revocations": lambda session: revoked_within(session, SOON),
    "old changes of seats": lambda session: trim(session, retention=SOON, limit=10),
}


@pytest.mark.parametrize("sweep", SWEEPS.values(), ids=SWEEPS.keys())
def test_a_sweep_finds_what_is_due_by_an_index_of_times(database: Database, sweep: Callable[[Session], object]) -> None:
    said: list[tuple[str, Any]] = []

    def hear(_connection: Connection, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if COMPARED.search(statement):
            said.append((statement, values))

    def work(session: Session) -> list[str]:
        # As PostgreSQL would choose with millions of rows, of which a test has none.
        session.execute(text("SET LOCAL enable_seqscan = off"))
        connection = session.connection()
        event.listen(connection, "before_cursor_execute", hear)
        sweep(session)
        event.remove(connection, "before_cursor_execute", hear)
        return [
            "\n".join(line for (line,) in connection.exec_driver_sql(f"EXPLAIN {statement}", values))
            for statement, values in said
        ]

    plans = database.run_transaction(work)
    assert plans
    for plan in plans:
        assert any("Index Cond" in line and COMPARED.search(line) for line in plan.splitlines()), plan


def test_what_waits_is_counted_without_reading_what_is_done(database: Database) -> None:
    """Prometheus is told every few seconds, and of ten million payments hardly any waits."""
    said: list[str] = []

    def work(session: Session) -> list[str]:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        connection = session.connection()
        event.listen(connection, "before_cursor_execute", lambda *heard: said.append(heard[2]), once=True)
        backlog(session)
        return [line for (line,) in connection.exec_driver_sql(f"EXPLAIN {said[0]}")]

    plan = database.run_transaction(work)
    assert not [line for line in plan if "Seq Scan" in line]
