"""Reports: what was sold, as figures, as a picture and as a file."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.api import httpbody_pb2
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin import CustomView, route

from console import choices
from console.calling import call
from console.drawings import label_of, sales_drawing
from console.narrowing import Choice, Moment, Named, Narrowing, moment, offer, read_narrowed
from console.records import Record
from console.rendering import render
from rowlock.v1 import report_pb2
from rowlock.v1.report_pb2_grpc import ReportServiceStub
from rowlock_client.rpc import Rpc

_GROUPINGS: Final = {
    "performance": ("by performance", report_pb2.GROUPING_PERFORMANCE),
    "event": ("by event", report_pb2.GROUPING_EVENT),
    "ticket-type": ("by ticket type", report_pb2.GROUPING_TICKET_TYPE),
    "day": ("by day", report_pb2.GROUPING_DAY),
}
_METRICS: Final = {
    "profit": ("by profit", report_pb2.ListTopEventsRequest.PROFIT),
    "revenue": ("by revenue", report_pb2.ListTopEventsRequest.REVENUE),
    "tickets": ("by tickets sold", report_pb2.ListTopEventsRequest.TICKETS_SOLD),
    "bookings": ("by bookings", report_pb2.ListTopEventsRequest.BOOKINGS),
}
_NARROWING: Final[Sequence[Narrowing]] = (
    Choice("grouping", "Rows", [(key, label) for key, (label, _) in _GROUPINGS.items()], none=""),
    Named("event", "Event", "events", choices.events),
    Named("performance", "Performance", "performances", choices.performances),
    Moment("from", "Begins from (UTC)"),
    Moment("before", "Begins before (UTC)"),
    Choice("best", "Best events", [(key, label) for key, (label, _) in _METRICS.items()], none=""),
)
_ROWS: Final = 500


class Reports(CustomView):
    """Sales by event, performance, ticket type and day."""

    menu_label = "Sales reports"
    icon = "fa fa-chart-column"
    path = "/reports"

    @route("")
    async def index(self, request: Request) -> Response:
        """The report that is asked for, and the best events."""
        await offer(request, _NARROWING)
        narrowed = read_narrowed(_NARROWING, request.query_params)
        wanted = _wanted(report_pb2.GetSalesReportRequest, narrowed)
        wanted.page_size = _ROWS
        asked: Rpc[report_pb2.GetSalesReportResponse] = Rpc(ReportServiceStub, "GetSalesReport", wanted)
        report = await call(request, asked)
        metric = _METRICS[narrowed["best"] or "profit"]
        asked_best: Rpc[report_pb2.ListTopEventsResponse] = Rpc(
            ReportServiceStub, "ListTopEvents", report_pb2.ListTopEventsRequest(metric=metric[1])
        )
        best = await call(request, asked_best)
        return render(
            self,
            request,
            "reports.html",
            narrowing=_NARROWING,
            rows=[Record(row, label=label_of(row)) for row in report.rows],
            totals=[Record(row) for row in report.totals],
            left_out=report.total_size - len(report.rows),
            chart_of_rows=sales_drawing(report.rows, "Revenue and refunds", lying=narrowed["grouping"] != "day"),
            best=[Record(row) for row in best.events],
            best_by=metric[0],
            csv_url=str(request.url_for("console:sales_csv").include_query_params(**narrowed)),
        )

    @route("/sales.csv", name="sales_csv")
    async def sales_csv(self, request: Request) -> Response:
        """The same report, whole, as a file."""
        narrowed = read_narrowed(_NARROWING, request.query_params)
        wanted = _wanted(report_pb2.ExportSalesReportRequest, narrowed)
        asked: Rpc[httpbody_pb2.HttpBody] = Rpc(ReportServiceStub, "ExportSalesReport", wanted)
        file = await call(request, asked)
        name = f"sales-{narrowed['grouping'] or 'performance'}.csv"
        return Response(
            file.data,
            media_type=file.content_type,
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )


def _wanted(kind: type[Any], narrowed: Mapping[str, str]) -> Any:
    return kind(
        grouping=_GROUPINGS[narrowed["grouping"] or "performance"][1],
        event=narrowed["event"],
        performance=narrowed["performance"],
        start_time_from=moment(narrowed["from"]),
        start_time_before=moment(narrowed["before"]),
    )
