"""Money in doubt that staff decide about, refunds paid back in another way, and indexes for what staff list."""

from alembic import op

from server.db.migrate import concurrently

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
# Older programs write none of the new columns, and read none. The indexes that go served the lists of staff only.
oldest_program = "0010"

# table, name, columns, of which rows
_INDEXES = (
    ("payments", "ix_payments_discrepancy", "create_time, id", "discrepancy IS NOT NULL"),
    ("payments", "ix_payments_ended", "state, create_time, id", "state IN (5, 6)"),
    ("refunds", "ix_refunds_state", "state, create_time, id", "state <> 3"),
    ("refunds", "ix_refunds_discrepancy", "create_time", "discrepancy IS NOT NULL"),
    ("bookings", "ix_bookings_create_time", "create_time, id", "true"),
    ("bookings", "ix_bookings_ended", "state, create_time, id", "state IN (3, 4)"),
    ("book_entries", "ix_book_entries_cash_due", "time, source_id", "kind = 5 AND accounts[2] = 32"),
)
_COLUMNS = (
    ("payments", "resolution", "smallint"),
    ("payments", "resolution_reason", "text"),
    ("payments", "resolver_id", "uuid"),
    ("payments", "resolve_time", "timestamptz"),
    ("refunds", "settle_method", "smallint"),
    ("refunds", "settle_reference", "text"),
    ("refunds", "settle_reason", "text"),
    ("refunds", "settler_id", "uuid"),
    ("refunds", "settle_time", "timestamptz"),
    ("refunds", "discrepancy", "text"),
)


def upgrade() -> None:
    # Indexes are built beside everything that is written meanwhile, in transactions of their own. So if this is broken
    # off, a part of it is done, and all of it may be done again.
    for table, column, kind in _COLUMNS:
        op.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {kind}")
    with concurrently():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_refunds_failed")
        for table, name, columns, which in _INDEXES:
            # An index that was broken off is there and of no use.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            where = "" if which == "true" else f" WHERE {which}"
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {table} ({columns}){where}")
