"""How seats are written, and how what happens to them is told."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from server.config.area import Area, minutes, seconds, setting
from server.config.values import Duration, PositiveDuration


class LedgerScope(StrEnum):
    """Which commands may share one transaction of the seat ledger."""

    DATABASE = "database"
    PERFORMANCE = "performance"


class LedgerSettings(Area):
    """How commands on seats share transactions."""

    heading = "Seat ledger"

    ledger_batch_size: int = setting(128, "Most commands in one transaction.", ge=1, le=1000)
    ledger_gather_time: Duration = setting(
        timedelta(milliseconds=5),
        "How long a transaction waits for more commands if the one before it had many. 0: not at all.",
    )
    ledger_batches_in_flight: int = setting(1, "Transactions of the ledger at once, per process.", ge=1, le=64)
    ledger_scope: LedgerScope = setting(
        LedgerScope.DATABASE,
        "Which commands share a transaction: all of the `database`, or one `performance`'s (sharded databases).",
    )
    ledger_queue_limit: int = setting(
        2000,
        "Most commands waiting in one process; beyond it calls are turned away at once with UNAVAILABLE (OVERLOADED).",
        ge=1,
        le=1_000_000,
    )


class FeedSettings(Area):
    """How long seat streams live, and how far watchers may be behind."""

    heading = "Seat feed"

    stream_max_age: PositiveDuration = setting(
        minutes(15), "A stream ends itself at this age and tells its client to reconnect."
    )
    stream_age_jitter: float = setting(
        0.2,
        "Share of that age by which a stream may end earlier, so that they do not end together.",
        ge=0,
        le=0.9,
    )
    stream_heartbeat: PositiveDuration = setting(seconds(15), "Longest silence on a stream: a heartbeat follows.")
    stream_pending_frames: int = setting(
        1,
        "Revisions that a watcher may be behind and is still told one by one; past them it is told all in one message.",
        ge=1,
        le=100_000,
    )
    stream_write_timeout: PositiveDuration = setting(
        seconds(20), "A watcher that takes nothing for so long is cut off."
    )
    stream_ring_frames: int = setting(
        2048, "Recent frames kept in memory per performance, for resumes.", ge=1, le=1_000_000
    )
    stream_poll_interval: PositiveDuration = setting(
        seconds(1),
        "How often revisions are compared with the database, in case Redis was silent.",
    )
    stream_token_check_interval: PositiveDuration = setting(
        seconds(30), "How often a stream checks that its token is neither expired nor revoked."
    )
    max_streams: int = setting(20_000, "Streams per process.", ge=1, le=1_000_000)
    max_streams_per_account: int = setting(50, "Streams per customer or key, per process.", ge=1)
    change_log_retention: PositiveDuration = setting(
        timedelta(hours=1), "How long changes can be resumed from; older: a fresh snapshot."
    )
