"""Messages of payment providers, stored once; and payments found by what a provider calls them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.SmallInteger(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subject", sa.SmallInteger(), nullable=False),
        sa.Column("payment_name", sa.Text(), nullable=True),
        sa.Column("payment_reference", sa.Text(), nullable=True),
        sa.Column("refund_id", sa.Uuid(), nullable=True),
        sa.Column("refund_reference", sa.Text(), nullable=True),
        sa.Column("dispute_reference", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), server_default="", nullable=False),
        sa.Column("headers", postgresql.JSONB(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("delivery_count", sa.Integer(), server_default="1", nullable=False),
        sa.Column("next_attempt_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("complete_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 1) = (next_attempt_time IS NOT NULL)", name=op.f("ck_provider_webhooks_due")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_webhooks")),
        sa.UniqueConstraint("provider", "event_id", name=op.f("uq_provider_webhooks_provider_event_id")),
    )
    for name, column, condition in (
        ("due", "next_attempt_time", "next_attempt_time IS NOT NULL"),
        ("attention", "create_time", "state = 3"),
        ("outdated", "complete_time", "state = 2"),
    ):
        op.create_index(
            f"ix_provider_webhooks_{name}", "provider_webhooks", [column], postgresql_where=sa.text(condition)
        )
    op.create_index(
        "ix_payments_reference",
        "payments",
        ["provider_reference"],
        postgresql_where=sa.text("provider_reference IS NOT NULL"),
    )
