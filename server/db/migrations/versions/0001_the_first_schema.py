"""The first schema: accounts, catalogue, the booking path, payments."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bookings",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("places", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("ticket_type_ids", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("prices", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("hold_start_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hold_expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("confirmed_by", sa.SmallInteger(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirm_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "cardinality(places) = cardinality(prices) AND cardinality(places) = cardinality(ticket_type_ids)",
            name=op.f("ck_bookings_parallel"),
        ),
        sa.PrimaryKeyConstraint("performance_id", "id", name=op.f("pk_bookings")),
    )
    op.create_index("ix_bookings_customer", "bookings", ["customer_id", "create_time"], unique=False)
    op.create_index(
        "ix_bookings_expiry",
        "bookings",
        ["performance_id", "hold_expire_time"],
        unique=False,
        postgresql_where="state = 1",
    )
    op.create_table(
        "categories",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_categories")),
    )
    op.create_index("uq_categories_display_name", "categories", [sa.literal_column("lower(display_name)")], unique=True)
    op.create_table(
        "command_log",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("from_state", sa.SmallInteger(), nullable=True),
        sa.Column("to_state", sa.SmallInteger(), nullable=True),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("performance_id", "subject_id", "version", name=op.f("pk_command_log")),
    )
    op.create_index(
        "uq_command_log_request",
        "command_log",
        ["performance_id", "actor_id", "request_id"],
        unique=True,
        postgresql_where="request_id IS NOT NULL",
    )
    op.create_table(
        "inventories",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rules_version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("available", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sold", sa.Integer(), server_default="0", nullable=False),
        sa.Column("blocked", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("available + held + sold + blocked = total", name=op.f("ck_inventories_sum")),
        sa.CheckConstraint(
            "available >= 0 AND held >= 0 AND sold >= 0 AND blocked >= 0",
            name=op.f("ck_inventories_not_negative"),
        ),
        sa.PrimaryKeyConstraint("performance_id", name=op.f("pk_inventories")),
    )
    op.create_table(
        "quotas",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("ceiling", sa.Integer(), nullable=False),
        sa.CheckConstraint("used >= 0 AND used <= ceiling", name=op.f("ck_quotas_within")),
        sa.PrimaryKeyConstraint("performance_id", "key", name=op.f("pk_quotas")),
    )
    op.create_table(
        "request_results",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("scope", "request_id", name=op.f("pk_request_results")),
    )
    op.create_index(op.f("ix_request_results_create_time"), "request_results", ["create_time"], unique=False)
    op.create_table(
        "seat_changes",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "commit_time",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("performance_id", "revision", name=op.f("pk_seat_changes")),
    )
    op.create_index("ix_seat_changes_commit_time", "seat_changes", ["commit_time"], unique=False)
    op.create_table(
        "seats",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "state BETWEEN 1 AND 4 AND (state IN (2, 3)) = (booking_id IS NOT NULL)",
            name=op.f("ck_seats_claimed"),
        ),
        sa.PrimaryKeyConstraint("performance_id", "place", name=op.f("pk_seats")),
    )
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("retire_time", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
    )
    op.create_table(
        "tickets",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("ticket_type_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("check_in_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_in_place", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("performance_id", "id", name=op.f("pk_tickets")),
    )
    op.create_index("ix_tickets_booking", "tickets", ["performance_id", "booking_id"], unique=False)
    op.create_index("uq_tickets_code", "tickets", ["performance_id", "code"], unique=True)
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), server_default="", nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("email_verify_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disable_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email_key", name=op.f("uq_users_email_key")),
    )
    op.create_index(op.f("ix_users_create_time_id"), "users", ["create_time", "id"], unique=False)
    op.create_table(
        "venues",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.Column("time_zone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_venues")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoke_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("use_time", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
    )
    op.create_index(op.f("ix_api_keys_user_id"), "api_keys", ["user_id"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("category_id", sa.BigInteger(), nullable=True),
        sa.Column("image_uris", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("running_time", sa.Interval(), nullable=True),
        sa.Column("state", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("publish_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["category_id"], ["categories.id"], name=op.f("fk_events_category_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_category_id"), "events", ["category_id"], unique=False)
    op.create_table(
        "one_time_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("use_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("purpose IN ('verify_email', 'reset_password')", name=op.f("ck_one_time_tokens_purpose")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_one_time_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_one_time_tokens")),
    )
    op.create_index(op.f("ix_one_time_tokens_user_id"), "one_time_tokens", ["user_id"], unique=False)
    op.create_table(
        "seat_maps",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("venue_id", sa.BigInteger(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("current_version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["venue_id"], ["venues.id"], name=op.f("fk_seat_maps_venue_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seat_maps")),
    )
    op.create_index(op.f("ix_seat_maps_venue_id"), "seat_maps", ["venue_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoke_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoke_reason", sa.Text(), nullable=True),
        sa.Column("successor_key", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_expire_time"), "sessions", ["expire_time"], unique=False)
    op.create_index(
        op.f("ix_sessions_revoke_time"),
        "sessions",
        ["revoke_time"],
        unique=False,
        postgresql_where=sa.text("revoke_time IS NOT NULL"),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "performances",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("venue_id", sa.BigInteger(), nullable=False),
        sa.Column("hall", sa.Text(), server_default="", nullable=False),
        sa.Column("seat_map_id", sa.BigInteger(), nullable=False),
        sa.Column("seat_map_version", sa.Integer(), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("sale_start_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sale_end_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_limit", sa.Integer(), nullable=False),
        sa.Column("hold_duration", sa.Interval(), nullable=False),
        sa.Column("refund_deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("cancel_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("wind_up_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.CheckConstraint("hold_duration > interval '0'", name=op.f("ck_performances_hold_duration")),
        sa.CheckConstraint("customer_limit > 0", name=op.f("ck_performances_customer_limit")),
        sa.CheckConstraint("end_time IS NULL OR end_time > start_time", name=op.f("ck_performances_ends_after_start")),
        sa.CheckConstraint("sale_start_time < sale_end_time", name=op.f("ck_performances_sale_window")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_performances_event_id")),
        sa.ForeignKeyConstraint(["seat_map_id"], ["seat_maps.id"], name=op.f("fk_performances_seat_map_id")),
        sa.ForeignKeyConstraint(["venue_id"], ["venues.id"], name=op.f("fk_performances_venue_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_performances")),
    )
    op.create_index(op.f("ix_performances_event_id"), "performances", ["event_id"], unique=False)
    op.create_index(
        op.f("ix_performances_seat_map_id_seat_map_version"),
        "performances",
        ["seat_map_id", "seat_map_version"],
        unique=False,
    )
    op.create_index(op.f("ix_performances_start_time_id"), "performances", ["start_time", "id"], unique=False)
    op.create_index(
        op.f("ix_performances_venue_id_start_time"), "performances", ["venue_id", "start_time"], unique=False
    )
    op.create_index(
        op.f("ix_performances_wind_up_time"),
        "performances",
        ["wind_up_time"],
        unique=False,
        postgresql_where=sa.text("wind_up_time IS NOT NULL"),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("use_time", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_refresh_tokens_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_refresh_tokens")),
    )
    op.create_index(op.f("ix_refresh_tokens_session_id"), "refresh_tokens", ["session_id"], unique=False)
    op.create_table(
        "seat_map_versions",
        sa.Column("seat_map_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("place_count", sa.Integer(), nullable=False),
        sa.Column("zones", postgresql.JSONB(), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["seat_map_id"],
            ["seat_maps.id"],
            name=op.f("fk_seat_map_versions_seat_map_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("seat_map_id", "number", name=op.f("pk_seat_map_versions")),
    )
    op.create_table(
        "ticket_types",
        sa.Column("performance_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("zones", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=True),
        sa.Column("sale_start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sale_end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("customer_limit", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.CheckConstraint("customer_limit > 0", name=op.f("ck_ticket_types_customer_limit")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_ticket_types_price")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_ticket_types_quantity")),
        sa.CheckConstraint("sale_start_time < sale_end_time", name=op.f("ck_ticket_types_sale_window")),
        sa.ForeignKeyConstraint(
            ["performance_id"],
            ["performances.id"],
            name=op.f("fk_ticket_types_performance_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("performance_id", "id", name=op.f("pk_ticket_types")),
        sa.UniqueConstraint("performance_id", "display_name", name=op.f("uq_ticket_types_performance_id_display_name")),
    )
    _make_payments()
    _make_simulator_books()
    _tune_hot_tables()
    _make_append_only("command_log")


def _make_payments() -> None:
    op.create_table(
        "payments",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("provider_reference", sa.Text(), nullable=True),
        sa.Column("approval_uri", sa.Text(), nullable=True),
        sa.Column("return_uri", sa.Text(), nullable=True),
        sa.Column("cancel_uri", sa.Text(), nullable=True),
        sa.Column("error_reason", sa.Text(), nullable=True),
        sa.Column("capture_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_attempt_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("complete_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_payments_amount")),
        sa.PrimaryKeyConstraint("performance_id", "id", name=op.f("pk_payments")),
    )
    op.create_index("ix_payments_booking", "payments", ["performance_id", "booking_id", "create_time"], unique=False)
    op.create_index("ix_payments_customer", "payments", ["customer_id", "create_time"], unique=False)
    op.create_index(
        "ix_payments_due",
        "payments",
        ["next_attempt_time"],
        unique=False,
        postgresql_where="next_attempt_time IS NOT NULL",
    )
    op.create_index(
        "uq_payments_open",
        "payments",
        ["performance_id", "booking_id"],
        unique=True,
        postgresql_where="state IN (1, 2, 3, 7)",
    )
    op.create_table(
        "refunds",
        sa.Column("performance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("provider_reference", sa.Text(), nullable=True),
        sa.Column("error_reason", sa.Text(), nullable=True),
        sa.Column("next_attempt_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("complete_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refunds_amount")),
        sa.PrimaryKeyConstraint("performance_id", "id", name=op.f("pk_refunds")),
    )
    op.create_index(
        "ix_refunds_due",
        "refunds",
        ["next_attempt_time"],
        unique=False,
        postgresql_where="next_attempt_time IS NOT NULL",
    )
    op.create_index("ix_refunds_payment", "refunds", ["performance_id", "payment_id"], unique=False)


def _make_simulator_books() -> None:
    op.create_table(
        "simulator_orders",
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("decline_reason", sa.Text(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("capture_time", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_simulator_orders")),
        sa.UniqueConstraint("reference", name=op.f("uq_simulator_orders_reference")),
    )
    op.create_table(
        "simulator_refunds",
        sa.Column("refund_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("refund_id", name=op.f("pk_simulator_refunds")),
    )
    op.create_index(op.f("ix_simulator_refunds_payment_id"), "simulator_refunds", ["payment_id"], unique=False)
    op.create_table(
        "simulator_scripts",
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("payment_id", "call", name=op.f("pk_simulator_scripts")),
    )


def _tune_hot_tables() -> None:
    """Leave room on each page, so that an update stays on it and no index is touched; vacuum often."""
    op.execute(
        "ALTER TABLE inventories SET (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, "
        "autovacuum_vacuum_threshold = 1000)"
    )
    op.execute("ALTER TABLE seats SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05)")
    op.execute("ALTER TABLE quotas SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)")
    op.execute("ALTER TABLE bookings SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)")


def _make_append_only(table: str) -> None:
    """Let rows of ``table`` come, and never change or go."""
    op.execute(f"""
        CREATE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '{table} is append-only';
        END $$
    """)
    op.execute(f"""
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only()
    """)
