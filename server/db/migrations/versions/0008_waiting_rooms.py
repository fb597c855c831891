"""Waiting rooms and their entries."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "waiting_rooms",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("enabled_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("admit_count", sa.Integer(), nullable=False),
        sa.Column("admit_interval", sa.Interval(), nullable=False),
        sa.Column("admission_duration", sa.Interval(), nullable=False),
        sa.Column("shopping_limit", sa.Integer(), nullable=True),
        sa.Column("line_order", sa.SmallInteger(), nullable=False),
        sa.Column("open_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seed", sa.LargeBinary(), nullable=False),
        sa.Column("joined_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("waiting_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cycle_number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cycle_end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cycle_left", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_admission_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.CheckConstraint("admit_count > 0", name=op.f("ck_waiting_rooms_admit_count")),
        sa.CheckConstraint("admit_interval > interval '0'", name=op.f("ck_waiting_rooms_admit_interval")),
        sa.CheckConstraint("admission_duration > interval '0'", name=op.f("ck_waiting_rooms_admission_duration")),
        sa.CheckConstraint("shopping_limit > 0", name=op.f("ck_waiting_rooms_shopping_limit")),
        sa.CheckConstraint("enabled = (enabled_time IS NOT NULL)", name=op.f("ck_waiting_rooms_enabled")),
        sa.CheckConstraint(
            "waiting_count BETWEEN 0 AND joined_count AND cycle_left >= 0", name=op.f("ck_waiting_rooms_counts")
        ),
        sa.ForeignKeyConstraint(
            ["performance_id"], ["performances.id"], name=op.f("fk_waiting_rooms_performance_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("performance_id", name=op.f("pk_waiting_rooms")),
    )
    op.create_index(
        "ix_waiting_rooms_due",
        "waiting_rooms",
        ["next_admission_time"],
        postgresql_where="next_admission_time IS NOT NULL",
    )
    # Joining, leaving and being admitted update this row: without an index of what they change it stays on its page.
    op.execute(
        "ALTER TABLE waiting_rooms SET (fillfactor = 10, autovacuum_vacuum_scale_factor = 0.0, "
        "autovacuum_vacuum_threshold = 1000)"
    )
    _make_entries()
    op.create_table(
        "admission_cycles",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("begin_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("admit_limit", sa.Integer(), nullable=False),
        sa.Column("admitted", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("admitted BETWEEN 0 AND admit_limit", name=op.f("ck_admission_cycles_within")),
        sa.PrimaryKeyConstraint("performance_id", "number", name=op.f("pk_admission_cycles")),
    )


def _make_entries() -> None:
    op.create_table(
        "queue_entries",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("early", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("cycle", sa.BigInteger(), nullable=True),
        sa.Column("admit_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("admission_expire_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 3) = (booking_id IS NOT NULL)", name=op.f("ck_queue_entries_used")),
        sa.CheckConstraint(
            "state NOT IN (2, 3) OR admission_expire_time IS NOT NULL", name=op.f("ck_queue_entries_admitted")
        ),
        sa.CheckConstraint("(state IN (3, 4, 5)) = (end_time IS NOT NULL)", name=op.f("ck_queue_entries_ended")),
        sa.CheckConstraint(
            "(cycle IS NULL) = (admission_expire_time IS NULL) AND (cycle IS NULL) = (admit_time IS NULL)",
            name=op.f("ck_queue_entries_admission"),
        ),
        sa.PrimaryKeyConstraint("performance_id", "id", name=op.f("pk_queue_entries")),
    )
    op.create_index(
        "uq_queue_entries_customer",
        "queue_entries",
        ["performance_id", "customer_id"],
        unique=True,
        postgresql_where="state IN (1, 2)",
    )
    op.create_index(
        "ix_queue_entries_line", "queue_entries", ["performance_id", "place", "id"], postgresql_where="state = 1"
    )
    op.create_index("ix_queue_entries_revision", "queue_entries", ["performance_id", "revision"])
    op.create_index(
        "ix_queue_entries_run_out", "queue_entries", ["admission_expire_time"], postgresql_where="state = 2"
    )
    op.create_index(
        "ix_queue_entries_shopping",
        "queue_entries",
        ["performance_id", "admission_expire_time"],
        postgresql_where="state = 2",
    )
    op.create_index(
        "uq_queue_entries_booking",
        "queue_entries",
        ["performance_id", "booking_id"],
        unique=True,
        postgresql_where="booking_id IS NOT NULL",
    )
    op.execute("ALTER TABLE queue_entries SET (autovacuum_vacuum_scale_factor = 0.05)")
