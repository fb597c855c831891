"""Messages on their way out: what a worker may send now, and what became of it.

A message is taken up by moving its ``next_attempt_time`` into the future: if the worker dies, another takes over at
that time. Before the mail server is given the text, ``hand_over`` is committed; when the server has answered, the
answer is. So of every message it is known whether the server

- cannot have it (no mark): it is sent;
- took it or refused it (the answer was committed);
- may have it (marked, and no answer): the worker died, or the connection did, between the last byte and the answer.
  A mail server cannot be asked, so such a message is FAILED as UNCERTAIN and left to staff, who send it again by one
  command, under the same Message-ID; or, where the installation says so, that is done by itself.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from server.db.models.notifications import Notification
from server.domain.due import take_up
from server.states import NotificationState

UNCERTAIN: Final = "UNCERTAIN: nobody knows whether the mail server took it"
OUTDATED: Final = "OUTDATED: what it says was over before it could be sent"
NO_ADDRESS: Final = "NO_ADDRESS: the recipient has none any more"

_LONGEST_WAIT: Final = timedelta(minutes=30)
_LONGEST_REASON: Final = 300


@dataclass(frozen=True, slots=True)
class Attempt:
    """A message as one worker has taken it up. ``number`` counts the attempts."""

    performance_id: int
    id: UUID
    number: int
    queue_time: datetime


def attempt_of(row: Notification) -> Attempt:
    """The attempt that a row was just taken up for."""
    return Attempt(row.performance_id, row.id, row.attempt_count, row.queue_time)


def take_due(
    session: Session, limit: int, lease: timedelta, *, repeat_uncertain: bool = False
) -> Sequence[Notification]:
    """Take up messages that are due; nobody else does for the length of ``lease``.

    Those that were handed over without an answer being known are FAILED at once, unless ``repeat_uncertain``.

    Args:
        session: a transaction.
        limit: how many at most; those to many wait for the others.
        lease: for how long.
        repeat_uncertain: send these again.
    """
    taken = take_up(session, Notification, limit, lease, first=["bulk"])
    doubtful = [row for row in taken if row.handover_time is not None]
    if repeat_uncertain or not doubtful:
        return taken
    for row in doubtful:
        uncertain(session, attempt_of(row))
    return [row for row in taken if row.handover_time is None]


def hand_over(session: Session, attempt: Attempt, lease: timedelta, *, subject: str, body: str) -> bool:
    """Write down what is about to be said, and that the mail server is about to hear it.

    Returns:
        Whether it may be said: nobody else has taken the message up meanwhile.
    """
    return _change(
        session,
        attempt,
        handover_time=func.clock_timestamp(),
        next_attempt_time=func.clock_timestamp() + lease,
        subject=subject,
        body=body,
    )


def sent(session: Session, attempt: Attempt) -> None:
    """The mail server took it. True however late it is known, and whatever was believed meanwhile."""
    session.execute(
        update(Notification)
        .where(
            Notification.performance_id == attempt.performance_id,
            Notification.id == attempt.id,
            Notification.state.in_((NotificationState.QUEUED, NotificationState.FAILED)),
        )
        .values(
            state=NotificationState.SENT,
            send_time=func.clock_timestamp(),
            update_time=func.clock_timestamp(),
            next_attempt_time=None,
            handover_time=None,
            error_reason=None,
        ),
        execution_options={"synchronize_session": False},
    )


def put_off(session: Session, attempt: Attempt, reason: str, wait: timedelta) -> None:
    """The mail server does not have it: try again after ``wait``."""
    _change(
        session,
        attempt,
        handover_time=None,
        error_reason=reason[:_LONGEST_REASON],
        next_attempt_time=func.clock_timestamp() + wait,
    )


def refused(session: Session, attempt: Attempt, reason: str) -> None:
    """It will not be taken: staff have to see it."""
    _end(session, attempt, NotificationState.FAILED, reason, handover_time=None)


def uncertain(session: Session, attempt: Attempt) -> None:
    """Nobody knows whether it was taken: staff have to see it. The mark stays."""
    _end(session, attempt, NotificationState.FAILED, UNCERTAIN)


def outdated(session: Session, attempt: Attempt) -> None:
    """It is of no use any more as a mail: it stays in the inbox."""
    _end(session, attempt, NotificationState.INBOX_ONLY, OUTDATED, handover_time=None)


def retry(session: Session, *, names: Collection[UUID] = (), uncertain_only: bool = False, limit: int = 10_000) -> int:
    """Put FAILED messages into the queue again, by the wish of staff; returns how many.

    Args:
        session: a transaction.
        names: these only; empty: all.
        uncertain_only: only those of which nobody knows whether they were taken.
        limit: how many at most, the oldest first.
    """
    query = (
        select(Notification.performance_id, Notification.id)
        .where(Notification.state == NotificationState.FAILED)
        .order_by(Notification.create_time, Notification.id)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    if names:
        query = query.where(Notification.id.in_(names))
    if uncertain_only:
        query = query.where(Notification.handover_time.is_not(None))
    failed = query.subquery()
    changed = session.execute(
        update(Notification)
        .where(Notification.performance_id == failed.c.performance_id, Notification.id == failed.c.id)
        .values(
            state=NotificationState.QUEUED,
            next_attempt_time=func.clock_timestamp(),
            queue_time=func.clock_timestamp(),
            update_time=func.clock_timestamp(),
            handover_time=None,
        )
        .returning(Notification.id),
        execution_options={"synchronize_session": False},
    )
    return len(changed.all())


def wait_before(number: int, first: timedelta) -> timedelta:
    """How long to wait after the ``number``-th attempt: ``first``, doubled each time, to 30 min. Pure."""
    return min(first * (1 << min(max(number - 1, 0), 20)), _LONGEST_WAIT)


def is_hopeless(attempt: Attempt, now: datetime, give_up_after: timedelta) -> bool:
    """Whether the server has put it off for so long that staff should look. Pure."""
    return now - attempt.queue_time >= give_up_after


def _end(session: Session, attempt: Attempt, state: NotificationState, reason: str, **values: Any) -> None:
    _change(session, attempt, state=state, next_attempt_time=None, error_reason=reason[:_LONGEST_REASON], **values)


def _change(session: Session, attempt: Attempt, **values: Any) -> bool:
    """Change a message that is still this attempt's; False: it is not."""
    changed = session.execute(
        update(Notification)
        .where(
            Notification.performance_id == attempt.performance_id,
            Notification.id == attempt.id,
            Notification.state == NotificationState.QUEUED,
            Notification.attempt_count == attempt.number,
        )
        .values(update_time=func.clock_timestamp(), **values)
        .returning(Notification.id),
        execution_options={"synchronize_session": False},
    )
    return changed.first() is not None
