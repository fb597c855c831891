"""Old programs on newer schemas: which of them start in the middle of an upgrade, and which say why they do not.

A later release is this one's migrations and some more, in a folder of the test.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, create_engine, text
from structlog.testing import capture_logs
from typer.testing import CliRunner

from rowlock.v1 import booking_pb2 as pb
from server import resources
from server.cli import build
from server.config import Settings, StartError
from server.db.engine import Database
from server.db.migrate import MIGRATIONS, Fit, fit, upgrade
from server.start_checks import ready_settings
from tests.eventually import eventually
from tests.server_processes import Customers, server_process
from tests.staging import stage

HEAD = max(path.stem[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))

# What an upgrade may do under the feet of a running release: add what that one does not need to know.
EXPAND = """
    op.execute("ALTER TABLE bookings ADD COLUMN seen_from text NOT NULL DEFAULT 'nowhere'")
    op.execute("CREATE TABLE sightings (performance_id bigint, id uuid, PRIMARY KEY (performance_id, id))")
    op.execute('''
        CREATE FUNCTION sight() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO sightings SELECT performance_id, id FROM new_rows; RETURN NULL; END $$''')
    op.execute('''
        CREATE TRIGGER sight AFTER INSERT ON bookings REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION sight()''')
"""
NOTHING = "    pass"

Release = Callable[..., Path]


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """Makes the migrations of a later release: with ``(revision, oldest program, what it does)`` after this one's."""

    def make(*further: tuple[str, str, str]) -> Path:
        folder = tmp_path / f"release-{uuid4().hex}"
        shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        before = HEAD
        for revision, oldest_program, work in further:
            (folder / "versions" / f"{revision}.py").write_text(
                "from alembic import op\nfrom server.db.migrate import concurrently\n\n"
                f"revision = {revision!r}\ndown_revision = {before!r}\noldest_program = {oldest_program!r}\n\n\n"
                f"def upgrade() -> None:\n{work}\n"
            )
            before = revision
        return folder

    return make


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """Somebody who looks at bookings for as long as they like."""
    engine = create_engine(url, isolation_level="REPEATABLE READ")
    with engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM bookings"))
        yield reader
    engine.dispose()


def started(url: str, valkey_url: str) -> Settings:
    return ready_settings(Settings(database_url=url, redis_url=valkey_url))


def test_every_migration_says_which_program_still_runs_after_it(fresh_database: Database) -> None:
    query = text("SELECT revision, oldest_program FROM migrations ORDER BY revision")
    rows = fresh_database.run_transaction(lambda session: session.execute(query).all())
    files = sorted((MIGRATIONS / "versions").glob("[0-9]*.py"))
    assert [revision for revision, _ in rows] == [path.stem[:4] for path in files]
    # Those before it was kept allow nobody older; all others have to say it.
    silent = [path.name for path in files if path.stem[:4] > "0010" and "oldest_program = " not in path.read_text()]
    assert silent == []
    assert [program for revision, program in rows if revision <= "0010"] == [f"{n:04}" for n in range(1, 11)]


async def test_an_old_server_that_ends_during_an_upgrade_starts_again_and_sells(
    fresh_database: Database, fresh_database_url: str, valkey_url: str, release: Release
) -> None:
    house = fresh_database.run_transaction(stage)
    newer = release(("9001", HEAD, EXPAND), ("9002", HEAD, NOTHING))
    assert upgrade(fresh_database_url, migrations=newer) is Fit.EXACT
    assert fit(fresh_database_url) is Fit.NEWER

    with capture_logs() as logs:
        started(fresh_database_url, valkey_url)
    assert [line["event"] for line in logs] == ["schema.newer"]

    async with server_process(fresh_database_url, valkey_url) as server:
        request = pb.CreateBookingRequest(
            parent=resources.performance(house.performance_id),
            seats=[pb.SeatClaim(seat=house.hall.places[0].id)],
            request_id=str(uuid4()),
        )
        booking = await server.bookings.CreateBooking(request, metadata=Customers(fresh_database).token())
    assert booking.state == pb.Booking.HELD


def test_a_program_is_refused_by_a_migration_that_takes_away_what_it_needs(
    fresh_database_url: str, valkey_url: str, release: Release
) -> None:
    expanded, contracted = ("9001", HEAD, EXPAND), ("9002", "9001", NOTHING)
    upgrade(fresh_database_url, migrations=release(expanded, contracted))

    assert fit(fresh_database_url) is Fit.TOO_NEW
    assert fit(fresh_database_url, migrations=release(expanded)) is Fit.NEWER
    with pytest.raises(StartError, match="newer version"):
        started(fresh_database_url, valkey_url)


def test_what_came_later_does_not_hide_what_a_program_needs(fresh_database_url: str, release: Release) -> None:
    contracted = ("9001", "9001", NOTHING)
    upgrade(fresh_database_url, migrations=release(contracted))
    upgrade(fresh_database_url, migrations=release(contracted, ("9002", HEAD, NOTHING)))

    assert fit(fresh_database_url) is Fit.TOO_NEW


def test_a_schema_that_nobody_vouches_for_is_refused(
    fresh_database: Database, fresh_database_url: str, release: Release
) -> None:
    upgrade(fresh_database_url, migrations=release(("9001", HEAD, NOTHING)))
    fresh_database.run_transaction(lambda session: session.execute(text("DELETE FROM migrations")))
    assert fit(fresh_database_url) is Fit.TOO_NEW
    fresh_database.run_transaction(lambda session: session.execute(text("DROP TABLE migrations")))
    assert fit(fresh_database_url) is Fit.TOO_NEW


def test_the_way_back_to_the_version_before_needs_no_migration(fresh_database_url: str, release: Release) -> None:
    upgrade(fresh_database_url, migrations=release(("9001", HEAD, EXPAND)))

    runner = CliRunner(env={"ROWLOCK_DATABASE_URL": fresh_database_url})
    done = runner.invoke(build("migrate"), ["migrate"])

    assert (done.exit_code, "suits this one" in done.output) == (0, True)


def test_an_old_migrate_leaves_a_schema_alone_with_which_it_cannot_work(
    fresh_database_url: str, release: Release
) -> None:
    upgrade(fresh_database_url, migrations=release(("9001", "9001", NOTHING)))
    with pytest.raises(StartError, match="newer version"):
        upgrade(fresh_database_url)


def test_a_migration_that_fails_is_not_kept_as_applied(fresh_database_url: str, release: Release) -> None:
    with pytest.raises(Exception, match="division by zero"):
        upgrade(fresh_database_url, migrations=release(("9001", HEAD, "    op.execute('SELECT 1 / 0')")))
    assert fit(fresh_database_url) is Fit.EXACT


async def test_an_index_is_built_beside_long_transactions_and_other_migrations(
    fresh_database: Database, fresh_database_url: str, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.db.migrate._LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr("server.db.migrate._PAUSE", 0.01)
    monkeypatch.setattr("server.db.migrate._ATTEMPTS", 1)
    index = """
    with concurrently():
        op.execute("CREATE INDEX CONCURRENTLY ix_sightings ON bookings (create_time)")
"""
    newer = release(("9001", HEAD, index))
    building = text(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND wait_event = 'virtualxid'"
    )
    with reading(fresh_database_url) as reader:
        migrating = [
            asyncio.create_task(asyncio.to_thread(upgrade, fresh_database_url, migrations=newer)) for _ in range(3)
        ]

        def waits() -> bool:
            return bool(fresh_database.run_transaction(lambda session: session.scalar(building)))

        await eventually(waits, 60)
        reader.rollback()
    assert await asyncio.wait_for(asyncio.gather(*migrating), 60) == [Fit.EXACT] * 3


async def test_a_migration_waits_for_a_table_without_making_buyers_wait(
    fresh_database_url: str, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.db.migrate._LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr("server.db.migrate._PAUSE", 0.05)
    monkeypatch.setattr("server.db.migrate._ATTEMPTS", 10_000)
    newer = release(("9001", HEAD, EXPAND))
    with capture_logs() as logs, reading(fresh_database_url) as reader:
        migrating = asyncio.create_task(asyncio.to_thread(upgrade, fresh_database_url, migrations=newer))
        await eventually(lambda: any(line["event"] == "migrate.table_in_use" for line in logs), 60)
        assert not migrating.done()
        reader.rollback()
        assert await asyncio.wait_for(migrating, 60) is Fit.EXACT
