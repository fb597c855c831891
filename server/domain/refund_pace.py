"""How fast refunds are asked for: so many a second of each provider, by all workers together.

A cancelled performance makes thousands of refunds at once, and providers turn callers away who come too fast. The pace
is kept in one row for each provider: the time from which its next refund may be asked for. Whoever takes refunds up
moves it on under its lock, by the time that they may take; time that nobody used is kept for one second, not longer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.db.clock import database_now, statement_time
from server.db.models.books import RefundPace
from server.db.models.payments import Refund
from server.domain import refund_attempts
from server.domain.refund_attempts import RefundAttempt
from server.states import Provider

_SAVED: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken up, and after how many seconds more of what is due may be; None: nothing was left behind."""

    attempts: Sequence[RefundAttempt]
    pause: float | None = None


def take_due(session: Session, limit: int, lease: timedelta, rate: float | None) -> Taken:
    """Take up refunds that are due and that may be asked for now; nobody else does for the length of ``lease``.

    Args:
        session: a transaction.
        limit: how many at most.
        lease: for how long they are this caller's.
        rate: how many a second of each provider; None: any number.
    """
    if rate is None:
        return Taken(refund_attempts.take_due(session, limit, lease))
    attempts: list[RefundAttempt] = []
    pauses: list[float] = []
    # The providers in one order, so that nobody waits for a pace in a circle.
    for provider in Provider:
        if len(attempts) < limit and _is_due(session, provider):
            taken = _take(session, provider, limit - len(attempts), lease, rate)
            attempts += taken.attempts
            if taken.pause is not None:
                pauses.append(taken.pause)
    return Taken(attempts, min(pauses, default=None))


def _take(session: Session, provider: Provider, limit: int, lease: timedelta, rate: float) -> Taken:
    pace = _locked(session, provider)
    now = database_now(session)
    interval = timedelta(seconds=1 / rate)
    free = max(pace.free_time, now - max(_SAVED, interval))
    allowed = math.floor((now - free) / interval) if now >= free else 0
    attempts = refund_attempts.take_due(session, min(allowed, limit), lease, provider=provider) if allowed else ()
    pace.free_time = free + len(attempts) * interval
    if len(attempts) < allowed:
        return Taken(attempts)
    return Taken(attempts, max((pace.free_time + interval - now).total_seconds(), 0))


def _locked(session: Session, provider: Provider) -> RefundPace:
    first = insert(RefundPace).values(provider=provider, free_time=func.clock_timestamp() - _SAVED)
    session.execute(first.on_conflict_do_nothing())
    return session.get_one(RefundPace, provider, with_for_update={"key_share": True}, populate_existing=True)


def _is_due(session: Session, provider: Provider) -> bool:
    due = select(Refund.id).where(Refund.provider == provider, Refund.next_attempt_time <= statement_time())
    return session.scalar(due.limit(1)) is not None
