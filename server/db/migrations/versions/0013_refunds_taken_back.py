"""Refunds that their providers took back after they had made them."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
# Older programs write and read none of it. Where a refund that was taken back is done anew, an old worker finds the
# entry of the first time in its way, writes nothing, and leaves it to the next one that finds out what became of it.
oldest_program = "0010"


def upgrade() -> None:
    op.execute("ALTER TABLE refunds ADD COLUMN IF NOT EXISTS taken_back text[] NOT NULL DEFAULT '{}'")
