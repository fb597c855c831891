"""Reports over a socket: who may read them, page by page and as a file that no spreadsheet runs."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from rowlock.v1 import booking_pb2, booking_pb2_grpc, report_pb2_grpc
from rowlock.v1 import report_pb2 as pb
from server.config import Settings
from server.db.engine import Database
from server.db.models.catalogue import Event
from server.services import report
from tests.rpc.auth.conftest import QUICK, Person, refusal, served
from tests.staging import Staged, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Desk:
    """Staff and a customer of one server."""

    reports: "report_pb2_grpc.ReportServiceAsyncStub"
    bookings: "booking_pb2_grpc.BookingServiceAsyncStub"
    staff: Person
    customer: Person

    async def sell(self, staged: Staged, seat: str) -> None:
        """For cash."""
        hall = f"performances/{staged.performance_id}"
        held = await self.bookings.CreateBooking(
            booking_pb2.CreateBookingRequest(parent=hall, seats=[booking_pb2.SeatClaim(seat=seat)]),
            metadata=self.customer.token,
        )
        await self.bookings.ConfirmBooking(
            booking_pb2.ConfirmBookingRequest(name=held.name, method=booking_pb2.Booking.CASH),
            metadata=self.staff.token,
        )

    async def sales(self, **fields: Any) -> pb.GetSalesReportResponse:
        """A page."""
        return await self.reports.GetSalesReport(pb.GetSalesReportRequest(**fields), metadata=self.staff.token)

    async def file(self, **fields: Any) -> bytes:
        """The CSV file."""
        answer = await self.reports.ExportSalesReport(pb.ExportSalesReportRequest(**fields), metadata=self.staff.token)
        assert answer.content_type.startswith("text/csv")
        return bytes(answer.data)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(settings: Settings, database: Database) -> AsyncIterator[Desk]:
    """The module's server, on which five performances have sold 1 to 5 seats."""
    async with served(settings.model_copy(update=QUICK), database) as client:
        desk = Desk(
            report_pb2_grpc.ReportServiceStub(client.channel),
            booking_pb2_grpc.BookingServiceStub(client.channel),
            await client.staff(await client.admin()),
            await client.sign_up(),
        )
        for number in range(1, 6):
            staged = database.run_transaction(lambda session: stage(session, customer_limit=50))
            for seat in range(number):
                await desk.sell(staged, f"Stalls-A-{seat + 1}")
        yield desk


def rows_of(file: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.decode(), newline="")))


@pytest.mark.promise("3.8")
async def test_pages_of_a_report_follow_each_other_and_all_have_the_totals(desk: Desk) -> None:
    whole = await desk.sales()
    assert [row.sold for row in whole.rows] == [1, 2, 3, 4, 5]
    assert (whole.total_size, whole.next_page_token) == (5, "")
    found: list[pb.SalesRow] = []
    token = ""
    while True:
        page = await desk.sales(page_size=2, page_token=token)
        assert (page.totals, page.total_size) == (whole.totals, 5)
        found += page.rows
        if not (token := page.next_page_token):
            break
    assert found == list(whole.rows)
    [total] = whole.totals
    assert (total.sold, total.revenue.units, total.cash.units, total.refunds.units) == (15, 375, 375, 0)
    assert (total.average_per_booking.units, total.revenue.currency_code) == (25, "EUR")
    assert not total.performance
    assert not total.HasField("start_time")


@pytest.mark.promise("3.8")
async def test_the_best_five_by_default(desk: Desk) -> None:
    answer = await desk.reports.ListTopEvents(pb.ListTopEventsRequest(), metadata=desk.staff.token)
    assert [row.sold for row in answer.events] == [5, 4, 3, 2, 1]
    request = pb.ListTopEventsRequest(metric=pb.ListTopEventsRequest.REVENUE, page_size=2)
    answer = await desk.reports.ListTopEvents(request, metadata=desk.staff.token)
    assert [row.revenue.units for row in answer.events] == [125, 100]


async def test_only_staff_read_reports(desk: Desk) -> None:
    for metadata, code in ((None, "UNAUTHENTICATED"), (desk.customer.token, "PERMISSION_DENIED")):
        for call in (
            desk.reports.GetSalesReport(pb.GetSalesReportRequest(), metadata=metadata),
            desk.reports.ExportSalesReport(pb.ExportSalesReportRequest(), metadata=metadata),
            desk.reports.ListTopEvents(pb.ListTopEventsRequest(), metadata=metadata),
        ):
            assert (await refusal(call)).code == code


@pytest.mark.promise("3.8")
async def test_the_file_says_what_the_pages_say(desk: Desk) -> None:
    for grouping in (pb.GROUPING_EVENT, pb.GROUPING_PERFORMANCE, pb.GROUPING_TICKET_TYPE, pb.GROUPING_DAY):
        page, file = await desk.sales(grouping=grouping), await desk.file(grouping=grouping)
        lines = file.split(b"\r\n")
        assert (len(lines), lines[-1]) == (len(page.rows) + 2, b"")
        for row, line in zip(page.rows, rows_of(file), strict=True):
            assert (line["event"], line["performance"], line["ticket_type"]) == (
                row.event,
                row.performance,
                row.ticket_type,
            )
            assert (int(line["sold"]), line["revenue"]) == (row.sold, f"{row.revenue.units}.00")
            assert (line["currency_code"], line["average_per_booking"]) == ("EUR", "25.00")
            assert bool(line["day"]) is row.HasField("day")


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@SUM(A1)", "  =HYPERLINK(1)", "＝1+1", '=a, "b"\tc'])
async def test_no_title_becomes_a_formula(desk: Desk, database: Database, title: str) -> None:
    def named(session: Any) -> Staged:
        staged = stage(session)
        session.get(Event, staged.event_id).title = title
        return staged

    staged = database.run_transaction(named)
    [line] = rows_of(await desk.file(event=f"events/{staged.event_id}"))
    assert line["event_title"] == f"'{title}"
    page = await desk.sales(event=f"events/{staged.event_id}")
    assert page.rows[0].event_title == title  # only the file needs it


async def test_a_file_that_would_be_too_large_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("_MOST_LINES", "_MOST_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(report, limit, 4)
            refused = await refusal(desk.file())
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "REPORT_TOO_LARGE")


async def test_what_does_not_exist_is_not_found(desk: Desk) -> None:
    assert (await refusal(desk.sales(event="events/999999"))).code == "NOT_FOUND"
    assert (await refusal(desk.sales(performance="performances/999999"))).code == "NOT_FOUND"
