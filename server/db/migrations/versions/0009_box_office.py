"""Allocations with an owner and an end, and the tills of the box office."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("seats", sa.Column("allocation_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_seats_allocation",
        "seats",
        ["performance_id", "allocation_id"],
        postgresql_where=sa.text("allocation_id IS NOT NULL"),
    )
    op.create_check_constraint(op.f("ck_seats_allocated"), "seats", "allocation_id IS NULL OR state <> 1")
    op.create_table(
        "allocations",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("release_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 2) = (end_time IS NOT NULL)", name=op.f("ck_allocations_ended")),
        sa.PrimaryKeyConstraint("performance_id", "id", name=op.f("pk_allocations")),
    )
    op.create_index("ix_allocations_create_time", "allocations", ["create_time"])
    op.create_index("ix_allocations_due", "allocations", ["release_time"], postgresql_where=sa.text("state = 1"))
    op.create_table(
        "shifts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("till", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("opening_cash", sa.BigInteger(), nullable=False),
        sa.Column("counted_cash", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("open_time", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("close_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("opening_cash >= 0 AND counted_cash >= 0", name=op.f("ck_shifts_cash")),
        sa.CheckConstraint(
            "(state = 2) = (close_time IS NOT NULL) AND (state = 2) = (counted_cash IS NOT NULL)",
            name=op.f("ck_shifts_closed"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shifts")),
    )
    op.create_index("uq_shifts_open_staff", "shifts", ["staff_id"], unique=True, postgresql_where=sa.text("state = 1"))
    op.create_index(
        "uq_shifts_open_till", "shifts", [sa.text("lower(till)")], unique=True, postgresql_where=sa.text("state = 1")
    )
    op.create_index("ix_shifts_open_time", "shifts", ["open_time"])
    op.create_table(
        "till_entries",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("shift_id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("tickets", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount >= 0 AND tickets > 0", name=op.f("ck_till_entries_not_negative")),
        sa.PrimaryKeyConstraint("performance_id", "id", name=op.f("pk_till_entries")),
    )
    op.create_index("ix_till_entries_shift", "till_entries", ["shift_id"])
