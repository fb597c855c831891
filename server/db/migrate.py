"""Bring a database to the newest schema, or say whether a program can work with the one that it has.

A program is known by the newest migration that it has: what it was written for. Each migration says in
``oldest_program`` which is the oldest program that still runs on a database to which it was applied, and that is kept
in the database (table ``migrations``), in the migration's own transaction. So a program that finds a migration which
it has never heard of can ask the database whether it may go on: what starts an old process again in the middle of an
upgrade, and what allows the way back to the version before.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Final

import structlog
from alembic import command, op
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError

from server.config import StartError
from server.db.engine import driver_url, sqlstate

MIGRATIONS: Final = Path(__file__).parent / "migrations"

_LOCK: Final = 0x526F776C  # any constant: two servers that start together migrate one after the other
_LOCK_TIMEOUT: Final = "3s"
"""Longest wait of a migration for a table: whoever comes after it waits behind it, buyers too."""
_LOCK_NOT_AVAILABLE: Final = "55P03"
_ATTEMPTS: Final = 20
_PAUSE: Final = 1.0

_log = structlog.get_logger(__name__)


class Fit(Enum):
    """How the schema of a database suits this program."""

    EXACT = "exact"
    """It is the one that this program was written for."""
    NEWER = "newer"
    """It is newer, by migrations with which this program can go on."""
    BEHIND = "behind"
    """It lacks migrations, or has none at all."""
    TOO_NEW = "too new"
    """It has a migration with which this program cannot go on."""


def upgrade(url: str, to: str = "head", *, migrations: Path = MIGRATIONS) -> Fit:
    """Apply every migration that ``url`` lacks, up to ``to``. Safe to call from several processes at once.

    Args:
        url: an SQLAlchemy URL.
        to: the last migration to apply.
        migrations: a folder of Alembic's.

    Returns:
        EXACT; or NEWER: nothing was done, because a newer program has migrated this database, compatibly.

    Raises:
        StartError: a newer program has, and this one cannot work with the result.
        OperationalError: a migration did not get its locks, in many attempts.
    """
    engine = create_engine(driver_url(url))
    try:
        with engine.connect() as connection:
            _wait_for_turn(connection)
            connection.execute(text(f"SET lock_timeout = '{_LOCK_TIMEOUT}'"))
            connection.commit()
            found = _fit(connection, migrations)
            if found is Fit.TOO_NEW:
                raise StartError(
                    "The database has the schema of a newer version, with which this one cannot work. "
                    "Run the newer version."
                )
            if found is Fit.BEHIND:
                _upgrade_when_free(connection, to, migrations)
                found = Fit.EXACT
            return found
    finally:
        engine.dispose()  # and with the connection goes the lock


def fit(url: str, *, migrations: Path = MIGRATIONS) -> Fit:
    """How the schema of a database suits a program that has these ``migrations``."""
    engine = create_engine(driver_url(url))
    try:
        with engine.connect() as connection:
            return _fit(connection, migrations)
    finally:
        engine.dispose()


@contextmanager
def concurrently() -> Iterator[None]:
    """In a migration: statements that make nobody wait (``CREATE INDEX CONCURRENTLY``), and so may wait themselves.

    They are not part of the migration's transaction: what was broken off is done again, so it must bear that.
    """
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        yield
        op.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")


def _wait_for_turn(connection: Connection) -> None:
    """Take the lock that keeps migrations one after the other.

    By asking for it again and again: who waits in a statement has a transaction open, and an index that is built
    concurrently waits for the end of every such one.
    """
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
        connection.rollback()
        time.sleep(_PAUSE)


def _fit(connection: Connection, migrations: Path) -> Fit:
    scripts = ScriptDirectory.from_config(_config(migrations))
    known = {script.revision for script in scripts.walk_revisions()}
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision == scripts.get_current_head():
        found = Fit.EXACT
    elif revision is None or revision in known:
        found = Fit.BEHIND
    else:
        newer = {name: program for name, program in _applied(connection).items() if name not in known}
        found = Fit.NEWER if revision in newer and known.issuperset(newer.values()) else Fit.TOO_NEW
    connection.rollback()
    return found


def _applied(connection: Connection) -> dict[str, str]:
    """The oldest program that each migration allows; of those that were applied before that was kept, nothing."""
    if connection.scalar(text("SELECT to_regclass('migrations')")) is None:
        return {}
    rows = connection.execute(text("SELECT revision, oldest_program FROM migrations"))
    return {row.revision: row.oldest_program for row in rows}


def _upgrade_when_free(connection: Connection, to: str, migrations: Path) -> None:
    """Each migration is a transaction, so an attempt goes on where the one before had to give up."""
    config = _config(migrations)
    config.attributes["connection"] = connection
    for left in reversed(range(_ATTEMPTS)):
        try:
            command.upgrade(config, to)
            connection.commit()
        except OperationalError as error:
            connection.rollback()
            if sqlstate(error) != _LOCK_NOT_AVAILABLE or not left:
                raise
            _log.warning("migrate.table_in_use", attempts_left=left, effect="tried again in a moment")
            time.sleep(_PAUSE)
        else:
            return


def _config(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    return config
