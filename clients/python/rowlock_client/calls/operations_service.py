"""What staff did, and what waits."""

from __future__ import annotations

from datetime import datetime

from rowlock.v1 import operations_pb2, operations_pb2_grpc
from rowlock_client.calls.timestamps import timestamp
from rowlock_client.rpc import Rpc

_Operations = operations_pb2_grpc.OperationsServiceStub

ANY_WEBHOOK = operations_pb2.ProviderWebhook.STATE_UNSPECIFIED


def staff_actions(
    *,
    actor: str = "",
    method: str = "",
    about: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    page_size: int = 0,
    page_token: str = "",
) -> Rpc[operations_pb2.ListStaffActionsResponse]:
    """List what staff changed, newest first. Staff.

    Args:
        actor: only what this user did: `users/…`, or `users/me`.
        method: only this RPC, `EventService.CreateEvent`, or all RPCs of a service, `EventService`.
        about: only what was about this resource, or about something in it: `performances/1`.
        start: only at this time or later; with a time zone.
        end: only before this time; with a time zone.
        page_size: how many at most; 0: 50.
        page_token: of the page before.
    """
    request = operations_pb2.ListStaffActionsRequest(
        actor=actor,
        method=method,
        resource=about,
        start_time=timestamp(start),
        end_time=timestamp(end),
        page_size=page_size,
        page_token=page_token,
    )
    return Rpc(_Operations, "ListStaffActions", request)


def booking_history(
    booking: str, *, page_size: int = 0, page_token: str = ""
) -> Rpc[operations_pb2.ListBookingHistoryResponse]:
    """List what became of a booking, oldest first. Staff."""
    request = operations_pb2.ListBookingHistoryRequest(parent=booking, page_size=page_size, page_token=page_token)
    return Rpc(_Operations, "ListBookingHistory", request)


def backlog() -> Rpc[operations_pb2.ListBacklogResponse]:
    """List the kinds of work that is done later, with how much of each waits, and for whom. Staff."""
    return Rpc(_Operations, "ListBacklog", operations_pb2.ListBacklogRequest())


def provider_webhooks(
    state: operations_pb2.ProviderWebhook.State.ValueType = ANY_WEBHOOK, *, page_size: int = 0, page_token: str = ""
) -> Rpc[operations_pb2.ListProviderWebhooksResponse]:
    """List messages of payment providers, newest first. Staff."""
    request = operations_pb2.ListProviderWebhooksRequest(state=state, page_size=page_size, page_token=page_token)
    return Rpc(_Operations, "ListProviderWebhooks", request)


def retry_provider_webhooks(*names: str) -> Rpc[operations_pb2.RetryProviderWebhooksResponse]:
    """Have messages of payment providers acted on once more; without names: all that wait for people. Staff."""
    request = operations_pb2.RetryProviderWebhooksRequest(names=names, all=not names)
    return Rpc(_Operations, "RetryProviderWebhooks", request)
