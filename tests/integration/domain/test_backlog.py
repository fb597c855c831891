"""What waits, and what waits for people, as operators see it."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from server.cli import build
from server.db.engine import Database
from server.db.ids import new_id
from server.domain.backlog import Backlog, backlog


@pytest.fixture(scope="module")
def kinds(database: Database) -> dict[str, Backlog]:
    """Each kind of work, in a database with a refund that failed, an allocation that is overdue, and two holds."""

    def work(session: Session) -> None:
        session.execute(
            text(
                "INSERT INTO refunds (performance_id, id, booking_id, payment_id, provider, provider_key, state,"
                " amount, currency, reason, error_reason)"
                " VALUES (1, :id, :id, :id, 1, :id, 4, 100, 'EUR', 'late', 'CLOSED_ACCOUNT')"
            ),
            {"id": new_id()},
        )
        session.execute(
            text(
                "INSERT INTO allocations (performance_id, id, owner, release_time, create_time, update_time)"
                " VALUES (1, :id, 'Sponsor', now() - interval '1 hour', now(), now())"
            ),
            {"id": new_id()},
        )
        for minutes in (-2, 13):
            session.execute(
                text(
                    "INSERT INTO bookings (performance_id, id, customer_id, state, places, ticket_type_ids, prices,"
                    " currency, hold_start_time, hold_expire_time, create_time, update_time)"
                    " VALUES (1, :id, :id, 1, '{0}', '{1}', '{100}', 'EUR', now(),"
                    " now() + make_interval(mins => :minutes), now(), now())"
                ),
                {"id": new_id(), "minutes": minutes},
            )

    database.run_transaction(work)
    return {one.kind: one for one in database.run_transaction(backlog)}


def test_what_failed_and_what_is_overdue_is_counted(kinds: dict[str, Backlog]) -> None:
    assert kinds["refunds"].for_people == 1
    assert "retry-refund" in kinds["refunds"].remedy
    assert kinds["allocations"].waiting == 1
    overdue = kinds["allocations"].overdue
    assert overdue is not None
    assert timedelta(minutes=59) < overdue < timedelta(minutes=61)
    payments = kinds["payments"]
    assert (payments.waiting, payments.overdue, payments.for_people) == (0, None, 0)
    assert "compare-books" in payments.remedy


def test_a_hold_waits_for_its_end_only_when_that_has_come(kinds: dict[str, Backlog]) -> None:
    holds = kinds["holds that ran out"]
    assert holds.waiting == 1
    assert holds.overdue is not None
    assert holds.overdue > timedelta(minutes=1)


def test_every_due_column_of_the_schema_is_in_it(database: Database, kinds: dict[str, Backlog]) -> None:
    """A table whose rows a worker takes up by their time must be seen here, or its backlog grows unnoticed."""
    due = database.run_transaction(
        lambda session: session.scalars(
            text(
                "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'public'"
                " AND column_name IN ('next_attempt_time', 'wind_up_time', 'release_time', 'next_admission_time')"
            )
        ).all()
    )
    tables = {
        "payments",
        "refunds",
        "notifications",
        "provider_webhooks",
        "performances",
        "allocations",
        "waiting_rooms",
        "webhook_lanes",
    }
    assert set(due) == tables
    # And holds, changes to be placed, endpoints that are off, and money in doubt, which is for people alone.
    assert len(kinds) == len(tables) + 4


def test_the_command_ends_with_a_status_that_programs_can_use(
    database: Database, kinds: dict[str, Backlog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWLOCK_DATABASE_URL", database.url)
    shown = CliRunner().invoke(build("backlog"), ["backlog"])
    assert shown.exit_code == 1
    assert "rowlock retry-refund" in shown.output
