"""Money that came late: bookings that follow another, what a payment bought, and the comparison with a provider."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("bookings", sa.Column("replaces", sa.Uuid(), nullable=True))
    op.add_column("bookings", sa.Column("replaced_by", sa.Uuid(), nullable=True))
    op.add_column("payments", sa.Column("bought_booking_id", sa.Uuid(), nullable=True))
    op.add_column("payments", sa.Column("capture_reference", sa.Text(), nullable=True))
    op.add_column("payments", sa.Column("client_secret", sa.Text(), nullable=True))
    op.add_column("payments", sa.Column("compare_after_time", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payments", sa.Column("discrepancy", sa.Text(), nullable=True))
    op.create_index(
        "ix_payments_compare",
        "payments",
        ["compare_after_time"],
        unique=False,
        postgresql_where="compare_after_time IS NOT NULL",
    )
    op.create_index(
        "ix_payments_discrepancy",
        "payments",
        ["complete_time"],
        unique=False,
        postgresql_where="discrepancy IS NOT NULL",
    )
    # Staff list money over all performances, newest first.
    op.create_index("ix_payments_create_time", "payments", ["create_time", "id"])
    op.create_index("ix_refunds_create_time", "refunds", ["create_time", "id"])
