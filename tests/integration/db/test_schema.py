"""The migrations and the models: two descriptions of one schema."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from server.db.engine import Database
from server.db.models import Base

# Indexes over expressions, which PostgreSQL gives back in its own words: they cannot be compared.
_EXPRESSIONS = frozenset({"uq_shifts_open_till"})
# Which migrations were applied, like Alembic's own table.
_MIGRATIONS = frozenset({"migrations"})


def _name(difference: object) -> str:
    subject = difference[1] if isinstance(difference, tuple) else difference
    return str(getattr(subject, "name", subject))


def test_the_migrations_make_what_the_models_say(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": False})
        differences = compare_metadata(context, Base.metadata)
    assert [one for one in differences if _name(one) not in _EXPRESSIONS | _MIGRATIONS] == []
