"""The change log, ``seat_changes``, from which hubs read what did not reach them: its trimming.

The ledger appends to it in the transaction that changes the seats; ``feed_reading`` reads it.
"""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session


def trim(session: Session, *, retention: timedelta, limit: int = 5_000) -> int:
    """Delete changes older than ``retention``, the oldest first.

    Watchers that resume from before get a snapshot. What is left of each performance stays without a gap, because
    its changes were written in the order of their revisions.

    Args:
        session: a transaction.
        retention: how long changes are kept.
        limit: most rows to delete, so that the transaction stays short.

    Returns:
        How many were deleted; as many as ``limit``: there may be more.
    """
    deleted = session.execute(
        text(
            "WITH old AS (SELECT performance_id, revision FROM seat_changes"
            "  WHERE commit_time < statement_timestamp() - :retention ORDER BY commit_time, revision LIMIT :limit),"
            " gone AS (DELETE FROM seat_changes c USING old"
            "  WHERE c.performance_id = old.performance_id AND c.revision = old.revision RETURNING 1)"
            " SELECT count(*) FROM gone"
        ),
        {"retention": retention, "limit": limit},
    )
    return int(deleted.scalar_one())
