"""NotificationService: staff tell people something, and everybody reads what they were told."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import grpc.aio
import structlog
from jinja2 import TemplateError
from sqlalchemy.orm import Session

from rowlock.v1 import notification_pb2 as pb
from rowlock.v1 import notification_pb2_grpc
from server import resources
from server.db.engine import Database
from server.db.models.notifications import Notification
from server.domain import notification_queue, notification_reads
from server.domain.announcements import announce
from server.domain.notification_facts import Facts, load
from server.interceptors.authentication import caller
from server.mail.rendering import InboxWords, Renderer
from server.seats.halls import Halls
from server.services.mutation import once
from server.services.notification_messages import notification_message
from server.services.paging import page_of
from server.services.standing import owner_of
from server.states import NotificationState

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_log = structlog.get_logger(__name__)


class NotificationService(notification_pb2_grpc.NotificationServiceServicer):
    """The servicer.

    Args:
        database: where messages are.
        renderer: makes words of those that were not sent yet.
        halls: names places.
    """

    def __init__(self, database: Database, renderer: Renderer, halls: Halls) -> None:
        self._database = database
        self._renderer = renderer
        self._halls = halls

    async def SendNotification(
        self, request: pb.SendNotificationRequest, context: Context
    ) -> pb.SendNotificationResponse:
        """Tell users something."""
        who = caller()
        recipients = {
            resources.parse_user(name, who.user_id, f"recipients[{n}]") for n, name in enumerate(request.recipients)
        }
        performance_id = None
        if request.performance:
            performance_id = resources.parse_performance(request.performance, "performance")

        def work(session: Session) -> pb.SendNotificationResponse:
            count = announce(
                session,
                sender_id=who.user_id,
                recipients=recipients,
                performance_id=performance_id,
                subject=request.subject,
                body=request.body,
                inbox_only=request.inbox_only,
            )
            return pb.SendNotificationResponse(recipient_count=count)

        return await once(self._database, request, pb.SendNotificationResponse, work, scope=who.scope)

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: Context
    ) -> pb.ListNotificationsResponse:
        """List messages, newest first."""
        who = caller()
        owner = recipient = owner_of(who)
        if owner is None and request.recipient:
            recipient = resources.parse_user(request.recipient, who.user_id, "recipient")
        page = page_of(request, datetime, UUID, scope=str(owner))

        def work(session: Session) -> pb.ListNotificationsResponse:
            found = notification_reads.list_notifications(
                session,
                reader=who.user_id,
                recipient=recipient,
                unread_only=request.unread_only,
                state=NotificationState(request.state) if request.state else None,
                after=page.after,
                limit=page.limit,
            )
            rows, token = page.cut(found.notifications, lambda row: (row.create_time, row.id))
            shown = zip(rows, self._words(session, rows), strict=True)
            return pb.ListNotificationsResponse(
                notifications=[notification_message(row, words, for_staff=owner is None) for row, words in shown],
                next_page_token=token,
                total_size=found.total,
                unread_count=found.unread,
            )

        # On the database's thread, because words that are made anew take their time.
        return await self._database.read(work)

    async def RetryNotifications(
        self, request: pb.RetryNotificationsRequest, context: Context
    ) -> pb.RetryNotificationsResponse:
        """Put mails that failed into the queue again."""
        who = caller()
        ids = {resources.parse_notification(name, f"names[{n}]") for n, name in enumerate(request.names)}

        def work(session: Session) -> pb.RetryNotificationsResponse:
            notification_reads.require(session, ids)
            return pb.RetryNotificationsResponse(retried_count=notification_queue.retry(session, names=ids))

        return await once(self._database, request, pb.RetryNotificationsResponse, work, scope=who.scope)

    async def MarkRead(self, request: pb.MarkReadRequest, context: Context) -> pb.MarkReadResponse:
        """Mark messages of the caller as read."""
        who = caller()
        ids = {resources.parse_notification(name, f"names[{n}]") for n, name in enumerate(request.names)}

        def work(session: Session) -> pb.MarkReadResponse:
            return pb.MarkReadResponse(marked_count=notification_reads.mark_read(session, who.user_id, ids))

        return await once(self._database, request, pb.MarkReadResponse, work, scope=who.scope)

    def _words(self, session: Session, rows: Sequence[Notification]) -> list[InboxWords]:
        """What was said, or what would be said now."""
        unsaid = [row for row in rows if row.subject is None]
        made = dict(
            zip(
                (row.id for row in unsaid),
                map(self._make, load(session, unsaid, self._halls, codes=False) if unsaid else ()),
                strict=True,
            )
        )
        return [made[row.id] if row.subject is None else InboxWords(row.subject, row.body or "") for row in rows]

    def _make(self, facts: Facts) -> InboxWords:
        try:
            return self._renderer.render_for_inbox(facts)
        except TemplateError as error:
            # A template of the installation's own: the list is shown all the same.
            _log.warning("notification.not_rendered", kind=facts.kind.name, error=str(error))
            return InboxWords(facts.kind.name.replace("_", " ").capitalize(), "")
