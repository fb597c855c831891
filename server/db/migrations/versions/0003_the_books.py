"""The books: double entry, append-only. Refunds by provider and ticket; how far a cancellation has come."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# The sum of an entry's legs. A check may not contain a query, so the query is a function.
_SUM = """
CREATE FUNCTION sum_of_legs(amounts bigint[]) RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (SELECT coalesce(sum(amount), 0) FROM unnest(amounts) AS leg(amount))
"""

_KEEP = """
CREATE FUNCTION keep_the_books() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the books are only ever added to: % is refused', tg_op USING ERRCODE = 'restrict_violation';
END $$
"""

_LEGS = """
CREATE VIEW book_legs AS
SELECT e.performance_id, e.kind, e.source_id, e.number, e.booking_id, l.account, l.amount, e.currency,
       e.actor_id, e.time
FROM book_entries e CROSS JOIN LATERAL unnest(e.accounts, e.amounts) AS l(account, amount)
"""

# What had moved before there were books. Numbers as in server/states.py.
_EARLIER = (
    """
    INSERT INTO book_entries (performance_id, kind, source_id, booking_id, accounts, amounts, currency, time)
    SELECT p.performance_id, 1, p.id, p.booking_id,
           ARRAY[10 + p.provider, CASE WHEN b.payment_id = p.id AND b.state IN (2, 3) THEN 20 ELSE 30 END]::smallint[],
           ARRAY[p.amount, -p.amount], p.currency, coalesce(p.complete_time, p.update_time)
    FROM payments p JOIN bookings b ON b.performance_id = p.performance_id AND b.id = p.booking_id
    WHERE p.state = 4 AND p.amount > 0
    """,
    """
    INSERT INTO book_entries (performance_id, kind, source_id, booking_id, accounts, amounts, currency, actor_id, time)
    SELECT r.performance_id, 2, r.id, r.booking_id, ARRAY[e.accounts[2], 31]::smallint[],
           ARRAY[r.amount, -r.amount], r.currency, r.actor_id, r.create_time
    FROM refunds r JOIN book_entries e
      ON e.performance_id = r.performance_id AND e.kind = 1 AND e.source_id = r.payment_id
    """,
    """
    INSERT INTO book_entries (performance_id, kind, source_id, booking_id, accounts, amounts, currency, time)
    SELECT r.performance_id, 3, r.id, r.booking_id, ARRAY[31, 10 + r.provider]::smallint[],
           ARRAY[r.amount, -r.amount], r.currency, coalesce(r.complete_time, r.update_time)
    FROM refunds r WHERE r.state = 3
    """,
    """
    INSERT INTO book_entries (performance_id, kind, source_id, booking_id, accounts, amounts, currency, time)
    SELECT b.performance_id, 4, b.id, b.id, ARRAY[CASE b.confirmed_by WHEN 2 THEN 40 ELSE 50 END, 20]::smallint[],
           ARRAY[t.total, -t.total], b.currency, coalesce(b.confirm_time, b.update_time)
    FROM bookings b CROSS JOIN LATERAL (SELECT sum(price)::bigint AS total FROM unnest(b.prices) price) t
    WHERE b.confirmed_by IN (2, 3) AND t.total > 0
    """,
    """
    INSERT INTO book_entries (performance_id, kind, source_id, number, booking_id, accounts, amounts, currency, time)
    SELECT b.performance_id, 5, b.id, b.version, b.id,
           ARRAY[20, CASE b.confirmed_by WHEN 2 THEN 40 ELSE 50 END]::smallint[],
           ARRAY[t.total, -t.total], b.currency, coalesce(b.end_time, b.update_time)
    FROM bookings b CROSS JOIN LATERAL (SELECT sum(price)::bigint AS total FROM unnest(b.prices) price) t
    WHERE b.confirmed_by IN (2, 3) AND b.state = 3 AND t.total > 0
    """,
)


def upgrade() -> None:
    op.execute(_SUM)
    op.create_table(
        "book_entries",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), server_default="0", autoincrement=False, nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("accounts", sa.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("amounts", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("sum_of_legs(amounts) = 0", name=op.f("ck_book_entries_legs_sum_to_zero")),
        sa.CheckConstraint(
            "cardinality(amounts) >= 2 AND cardinality(accounts) = cardinality(amounts)"
            " AND array_position(accounts, NULL) IS NULL AND array_position(amounts, NULL) IS NULL"
            " AND 0 <> ALL (amounts)",
            name=op.f("ck_book_entries_legs"),
        ),
        sa.PrimaryKeyConstraint("performance_id", "kind", "source_id", "number", name=op.f("pk_book_entries")),
    )
    op.create_index("ix_book_entries_time", "book_entries", ["time"])
    op.execute(_KEEP)
    for event in ("UPDATE OR DELETE", "TRUNCATE"):
        op.execute(
            f"CREATE TRIGGER keep_{event.split()[0].lower()} BEFORE {event} ON book_entries"
            " FOR EACH STATEMENT EXECUTE FUNCTION keep_the_books()"
        )
    op.execute(_LEGS)

    op.add_column("refunds", sa.Column("provider", sa.SmallInteger(), nullable=True))
    op.add_column("refunds", sa.Column("provider_key", sa.Uuid(), nullable=True))
    op.add_column("refunds", sa.Column("returned_booking_id", sa.Uuid(), nullable=True))
    op.add_column("refunds", sa.Column("ticket_ids", sa.ARRAY(sa.Uuid()), server_default="{}", nullable=False))
    op.execute(
        "UPDATE refunds r SET provider = p.provider, provider_key = r.id FROM payments p"
        " WHERE p.performance_id = r.performance_id AND p.id = r.payment_id"
    )
    op.alter_column("refunds", "provider", nullable=False)
    op.alter_column("refunds", "provider_key", nullable=False)
    op.drop_index("ix_refunds_due", "refunds")
    op.create_index(
        "ix_refunds_due",
        "refunds",
        ["provider", "next_attempt_time"],
        postgresql_where=sa.text("next_attempt_time IS NOT NULL"),
    )
    op.create_index("ix_refunds_failed", "refunds", ["create_time"], postgresql_where=sa.text("state = 4"))
    op.create_table(
        "refund_paces",
        sa.Column("provider", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("free_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_refund_paces")),
    )

    op.add_column("performances", sa.Column("cancel_time", sa.DateTime(timezone=True), nullable=True))
    op.add_column("performances", sa.Column("cancelled_bookings", sa.Integer(), server_default="0", nullable=False))
    op.execute("UPDATE performances SET cancel_time = update_time WHERE state = 2")

    for statement in _EARLIER:
        op.execute(statement)
