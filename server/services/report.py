"""ReportService: sales added up, as messages and as a file, and the best events."""

from datetime import datetime
from typing import Any, Final, TypeAlias

import grpc.aio
from google.api.httpbody_pb2 import HttpBody
from google.type.date_pb2 import Date

from rowlock.v1 import report_pb2 as pb
from rowlock.v1 import report_pb2_grpc
from server import resources
from server.db.engine import Database
from server.domain import reports
from server.domain.reports import Conditions, SalesRow
from server.errors import ResourceExhausted
from server.services.paging import page_of
from server.services.report_csv import csv_of
from server.services.wire import money, time_in, timestamp
from server.states import ReportGrouping, TopMetric

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_TOP: Final = 5
_MOST_LINES: Final = 20_000
_MOST_BYTES: Final = 3_500_000
"""What a client takes that was not told otherwise is 4 MB."""


class ReportService(report_pb2_grpc.ReportServiceServicer):
    """The servicer.

    Args:
        database: what is reported on.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetSalesReport(self, request: pb.GetSalesReportRequest, context: Context) -> pb.GetSalesReportResponse:
        """Add sales up, by page."""
        page = page_of(request, datetime, int, int, str)
        grouping, conditions = _grouping(request), _conditions(request)
        found = await self._database.read(
            lambda session: reports.sales(session, grouping, conditions, after=page.after, limit=page.limit)
        )
        rows, next_page_token = page.cut(found.rows, key=lambda row: row.key or ())
        return pb.GetSalesReportResponse(
            rows=map(_row_message, rows),
            totals=map(_row_message, found.totals),
            next_page_token=next_page_token,
            total_size=found.total_size,
        )

    async def ExportSalesReport(self, request: pb.ExportSalesReportRequest, context: Context) -> HttpBody:
        """Add sales up, as one file."""
        grouping, conditions = _grouping(request), _conditions(request)
        found = await self._database.read(
            lambda session: reports.sales(session, grouping, conditions, after=None, limit=_MOST_LINES + 1)
        )
        file = csv_of(found.rows)
        if len(found.rows) > _MOST_LINES or len(file) > _MOST_BYTES:
            raise ResourceExhausted(
                "REPORT_TOO_LARGE", "the file would be too large; narrow the conditions", limit=str(_MOST_BYTES)
            )
        return HttpBody(content_type="text/csv; charset=utf-8; header=present", data=file)

    async def ListTopEvents(self, request: pb.ListTopEventsRequest, context: Context) -> pb.ListTopEventsResponse:
        """List the best events."""
        conditions = Conditions(
            start_from=time_in(request, "start_time_from"), start_before=time_in(request, "start_time_before")
        )
        metric = TopMetric(request.metric or TopMetric.PROFIT)
        found = await self._database.read(
            lambda session: reports.top_events(
                session,
                metric,
                conditions,
                currency=request.currency_code or None,
                limit=request.page_size or _TOP,
            )
        )
        return pb.ListTopEventsResponse(events=map(_row_message, found))


def _grouping(request: pb.GetSalesReportRequest | pb.ExportSalesReportRequest) -> ReportGrouping:
    return ReportGrouping(request.grouping or ReportGrouping.PERFORMANCE)


def _conditions(request: pb.GetSalesReportRequest | pb.ExportSalesReportRequest) -> Conditions:
    return Conditions(
        event_id=resources.parse_event(request.event, "event") if request.event else None,
        performance_id=(
            resources.parse_performance(request.performance, "performance") if request.performance else None
        ),
        start_from=time_in(request, "start_time_from"),
        start_before=time_in(request, "start_time_before"),
    )


def _row_message(row: SalesRow) -> pb.SalesRow:
    performance_id, type_id = row.performance_id, row.ticket_type_id
    return pb.SalesRow(
        event=resources.event(row.event_id) if row.event_id else "",
        event_title=row.event_title or "",
        performance=resources.performance(performance_id) if performance_id else "",
        start_time=timestamp(row.start_time),
        ticket_type=resources.ticket_type(performance_id, type_id) if performance_id and type_id else "",
        ticket_type_display_name=row.ticket_type_name or "",
        held=row.held,
        sold=row.sold,
        complimentary=row.complimentary,
        bookings=row.bookings,
        revenue=money(row.revenue, row.currency),
        refunds=money(row.refunds, row.currency),
        profit=money(row.profit, row.currency),
        average_per_booking=None if row.average is None else money(row.average, row.currency),
        cash=money(row.cash, row.currency),
        capacity=row.capacity,
        day=Date(year=row.day.year, month=row.day.month, day=row.day.day) if row.day else None,
    )
