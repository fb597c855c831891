"""Reading messages: a person's inbox, what staff see, how the queue of mails stands."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, tuple_, update
from sqlalchemy.orm import Session

from server import resources
from server.db.models.notifications import Notification
from server.errors import NotFound
from server.states import NotificationState


@dataclass(frozen=True, slots=True)
class NotificationPage:
    """Messages, newest first, how many there are on all pages, and how many of the reader's own are unread."""

    notifications: Sequence[Notification]
    total: int
    unread: int


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """How the queue of mails stands. ``oldest``: since when the one waits that has waited for longest."""

    queued: int
    oldest: datetime | None
    sent: int
    failed: int
    uncertain: int


def list_notifications(
    session: Session,
    *,
    reader: UUID,
    recipient: UUID | None,
    unread_only: bool,
    state: NotificationState | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> NotificationPage:
    """Messages that meet every condition, newest first.

    Args:
        session: a transaction.
        reader: who asks, for the count of unread ones.
        recipient: only those to this user; None: to anybody.
        unread_only: only those that were not read.
        state: only those in this state; None: in any.
        after: (create_time, id) of the last message of the page before.
        limit: how many at most.
    """
    wanted: list[ColumnElement[bool]] = []
    if recipient is not None:
        wanted.append(Notification.recipient_id == recipient)
    if unread_only:
        wanted.append(Notification.read_time.is_(None))
    if state is not None:
        wanted.append(Notification.state == state)
    total = session.scalar(select(func.count()).select_from(Notification).where(*wanted)) or 0
    query = select(Notification).where(*wanted)
    if after is not None:
        query = query.where(tuple_(Notification.create_time, Notification.id) < after)
    rows = session.scalars(query.order_by(Notification.create_time.desc(), Notification.id.desc()).limit(limit)).all()
    return NotificationPage(rows, total, unread_count(session, reader))


def unread_count(session: Session, recipient: UUID) -> int:
    """How many messages to a user were not read."""
    unread = select(func.count()).where(Notification.recipient_id == recipient, Notification.read_time.is_(None))
    return session.scalar(unread) or 0


def require(session: Session, ids: Collection[UUID]) -> None:
    """Return if there is a message of each id.

    Raises:
        NotFound: one is absent.
    """
    _require_all(ids, session.scalars(select(Notification.id).where(Notification.id.in_(ids))))


def mark_read(session: Session, recipient: UUID, ids: Collection[UUID]) -> int:
    """Mark messages of a user as read; returns how many were not before.

    Args:
        session: a transaction.
        recipient: whose they must be.
        ids: which; empty: all.

    Raises:
        NotFound: one is absent, or somebody else's; then none is marked.
    """
    wanted = [Notification.recipient_id == recipient]
    if ids:
        wanted.append(Notification.id.in_(ids))
        _require_all(ids, session.scalars(select(Notification.id).where(*wanted)))
    marked = session.execute(
        update(Notification)
        .where(*wanted, Notification.read_time.is_(None))
        .values(read_time=func.clock_timestamp(), update_time=Notification.update_time)
        .returning(Notification.id),
        execution_options={"synchronize_session": False},
    )
    return len(marked.all())


def queue_status(session: Session) -> QueueStatus:
    """How the queue stands."""
    row = session.execute(
        select(
            func.count().filter(Notification.state == NotificationState.QUEUED),
            func.min(Notification.queue_time).filter(Notification.state == NotificationState.QUEUED),
            func.count().filter(Notification.state == NotificationState.SENT),
            func.count().filter(Notification.state == NotificationState.FAILED),
            func.count().filter(
                Notification.state == NotificationState.FAILED, Notification.handover_time.is_not(None)
            ),
        )
    ).one()
    return QueueStatus(*row)


def failures(session: Session, limit: int) -> Sequence[Notification]:
    """Messages that failed, the newest first."""
    return session.scalars(
        select(Notification)
        .where(Notification.state == NotificationState.FAILED)
        .order_by(Notification.create_time.desc(), Notification.id.desc())
        .limit(limit)
    ).all()


def _require_all(ids: Collection[UUID], known: Iterable[UUID]) -> None:
    for missing in sorted(set(ids).difference(known)):
        raise NotFound.of(resources.notification(missing))
