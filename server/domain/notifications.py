"""Telling people something: one row, written in the transaction of what it is about.

So a message exists exactly if what it says is true, whatever dies when. It is sent afterwards by a worker
(``server.domain.notification_sending``), which makes the text from what the database says then. The seat ledger writes
the messages of its own transitions in the same way, set-based (``server.seats.messages``).
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server import resources
from server.db.models.notifications import Notification
from server.states import NotificationKind, NotificationState

NO_PERFORMANCE: Final = 0
"""``performance_id`` of what concerns no performance."""

_IDS: Final = UUID("5d1d7c2e-0a41-4c0e-9b0f-6b1b9f6a7a05")
_BULK: Final = frozenset(
    {NotificationKind.ANNOUNCEMENT, NotificationKind.HOLD_EXPIRED, NotificationKind.PERFORMANCE_CANCELLED}
)

Datum = str | int | bool


def notify(
    session: Session,
    kind: NotificationKind,
    *,
    recipient_id: UUID | None,
    email: str | None,
    performance_id: int,
    subject: str,
    key: str,
    data: Mapping[str, Datum],
    inbox_only: bool = False,
) -> bool:
    """Tell somebody something, once the caller's transaction commits.

    What the mail says is read from the database when it is sent; ``data`` is for what stands nowhere else:

    =====================  ============================  ====================================================
    kind                   subject                       data
    =====================  ============================  ====================================================
    EMAIL_VERIFICATION     ``users/…``                   nothing: the code is made when the mail is made
    PASSWORD_RESET         ``users/…``                   nothing: the same
    PAYMENT_FAILED         ``…/bookings/…/payments/…``   nothing
    REFUND                 ``…/payments/…/refunds/…``    nothing
    INQUIRY_ANSWER         ``inquiries/…``               nothing
    ADMISSION              ``performances/…``            ``expire_time``: ISO 8601, when the admission ends
    WEBHOOK_ENDPOINT_OFF   ``users/…/webhookEndpoints/…``  ``uri``: where it sent to; ``reason``: why it is off
    =====================  ============================  ====================================================

    Args:
        session: the transaction that makes it true.
        kind: what it is about.
        recipient_id: whose inbox it goes to; None: somebody without an account.
        email: the address; None: the one that the recipient has when the mail leaves.
        performance_id: the performance; 0 (NO_PERFORMANCE): none.
        subject: what it is about, by resource name.
        key: names the occasion, such as ``refund/{id}``: a second message with the same key is not written.
        data: see above.
        inbox_only: show it in the inbox and do not mail it.

    Returns:
        Whether it is new.
    """
    row = insert(Notification).values(
        performance_id=performance_id,
        id=message_id(performance_id, key),
        kind=kind,
        state=NotificationState.INBOX_ONLY if inbox_only else NotificationState.QUEUED,
        recipient_id=recipient_id,
        email=email,
        about=subject,
        booking_id=resources.booking_within(subject),
        data=dict(data),
        bulk=is_bulk(kind),
        next_attempt_time=None if inbox_only else func.clock_timestamp(),
        create_time=func.clock_timestamp(),
    )
    written = session.execute(row.on_conflict_do_nothing().returning(Notification.id))
    return written.first() is not None


def when_told(session: Session, occasions: Collection[tuple[int, str]]) -> Mapping[tuple[int, str], datetime]:
    """When messages of occasions, each by performance and key, were written; those of which none was are left out."""
    ids = {
        (performance_id, message_id(performance_id, key)): (performance_id, key) for performance_id, key in occasions
    }
    rows = session.execute(
        select(Notification.performance_id, Notification.id, Notification.create_time).where(
            tuple_(Notification.performance_id, Notification.id).in_(ids)
        )
    )
    return {ids[performance_id, message]: time for performance_id, message, time in rows}


def is_bulk(kind: NotificationKind) -> bool:
    """Whether messages of this kind come by the thousand, and let others pass."""
    return kind in _BULK


def message_id(performance_id: int, key: str) -> UUID:
    """The id of the message of an occasion: the same, whoever writes it and however often."""
    return uuid5(_IDS, f"{performance_id}/{key}")
