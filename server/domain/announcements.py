"""Staff's own words to many: kept once, with one message for each whom they are for, by one statement."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Select, exists, func, insert, literal, null, select
from sqlalchemy.orm import Session
from sqlalchemy.types import Uuid

from server import resources
from server.db.ids import new_id
from server.db.models.accounts import User
from server.db.models.base import EnumNumber
from server.db.models.catalogue import Performance
from server.db.models.inventory import Booking
from server.db.models.notifications import Announcement, Notification
from server.domain.notifications import NO_PERFORMANCE
from server.errors import NotFound
from server.states import BookingState, NotificationKind, NotificationState


def announce(
    session: Session,
    *,
    sender_id: UUID,
    recipients: Collection[UUID],
    performance_id: int | None,
    subject: str,
    body: str,
    inbox_only: bool,
) -> int:
    """Tell users something; returns how many are being told.

    It is sent afterwards, like any message, and lets those of single people pass.

    Args:
        session: a transaction.
        sender_id: who says it.
        recipients: whom to tell; empty: everybody with a confirmed booking of the performance.
        performance_id: the performance; None: of none.
        subject: one line.
        body: plain text.
        inbox_only: do not mail it.

    Raises:
        NotFound: a recipient, or the performance.
    """
    if performance_id is None:
        known = set(session.scalars(select(User.id).where(User.id.in_(recipients))))
        for missing in sorted(set(recipients) - known):
            raise NotFound.of(resources.user(missing))
        told = select(User.id).where(User.id.in_(recipients))
    else:
        if not session.scalar(select(exists().where(Performance.id == performance_id))):
            raise NotFound.of(resources.performance(performance_id))
        told = (
            select(Booking.customer_id)
            .where(Booking.performance_id == performance_id, Booking.state == BookingState.CONFIRMED)
            .distinct()
        )
    announcement = Announcement(
        performance_id=performance_id or NO_PERFORMANCE, id=new_id(), subject=subject, body=body, sender_id=sender_id
    )
    session.add(announcement)
    session.flush()
    return _write(session, announcement, told, inbox_only=inbox_only)


def _write(session: Session, announcement: Announcement, told: Select[UUID], *, inbox_only: bool) -> int:
    recipients = told.subquery()
    (recipient,) = recipients.c
    state = NotificationState.INBOX_ONLY if inbox_only else NotificationState.QUEUED
    performance_id = announcement.performance_id
    rows = select(
        literal(performance_id, Notification.performance_id.type),
        func.gen_random_uuid(type_=Uuid()),
        literal(NotificationKind.ANNOUNCEMENT, EnumNumber(NotificationKind)),
        literal(state, EnumNumber(NotificationState)),
        recipient,
        literal(resources.performance(performance_id) if performance_id else ""),
        literal({"announcement": str(announcement.id)}, Notification.data.type),
        literal(value=True),
        null() if inbox_only else func.clock_timestamp(),
    )
    columns = (
        *(Notification.performance_id, Notification.id, Notification.kind, Notification.state),
        *(Notification.recipient_id, Notification.about, Notification.data, Notification.bulk),
        Notification.next_attempt_time,
    )
    written = session.execute(
        insert(Notification).from_select([column.key for column in columns], rows, include_defaults=False),
        execution_options={"synchronize_session": False},
    )
    return int(written.rowcount)  # type: ignore[attr-defined]
