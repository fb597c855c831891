"""`rowlock report` and `rowlock top`: what was sold. For staff."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from google.api.httpbody_pb2 import HttpBody
from google.type.money_pb2 import Money

from rowlock.v1 import report_pb2 as pb
from rowlock.v1 import report_pb2_grpc
from rowlock_client.cli.options import CaFile, Json, Server, connect, told
from rowlock_client.cli.output import local_time, money, print_json, print_table
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.rpc import Rpc

app = typer.Typer()

_Reports: Final = report_pb2_grpc.ReportServiceStub
_BAR: Final = 24
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


class Grouping(StrEnum):
    """What a row is."""

    EVENT = "event"
    PERFORMANCE = "performance"
    TYPE = "type"
    DAY = "day"


class Metric(StrEnum):
    """What is compared."""

    PROFIT = "profit"
    REVENUE = "revenue"
    TICKETS = "tickets"
    BOOKINGS = "bookings"


_GROUPINGS: Final = {
    Grouping.EVENT: pb.GROUPING_EVENT,
    Grouping.PERFORMANCE: pb.GROUPING_PERFORMANCE,
    Grouping.TYPE: pb.GROUPING_TICKET_TYPE,
    Grouping.DAY: pb.GROUPING_DAY,
}
_METRICS: Final = {
    Metric.PROFIT: pb.ListTopEventsRequest.PROFIT,
    Metric.REVENUE: pb.ListTopEventsRequest.REVENUE,
    Metric.TICKETS: pb.ListTopEventsRequest.TICKETS_SOLD,
    Metric.BOOKINGS: pb.ListTopEventsRequest.BOOKINGS,
}

From = Annotated[
    datetime | None, typer.Option("--from", help="Only performances that begin then or later, on this machine's clock.")
]
Before = Annotated[datetime | None, typer.Option(help="Only performances that begin before then.")]


@app.command()
@told
def report(
    by: Annotated[Grouping, typer.Option(help="What a row is; a day is one of the performance's calendar.")] = (
        Grouping.PERFORMANCE
    ),
    *,
    event: Annotated[str, typer.Option(help="Only performances of this event: events/1.")] = "",
    performance: Annotated[str, typer.Option(help="Only this performance: performances/1.")] = "",
    begin: From = None,
    before: Before = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it to this file as CSV instead; -: standard output.")
    ] = None,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Show what was held, sold, taken and given back, as a table with bars. For staff.

    rowlock report --by day --performance performances/1

    rowlock report --by type --csv sales.csv
    """
    grouping = _GROUPINGS[by]
    with connect(server, ca) as client:
        if csv is not None:
            wanted = pb.ExportSalesReportRequest(grouping=grouping, event=event, performance=performance)
            _limit(wanted, begin, before)
            file: HttpBody = client.call(Rpc(_Reports, "ExportSalesReport", wanted))
            _write(csv, file.data)
            return
        request = pb.GetSalesReportRequest(grouping=grouping, event=event, performance=performance, page_size=1000)
        _limit(request, begin, before)
        rpc: Rpc[pb.GetSalesReportResponse] = Rpc(_Reports, "GetSalesReport", request)
        pages = list(client.pages(rpc))
    if as_json:
        print_json(pages)
        return
    rows = [row for page in pages for row in page.rows]
    _print(by.value, rows, pages[0].totals, _label(by), lambda row: _units(row.revenue))


@app.command()
@told
def top(
    metric: Annotated[Metric, typer.Argument(help="What is compared.")] = Metric.PROFIT,
    *,
    number: Annotated[int, typer.Option("-n", help="How many events.", min=1, max=100)] = 5,
    currency: Annotated[str, typer.Option(help="As three letters; without: the one with the most revenue.")] = "",
    begin: From = None,
    before: Before = None,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Show the best events by profit, revenue, tickets or bookings. For staff.

    rowlock top tickets -n 10
    """
    request = pb.ListTopEventsRequest(metric=_METRICS[metric], page_size=number, currency_code=currency)
    _limit(request, begin, before)
    with connect(server, ca) as client:
        answer: pb.ListTopEventsResponse = client.call(Rpc(_Reports, "ListTopEvents", request))
    if as_json:
        print_json(answer)
        return
    lengths: dict[Metric, Callable[[pb.SalesRow], float]] = {
        Metric.PROFIT: lambda row: _units(row.profit),
        Metric.REVENUE: lambda row: _units(row.revenue),
        Metric.TICKETS: lambda row: row.sold,
        Metric.BOOKINGS: lambda row: row.bookings,
    }
    _print("event", list(answer.events), (), _label(Grouping.EVENT), lengths[metric])


def _limit(
    request: pb.GetSalesReportRequest | pb.ExportSalesReportRequest | pb.ListTopEventsRequest,
    begin: datetime | None,
    before: datetime | None,
) -> None:
    if begin is not None:
        request.start_time_from.FromDatetime(begin.astimezone())
    if before is not None:
        request.start_time_before.FromDatetime(before.astimezone())


def _write(path: Path, data: bytes) -> None:
    if str(path) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path.write_bytes(data)
    typer.echo(f"Wrote {path}.")


def _print(
    what: str,
    rows: Sequence[pb.SalesRow],
    totals: Sequence[pb.SalesRow],
    label: Callable[[pb.SalesRow], str],
    length: Callable[[pb.SalesRow], float],
) -> None:
    longest: dict[str, float] = {}
    for row in rows:
        currency = row.revenue.currency_code
        longest[currency] = max(longest.get(currency, 0.0), length(row))
    lines = [(label(row), *_numbers(row), bar(length(row), longest[row.revenue.currency_code])) for row in rows]
    lines += [(f"all, in {row.revenue.currency_code}", *_numbers(row), "") for row in totals if len(rows) > 1]
    columns = (what, "held", "sold", "comps", "bookings", "revenue", "refunds", "profit", "average", "")
    print_table(columns, lines, empty="Nothing was sold, and nothing is on offer.")


def _numbers(row: pb.SalesRow) -> tuple[str, ...]:
    sold = f"{row.sold} of {row.capacity}" if row.capacity else str(row.sold)
    average = money(row.average_per_booking) if row.HasField("average_per_booking") else ""
    amounts = (money(row.revenue), money(row.refunds), money(row.profit), average)
    return (str(row.held), sold, str(row.complimentary), str(row.bookings), *amounts)


def bar(value: float, longest: float) -> str:
    """A bar for a value among values of which the greatest is `longest`, to an eighth of a character."""
    if value <= 0 or longest <= 0:
        return ""
    whole, eighths = divmod(round(min(value / longest, 1.0) * _BAR * 8), 8)
    return (_EIGHTHS[8] * whole + _EIGHTHS[eighths]).rstrip() or _EIGHTHS[1]


def _units(amount: Money) -> float:
    return float(amount.units) + float(amount.nanos) / 1_000_000_000


def _label(by: Grouping) -> Callable[[pb.SalesRow], str]:
    def named(row: pb.SalesRow) -> str:
        if by is Grouping.DAY:
            return f"{row.day.year:04}-{row.day.month:02}-{row.day.day:02}"
        if by is Grouping.EVENT:
            return f"{row.event_title}  ({row.event})"
        where = f"{row.event_title}, {local_time(row.start_time)}"
        return f"{where}: {row.ticket_type_display_name}" if by is Grouping.TYPE else f"{where}  ({row.performance})"

    return named
