"""Lists that come in pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from google.protobuf.message import Message

from rowlock.v1 import performance_pb2
from rowlock_client.rpc import Rpc

AnswerT = TypeVar("AnswerT", bound=Message)


def continued(rpc: Rpc[AnswerT], page: AnswerT) -> Rpc[AnswerT] | None:
    """The call for the page after `page`; None: that was the last one."""
    token: str = getattr(page, "next_page_token", "")
    if not token:
        return None
    request = type(rpc.request)()
    request.CopyFrom(rpc.request)
    setattr(request, "page_token", token)  # noqa: B010 - not of every Message
    return replace(rpc, request=request)


def joined(
    pages: Iterable[performance_pb2.GetPerformanceSeatMapResponse],
) -> performance_pb2.GetPerformanceSeatMapResponse:
    """One drawing out of its pages."""
    whole = performance_pb2.GetPerformanceSeatMapResponse()
    for page in pages:
        # Repeated fields are joined, the others are alike on all pages.
        zones = list(page.zones)
        whole.MergeFrom(page)
        del whole.zones[:]
        whole.zones.extend(zones)
    whole.next_page_token = ""
    return whole
