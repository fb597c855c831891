"""What one sees first: what is on, what sells, and what waits for people."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin import CustomView, route

from console.calling import call, sentence
from console.drawings import sales_drawing
from console.known import local_start
from console.local_times import told
from console.records import Record
from console.rendering import render
from rowlock.v1 import contact_pb2, operations_pb2, performance_pb2, report_pb2
from rowlock.v1.contact_pb2_grpc import ContactServiceStub
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock.v1.operations_pb2_grpc import OperationsServiceStub
from rowlock.v1.report_pb2_grpc import ReportServiceStub
from rowlock_client.errors import RowlockError, Unauthenticated
from rowlock_client.rpc import Rpc

PartT = TypeVar("PartT")

_PERFORMANCES: Final = 12
_DAYS: Final = 30
_JUST_NOW: Final = timedelta(hours=6)
"""A performance that began so long ago may still be on."""


@dataclass(frozen=True, slots=True)
class Part(Generic[PartT]):
    """One part of the page: what it shows, or why it cannot."""

    found: PartT | None = None
    problem: str = ""


class Home(CustomView):
    """What is on, what sells, and what waits for people."""

    menu_label = "Today"
    icon = "fa fa-gauge"
    path = "/"

    @route("")
    async def index(self, request: Request) -> Response:
        """All parts at once. One that the server refuses, or cannot give now, takes no other one with it."""
        since = Timestamp()
        since.FromDatetime(datetime.now(UTC) - _JUST_NOW)
        performances, sales, backlog, inquiries = await asyncio.gather(
            _part(call(request, _performances(since))),
            _part(call(request, _sales(since))),
            _part(call(request, _backlog())),
            _part(call(request, _inquiries())),
        )
        days = sales.found.rows[-_DAYS:] if sales.found else []
        return render(
            self,
            request,
            "home.html",
            performances=_rows(performances),
            sales=sales,
            chart_of_days=sales_drawing(days, "Sales by day, of what is to come"),
            for_people=Part(
                [Record(kind) for kind in backlog.found.kinds if kind.for_people_count] if backlog.found else None,
                backlog.problem,
            ),
            inquiries=inquiries,
        )


async def _part(calling: Awaitable[PartT]) -> Part[PartT]:
    try:
        return Part(await calling)
    except Unauthenticated:
        raise
    except RowlockError as error:
        return Part(problem=sentence(error))


def _rows(part: Part[performance_pb2.ListPerformancesResponse]) -> Part[Sequence[Record[performance_pb2.Performance]]]:
    if part.found is None:
        return Part(problem=part.problem)
    return Part([Record(row, local_start=told(local_start(row))) for row in part.found.performances])


def _performances(since: Timestamp) -> Rpc[performance_pb2.ListPerformancesResponse]:
    wanted = performance_pb2.ListPerformancesRequest(start_time_from=since, page_size=_PERFORMANCES)
    return Rpc(EventServiceStub, "ListPerformances", wanted)


def _sales(since: Timestamp) -> Rpc[report_pb2.GetSalesReportResponse]:
    wanted = report_pb2.GetSalesReportRequest(grouping=report_pb2.GROUPING_DAY, start_time_from=since, page_size=1000)
    return Rpc(ReportServiceStub, "GetSalesReport", wanted)


def _inquiries() -> Rpc[contact_pb2.ListInquiriesResponse]:
    wanted = contact_pb2.ListInquiriesRequest(state=contact_pb2.Inquiry.OPEN, page_size=1)
    return Rpc(ContactServiceStub, "ListInquiries", wanted)


def _backlog() -> Rpc[operations_pb2.ListBacklogResponse]:
    return Rpc(OperationsServiceStub, "ListBacklog", operations_pb2.ListBacklogRequest())
