"""OperationsService: what staff did, what became of a booking, and what waits to be done."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import grpc.aio
from sqlalchemy.orm import Session

from rowlock.v1 import operations_pb2 as pb
from rowlock.v1 import operations_pb2_grpc
from server import resources
from server.db.engine import Database
from server.domain import booking_history, staff_actions, webhooks
from server.domain.backlog import backlog
from server.domain.staff_actions import ActionFilter
from server.interceptors.authentication import caller
from server.payments.wake import WEBHOOKS, Waker
from server.services.mutation import once
from server.services.operations_messages import (
    backlog_message,
    history_message,
    provider_webhook_message,
    staff_action_message,
)
from server.services.paging import page_of
from server.services.staff_recording import own_name
from server.services.wire import time_in
from server.states import WebhookState

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_MOST_ACTIONS: Final = 100
"""On a page: each carries its request, and an answer must stay below what clients take."""


class OperationsService(operations_pb2_grpc.OperationsServiceServicer):
    """The servicer.

    Args:
        database: where everything is.
        waker: has messages of providers acted on at once.
    """

    def __init__(self, database: Database, waker: Waker) -> None:
        self._database = database
        self._waker = waker

    async def ListStaffActions(
        self, request: pb.ListStaffActionsRequest, context: Context
    ) -> pb.ListStaffActionsResponse:
        """List what staff changed, newest first."""
        me = caller().user_id
        page = page_of(request, datetime, UUID, scope=str(me))
        page = replace(page, size=min(page.size, _MOST_ACTIONS))
        wanted = ActionFilter(
            actor_id=resources.parse_user(request.actor, me, "actor") if request.actor else None,
            method=request.method,
            start=time_in(request, "start_time"),
            end=time_in(request, "end_time"),
            resource=own_name(request.resource, resources.user(me)),
        )
        found = await self._database.read(lambda session: staff_actions.page(session, wanted, page.after, page.limit))
        rows, token = page.cut(found, key=lambda row: (row.action.action_time, row.action.id))
        return pb.ListStaffActionsResponse(staff_actions=map(staff_action_message, rows), next_page_token=token)

    async def ListBookingHistory(
        self, request: pb.ListBookingHistoryRequest, context: Context
    ) -> pb.ListBookingHistoryResponse:
        """List what became of a booking, oldest first."""
        performance_id, booking_id = resources.parse_booking(request.parent, "parent")
        page = page_of(request, datetime, int, str)
        found = await self._database.read(
            lambda session: booking_history.history(session, performance_id, booking_id, page.after, page.limit)
        )
        rows, token = page.cut(found, key=lambda entry: (entry.time, entry.kind, entry.key))
        return pb.ListBookingHistoryResponse(entries=map(history_message, rows), next_page_token=token)

    async def ListBacklog(self, request: pb.ListBacklogRequest, context: Context) -> pb.ListBacklogResponse:
        """List the kinds of work, with how much of each waits."""
        page = page_of(request, int)
        start = 0 if page.after is None else page.after[0] + 1
        kinds = await self._database.read(backlog)
        rows, token = page.cut(list(enumerate(kinds))[start : start + page.limit], key=lambda row: (row[0],))
        return pb.ListBacklogResponse(
            kinds=[backlog_message(kind) for _, kind in rows], next_page_token=token, total_size=len(kinds)
        )

    async def ListProviderWebhooks(
        self, request: pb.ListProviderWebhooksRequest, context: Context
    ) -> pb.ListProviderWebhooksResponse:
        """List messages of payment providers, newest first."""
        page = page_of(request, UUID)
        state = WebhookState(request.state) if request.state else None
        after = None if page.after is None else page.after[0]
        found = await self._database.read(lambda session: webhooks.page(session, state, after, page.limit))
        rows, token = page.cut(found.rows, key=lambda row: (row.id,))
        return pb.ListProviderWebhooksResponse(
            provider_webhooks=map(provider_webhook_message, rows), next_page_token=token, total_size=found.total
        )

    async def RetryProviderWebhooks(
        self, request: pb.RetryProviderWebhooksRequest, context: Context
    ) -> pb.RetryProviderWebhooksResponse:
        """Have messages of payment providers acted on once more."""
        ids = {resources.parse_provider_webhook(name, f"names[{n}]") for n, name in enumerate(request.names)}

        def work(session: Session) -> pb.RetryProviderWebhooksResponse:
            return pb.RetryProviderWebhooksResponse(retried_count=webhooks.retry(session, None if request.all else ids))

        answer = await once(self._database, request, pb.RetryProviderWebhooksResponse, work, scope=caller().scope)
        self._waker.wake(WEBHOOKS)
        return answer
