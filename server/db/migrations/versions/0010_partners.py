"""Partners: what API keys may do, the log of changes with the triggers that write it, and webhooks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# One trigger for each statement, not for each row, so that a batch of the ledger pays for one more INSERT however many
# bookings it writes. Only columns that readers see count as a change; leases and attempts of workers do not.
_LOG = """
CREATE FUNCTION log_{table}_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (performance_id, kind, customer_id, old_state, new_state, data)
    SELECT {performance}, {kind}, {customer}, NULL, n.state, {data} FROM new_rows n;
    RETURN NULL;
END $$;
CREATE TRIGGER log_insert AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION log_{table}_insert();
CREATE FUNCTION log_{table}_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (performance_id, kind, customer_id, old_state, new_state, data)
    SELECT {performance}, {kind}, {customer}, o.state, n.state, {data}
    FROM new_rows n JOIN old_rows o ON {join}
    WHERE ({new_columns}) IS DISTINCT FROM ({old_columns});
    RETURN NULL;
END $$;
CREATE TRIGGER log_update AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION log_{table}_update();
"""
# Its performances come into sight, or go out of it: whoever follows the log has passed what was said of them before.
# They are locked, so that what is said of each is neither older nor newer than its other changes.
_LOG_EVENTS = """
CREATE FUNCTION log_events_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (performance_id, kind, old_state, new_state, data)
    SELECT p.id, 5, p.state, p.state, {data}
    FROM (SELECT * FROM performances WHERE event_id = NEW.id ORDER BY id FOR NO KEY UPDATE) p;
    RETURN NULL;
END $$;
CREATE TRIGGER log_update AFTER UPDATE OF state ON events FOR EACH ROW WHEN (NEW.state <> OLD.state)
    EXECUTE FUNCTION log_events_update();
"""
_PERFORMANCE = "to_jsonb({row}) - '{{wind_up_time,cancelled_bookings,version}}'::text[]"
_KEY = "n.performance_id = o.performance_id AND n.id = o.id"
# The customer of what hangs on a booking is the booking's.
_OWNER = "(SELECT b.customer_id FROM bookings b WHERE b.performance_id = n.performance_id AND b.id = n.booking_id)"


def _columns(*names: str) -> str:
    return "jsonb_build_object(" + ", ".join(f"'{name}', n.{name}" for name in names) + ")"


def _log(
    table: str,
    kind: int,
    customer: str,
    data: str,
    *watched: str,
    performance: str = "n.performance_id",
    join: str = _KEY,
) -> None:
    op.execute(
        _LOG.format(
            table=table,
            kind=kind,
            customer=customer,
            data=data,
            performance=performance,
            join=join,
            new_columns=", ".join(f"n.{name}" for name in watched),
            old_columns=", ".join(f"o.{name}" for name in watched),
        )
    )


def upgrade() -> None:
    _api_keys()
    _changes()
    _webhooks()


def _api_keys() -> None:
    op.add_column(
        "api_keys", sa.Column("permissions", sa.ARRAY(sa.SmallInteger()), server_default="{}", nullable=False)
    )
    for name in ("calls_per_minute", "held_places_per_day", "sold_places_per_day"):
        op.add_column("api_keys", sa.Column(name, sa.Integer(), server_default="0", nullable=False))
    op.add_column("api_keys", sa.Column("rotated_from", sa.Uuid(), nullable=True))
    op.add_column("api_keys", sa.Column("family_id", sa.Uuid(), nullable=True))
    op.create_table(
        "key_uses",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("quota", sa.SmallInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("used >= 0", name=op.f("ck_key_uses_not_negative")),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_key_uses_key_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key_id", "quota", "day", name=op.f("pk_key_uses")),
    )
    op.create_table(
        "key_charges",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("quota", sa.SmallInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_key_charges_amount")),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_key_charges_key_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key_id", "quota", "reference", name=op.f("pk_key_charges")),
    )
    op.create_index(op.f("ix_key_charges_day"), "key_charges", ["day"])


def _changes() -> None:
    op.create_table(
        "changes",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("old_state", sa.SmallInteger(), nullable=True),
        sa.Column("new_state", sa.SmallInteger(), nullable=False),
        sa.Column("data", JSONB(), nullable=False),
        sa.Column(
            "change_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("performance_id", "id", name=op.f("pk_changes")),
    )
    placed, new = sa.text("position IS NOT NULL"), sa.text("position IS NULL")
    op.create_index("ix_changes_position", "changes", ["position"], postgresql_where=placed)
    op.create_index("ix_changes_performance", "changes", ["performance_id", "position"], postgresql_where=placed)
    op.create_index("ix_changes_new", "changes", ["id"], postgresql_where=new)
    op.create_table(
        "change_sequence",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("outdated_position", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("id = 1 AND outdated_position <= position", name=op.f("ck_change_sequence_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_sequence")),
    )
    op.execute("INSERT INTO change_sequence (id) VALUES (1)")
    _log(
        "bookings",
        1,
        "n.customer_id",
        "to_jsonb(n)",
        *("state", "places", "ticket_type_ids", "prices", "hold_expire_time", "payment_id", "note", "replaced_by"),
    )
    _log(
        "payments",
        2,
        "n.customer_id",
        _columns(
            *("id", "booking_id", "provider", "state", "amount", "currency", "provider_reference", "error_reason"),
            *("bought_booking_id", "create_time", "update_time", "complete_time"),
        ),
        *("state", "provider_reference", "error_reason", "bought_booking_id"),
    )
    _log(
        "refunds",
        3,
        _OWNER,
        _columns(
            *("id", "booking_id", "payment_id", "state", "amount", "currency", "reason", "provider_reference"),
            *("error_reason", "returned_booking_id", "ticket_ids", "create_time", "update_time", "complete_time"),
        ),
        *("state", "provider_reference", "error_reason"),
    )
    _log(
        "tickets",
        4,
        "n.customer_id",
        _columns(
            *("id", "booking_id", "place", "ticket_type_id", "state", "create_time", "check_in_time"),
            "check_in_place",
        ),
        "state",
    )
    _log(
        "performances",
        5,
        "NULL::uuid",
        _PERFORMANCE.format(row="n"),
        *("state", "hall", "seat_map_version", "start_time", "end_time", "time_zone", "sale_start_time"),
        *("sale_end_time", "customer_limit", "hold_duration", "refund_deadline", "venue_id", "event_id"),
        performance="n.id",
        join="n.id = o.id",
    )
    op.execute(_LOG_EVENTS.format(data=_PERFORMANCE.format(row="p")))


def _webhooks() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), server_default="", nullable=False),
        sa.Column("kinds", sa.ARRAY(sa.SmallInteger()), server_default="{}", nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("all_bookings", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("everything", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("former_secret", sa.LargeBinary(), nullable=True),
        sa.Column("former_secret_expire_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disable_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disable_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_webhook_endpoints_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_index(
        op.f("ix_webhook_endpoints_user_id_create_time_id"), "webhook_endpoints", ["user_id", "create_time", "id"]
    )
    op.create_index(op.f("ix_webhook_endpoints_create_time_id"), "webhook_endpoints", ["create_time", "id"])
    op.create_index(
        "ix_webhook_endpoints_off",
        "webhook_endpoints",
        ["disable_time"],
        postgresql_where=sa.text("disable_reason <> ''"),
    )
    op.create_table(
        "webhook_lanes",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("target", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("test_id", sa.Uuid(), nullable=True),
        sa.Column("next_attempt_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failure_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_lanes_endpoint_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("performance_id", "endpoint_id", name=op.f("pk_webhook_lanes")),
    )
    op.create_index(
        "ix_webhook_lanes_due",
        "webhook_lanes",
        ["next_attempt_time"],
        postgresql_where=sa.text("next_attempt_time IS NOT NULL"),
    )
    op.create_index("ix_webhook_lanes_endpoint_id", "webhook_lanes", ["endpoint_id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("performance_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name=op.f("fk_webhook_deliveries_endpoint_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(
        op.f("ix_webhook_deliveries_endpoint_id_create_time_id"),
        "webhook_deliveries",
        ["endpoint_id", "create_time", "id"],
    )
    op.create_index(op.f("ix_webhook_deliveries_create_time"), "webhook_deliveries", ["create_time"])
