"""`rowlock audit` finds what is wrong, and says so by its exit status."""

from uuid import uuid4

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from server.audit import audit, oversold
from server.cli import build
from server.db.engine import Database
from server.seats.commands import Claim, Hold
from server.seats.ledger import Ledger
from tests.staging import Staged, stage


async def held(database: Database) -> Staged:
    """A performance with one booking of places 3 and 4."""
    house = database.run_transaction(stage)
    ledger = Ledger(database, lambda _: None)
    who = uuid4()
    await ledger.execute(
        Hold(performance_id=house.performance_id, customer_id=who, actor_id=who, claims=(Claim(3), Claim(4)))
    )
    await ledger.close()
    return house


def run(url: str) -> Result:
    return CliRunner(env={"ROWLOCK_DATABASE_URL": url, "ROWLOCK_REDIS_URL": "redis://127.0.0.1:1/0"}).invoke(
        build("audit"), ["audit"]
    )


async def test_a_sound_database_passes(fresh_database: Database, fresh_database_url: str) -> None:
    await held(fresh_database)

    done = run(fresh_database_url)

    assert done.exit_code == 0, done.output
    assert "keeps all of its" in done.output


@pytest.mark.parametrize(
    ("damage", "promise"),
    [
        ("UPDATE seats SET state = 1, booking_id = NULL WHERE place = 3", "S1"),
        ("UPDATE inventories SET available = available + 1, held = held - 1", "S2"),
        ("UPDATE bookings SET hold_expire_time = hold_expire_time + interval '1 hour'", "S5"),
        ("DELETE FROM quotas", "S8"),
        ("UPDATE seat_changes SET revision = revision + 5", "W"),
        ("UPDATE bookings SET state = 2", "S6"),
    ],
)
async def test_each_damage_is_found(
    fresh_database: Database, fresh_database_url: str, damage: str, promise: str
) -> None:
    await held(fresh_database)
    fresh_database.run_transaction(lambda session: session.execute(text(damage)))

    assert any(fault.startswith(promise) for fault in audit(fresh_database))
    done = run(fresh_database_url)
    assert done.exit_code == 1
    assert promise in done.stderr


async def test_a_place_with_two_bookings_is_counted(fresh_database: Database) -> None:
    house = await held(fresh_database)
    assert fresh_database.run_transaction(oversold) == 0

    fresh_database.run_transaction(
        lambda session: session.execute(
            text(
                "INSERT INTO bookings SELECT (jsonb_populate_record(b, jsonb_build_object('id', gen_random_uuid()))).*"
                " FROM bookings b WHERE performance_id = :id"
            ),
            {"id": house.performance_id},
        )
    )

    assert fresh_database.run_transaction(oversold) == 2
