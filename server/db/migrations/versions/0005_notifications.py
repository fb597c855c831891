"""Notifications: one row per message."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("about", sa.Text(), server_default="", nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.Column("data", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("bulk", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("next_attempt_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("handover_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_reason", sa.Text(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("queue_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("send_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("recipient_id IS NOT NULL OR email IS NOT NULL", name=op.f("ck_notifications_addressed")),
        sa.CheckConstraint("(state = 1) = (next_attempt_time IS NOT NULL)", name=op.f("ck_notifications_due")),
        sa.CheckConstraint("(state = 2) = (send_time IS NOT NULL)", name=op.f("ck_notifications_sent")),
        sa.PrimaryKeyConstraint("performance_id", "id", name=op.f("pk_notifications")),
    )
    op.create_index(
        "ix_notifications_due",
        "notifications",
        ["bulk", "next_attempt_time"],
        postgresql_where="next_attempt_time IS NOT NULL",
    )
    op.create_index("ix_notifications_recipient", "notifications", ["recipient_id", "create_time", "id"])
    op.create_index("ix_notifications_create_time", "notifications", ["create_time", "id"])
    op.create_index(
        "ix_notifications_failed", "notifications", ["create_time", "id"], postgresql_where=sa.text("state = 3")
    )
    op.create_table(
        "announcements",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sender_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("performance_id", "id", name=op.f("pk_announcements")),
    )
