"""Reports: what was held, sold, taken and given back, added up in one statement each.

Every number is computed from committed rows at the moment of asking, all of one report in one snapshot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, exists, select, text
from sqlalchemy.orm import Session

from server import resources
from server.db.models.catalogue import Event, Performance
from server.domain.report_statements import SALES, TOP
from server.errors import NotFound
from server.states import ReportGrouping, TopMetric

Cursor = tuple[datetime, int, int, str]


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which performances count; None: any."""

    event_id: int | None = None
    performance_id: int | None = None
    start_from: datetime | None = None
    start_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class SalesRow:
    """A line of a report: what it is of, and in one currency what was sold. Money is in minor units.

    Attributes:
        key: by what lines are in order; None for totals.
        capacity: places that there are; 0 by ticket type and by day.
        bookings: confirmed ones; by ticket type, those with a place of the type.
        revenue: what was taken, before refunds.
        refunds: what was given back or is owed to customers.
        cash: how much of the revenue was cash.
    """

    key: Cursor | None
    event_id: int | None
    event_title: str | None
    performance_id: int | None
    start_time: datetime | None
    ticket_type_id: int | None
    ticket_type_name: str | None
    day: date | None
    currency: str
    capacity: int
    held: int
    sold: int
    complimentary: int
    bookings: int
    revenue: int
    refunds: int
    cash: int

    @property
    def profit(self) -> int:
        """What was taken and not given back."""
        return self.revenue - self.refunds

    @property
    def average(self) -> int | None:
        """Profit by confirmed booking, rounded half up; None: there is no booking."""
        return (2 * self.profit + self.bookings) // (2 * self.bookings) if self.bookings else None


@dataclass(frozen=True, slots=True)
class SalesPage:
    """Some lines in their order, the totals of all, and how many lines there are."""

    rows: Sequence[SalesRow]
    totals: Sequence[SalesRow]
    total_size: int


def sales(
    session: Session, grouping: ReportGrouping, conditions: Conditions, *, after: Cursor | None, limit: int
) -> SalesPage:
    """Add up sales.

    Args:
        session: where to read.
        grouping: what a line is.
        conditions: which performances count.
        after: the key of the last line of the page before; None: from the start.
        limit: most lines.

    Raises:
        NotFound: no such event or performance.
    """
    at, a, b, currency = after or (None, None, None, None)
    cursor = {"after_at": at, "after_a": a, "after_b": b, "after_currency": currency}
    lines = session.execute(text(SALES[grouping]), {**_values(conditions), **cursor, "limit": limit}).all()
    if not lines:
        _require_known(session, conditions)
    rows = [_row(line) for line in lines if not line.is_total]
    totals = [line for line in lines if line.is_total]
    return SalesPage(rows, [_row(line) for line in totals], sum(line.row_count for line in totals))


def top_events(
    session: Session, metric: TopMetric, conditions: Conditions, *, currency: str | None, limit: int
) -> Sequence[SalesRow]:
    """The best events, best first, among those that sold something in the currency.

    Args:
        session: where to read.
        metric: what is compared.
        conditions: which performances count.
        currency: three letters; None: the one with the most revenue.
        limit: most events.
    """
    lines = session.execute(text(TOP[metric]), {**_values(conditions), "currency": currency, "limit": limit})
    return [_row(line) for line in lines]


def _values(conditions: Conditions) -> dict[str, Any]:
    return {
        "event_id": conditions.event_id,
        "performance_id": conditions.performance_id,
        "start_from": conditions.start_from,
        "start_before": conditions.start_before,
    }


def _row(line: Row[Any]) -> SalesRow:
    return SalesRow(
        key=None if line.is_total else (line.at, line.a, line.b, line.currency),
        event_id=line.event_id,
        event_title=line.title,
        performance_id=line.performance_id,
        start_time=line.start_time,
        ticket_type_id=line.ticket_type_id,
        ticket_type_name=line.display_name,
        day=line.day,
        currency=line.currency,
        capacity=line.capacity,
        held=line.held,
        sold=line.sold,
        complimentary=line.complimentary,
        bookings=line.bookings,
        revenue=line.revenue,
        refunds=line.refunds,
        cash=line.cash,
    )


def _require_known(session: Session, conditions: Conditions) -> None:
    """Tell an empty report from one of what does not exist."""
    if conditions.event_id is not None and not session.scalar(select(exists().where(Event.id == conditions.event_id))):
        raise NotFound.of(resources.event(conditions.event_id))
    if conditions.performance_id is not None and not session.scalar(
        select(exists().where(Performance.id == conditions.performance_id))
    ):
        raise NotFound.of(resources.performance(conditions.performance_id))
