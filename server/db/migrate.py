"""Bring a database to the newest schema, or say which one it has."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from server.db.engine import driver_url

_LOCK = 0x526F776C  # any constant: two servers that start together migrate one after the other


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def upgrade(url: str, to: str = "head") -> None:
    """Apply every migration that ``url`` lacks, up to ``to``. Safe to call from several processes at once."""
    engine = create_engine(driver_url(url))
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        connection.commit()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
        connection.commit()
    engine.dispose()


def is_current(url: str) -> bool:
    """Whether the database has exactly the schema that this code expects."""
    engine = create_engine(driver_url(url))
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return current == ScriptDirectory.from_config(_config()).get_current_head()
