"""What staff did: an append-only record of every change that they make."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
# Older programs do not know the table and write nothing into it; nothing that they use changes.
oldest_program = "0010"

# Rows go only when housekeeping says so (a setting of its transaction), and young ones not even then: what was done
# lately cannot be made to look undone by any statement of Rowlock's.
_GUARD = """
CREATE FUNCTION staff_actions_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('rowlock.deletes_staff_actions', true) = 'yes' THEN
        IF OLD.action_time < clock_timestamp() - interval '30 days' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'staff_actions is append-only';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON staff_actions
    FOR EACH ROW EXECUTE FUNCTION staff_actions_is_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON staff_actions
    FOR EACH STATEMENT EXECUTE FUNCTION staff_actions_is_append_only();
"""


def upgrade() -> None:
    op.create_table(
        "staff_actions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "action_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("resources", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("within", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("request", JSONB(), nullable=False),
        sa.Column("request_shortened", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_actions")),
    )
    op.create_index("ix_staff_actions_time", "staff_actions", ["action_time", "id"])
    op.create_index("ix_staff_actions_actor", "staff_actions", ["actor_id", "action_time", "id"])
    op.create_index("ix_staff_actions_within", "staff_actions", ["within"], postgresql_using="gin")
    op.execute(_GUARD)
