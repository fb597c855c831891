"""The one place that reads the machine's clock.

Decisions about holds, payments and sales never use it: they use PostgreSQL's ``clock_timestamp()``, read after
the locks are taken, so that all processes agree. This clock serves tokens, logs and the like.
"""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)
