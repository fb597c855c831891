"""Notifications as callers see them."""

from rowlock.v1 import notification_pb2 as pb
from server import resources
from server.db.models.notifications import Notification
from server.mail.rendering import InboxWords
from server.services.wire import timestamp


def notification_message(row: Notification, words: InboxWords, *, for_staff: bool) -> pb.Notification:
    """A notification; ``words`` are what it says."""
    return pb.Notification(
        name=resources.notification(row.id),
        recipient="" if row.recipient_id is None else resources.user(row.recipient_id),
        kind=pb.Notification.Kind.ValueType(row.kind),
        subject=words.subject,
        body=words.body,
        state=pb.Notification.State.ValueType(row.state),
        error_reason=(row.error_reason or "") if for_staff else "",
        subject_resource=row.about,
        create_time=timestamp(row.create_time),
        send_time=timestamp(row.send_time),
        read_time=timestamp(row.read_time),
    )
