"""Check-ins at the doors, offline scans; tickets keep a nonce in the place of a code, and when they last changed."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# The transaction that last changed a ticket: what an entry list's revision is compared with. A trigger and not the
# statements, so that no way of changing a ticket can forget it and leave a door with an old state.
_STAMP = """
CREATE FUNCTION stamp_ticket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_by := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$
"""

_KEEP = """
CREATE FUNCTION keep_check_ins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'scans are only ever added to: % is refused', tg_op USING ERRCODE = 'restrict_violation';
END $$
"""

# Tickets that were let in before scans were kept: their check-in becomes the first row of their history.
_EARLIER = """
INSERT INTO check_ins (performance_id, id, ticket_id, booking_id, outcome, round, offline, admitted, conflict, place,
                       scan_time, create_time)
SELECT performance_id, gen_random_uuid(), id, booking_id, 1, 0, false, true, false, coalesce(check_in_place, ''),
       check_in_time, check_in_time
FROM tickets WHERE state = 2 AND check_in_time IS NOT NULL
"""


def upgrade() -> None:
    op.add_column("tickets", sa.Column("nonce", sa.Uuid(), nullable=True))
    op.execute(
        "UPDATE tickets SET nonce = encode(substring(sha256(convert_to(code, 'UTF8')) from 1 for 16), 'hex')::uuid"
    )
    op.alter_column("tickets", "nonce", nullable=False)
    op.drop_index("uq_tickets_code", "tickets")
    op.drop_column("tickets", "code")
    op.add_column(
        "tickets",
        sa.Column(
            "changed_by",
            sa.BigInteger(),
            server_default=sa.text("(pg_current_xact_id()::text)::bigint"),
            nullable=False,
        ),
    )
    op.execute(_STAMP)
    op.execute("CREATE TRIGGER stamp BEFORE UPDATE ON tickets FOR EACH ROW EXECUTE FUNCTION stamp_ticket()")
    op.create_table(
        "check_ins",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=True),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("offline", sa.Boolean(), nullable=False),
        sa.Column("admitted", sa.Boolean(), nullable=False),
        sa.Column("conflict", sa.Boolean(), nullable=False),
        sa.Column("place", sa.Text(), server_default="", nullable=False),
        sa.Column("device", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("scan_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_place", sa.Text(), nullable=True),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("scope", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "outcome NOT IN (1, 2, 3, 10) OR ticket_id IS NOT NULL", name=op.f("ck_check_ins_of_ticket")
        ),
        sa.CheckConstraint("outcome <> 1 OR admitted", name=op.f("ck_check_ins_admits")),
        sa.PrimaryKeyConstraint("performance_id", "id", name=op.f("pk_check_ins")),
    )
    op.create_index("ix_check_ins_ticket", "check_ins", ["performance_id", "ticket_id"], unique=False)
    op.create_index(
        "ix_check_ins_conflict", "check_ins", ["performance_id", "id"], unique=False, postgresql_where="conflict"
    )
    op.create_index(
        "uq_check_ins_admission",
        "check_ins",
        ["performance_id", "ticket_id", "round"],
        unique=True,
        postgresql_where="outcome = 1",
    )
    op.create_index(
        "uq_check_ins_request",
        "check_ins",
        ["performance_id", "scope", "request_id"],
        unique=True,
        postgresql_where="request_id IS NOT NULL",
    )
    op.execute(_EARLIER)
    op.execute(_KEEP)
    op.execute(
        "CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON check_ins FOR EACH STATEMENT EXECUTE FUNCTION keep_check_ins()"
    )
