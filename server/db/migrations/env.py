"""Alembic's entry point: migrations run on the connection that ``server.db.migrate`` hands over."""

from collections.abc import Collection, Mapping
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import Script
from sqlalchemy import text

from server.db.models import Base


def record(
    ctx: MigrationContext,
    step: MigrationInfo,
    heads: Collection[Any],  # noqa: ARG001 - Alembic passes all four by name
    run_args: Mapping[str, Any],  # noqa: ARG001
) -> None:
    """Keep, in the migration's transaction, which programs can go on after it; said nothing, none that is older."""
    script = step.up_revision
    assert isinstance(script, Script)  # noqa: S101 - nothing is migrated backwards
    assert ctx.connection is not None  # noqa: S101 - nor without a database
    ctx.connection.execute(
        text("INSERT INTO migrations (revision, oldest_program) VALUES (:revision, :oldest_program)"),
        {
            "revision": script.revision,
            "oldest_program": getattr(script.module, "oldest_program", script.revision),
        },
    )


connection = context.config.attributes["connection"]
# Not a migration, because the first one is kept in it, too; like Alembic's own table.
connection.execute(
    text(
        "CREATE TABLE IF NOT EXISTS migrations (revision text PRIMARY KEY, oldest_program text NOT NULL, "
        "apply_time timestamptz NOT NULL DEFAULT now())"
    )
)
connection.commit()
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    transaction_per_migration=True,
    on_version_apply=record,
)
with context.begin_transaction():
    context.run_migrations()
