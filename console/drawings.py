"""Pictures of what was sold, as the library's charts take them."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from google.type.money_pb2 import Money

from rowlock.v1 import report_pb2

_MOST: Final = 40
"""Bars in one picture; more cannot be told apart."""
_BAR_PIXELS: Final = 36


def sales_drawing(rows: Sequence[report_pb2.SalesRow], title: str, *, lying: bool = False) -> dict[str, Any] | None:
    """Revenue and refunds of one currency, that with the most revenue, row by row.

    Args:
        rows: of a sales report.
        title: above the picture; the currency is added.
        lying: whether the bars lie, with room for long words before them.

    Returns:
        `title`, `height` in pixels, `series` and `options` (of ApexCharts); None: there is nothing to draw.
    """
    revenue: dict[str, float] = {}
    for row in rows:
        revenue[row.revenue.currency_code] = revenue.get(row.revenue.currency_code, 0) + _number(row.revenue)
    currency = max(revenue, key=revenue.__getitem__, default="")
    if not currency:
        return None
    drawn = [row for row in rows if row.revenue.currency_code == currency][-_MOST:]
    return {
        "title": f"{title} ({currency})",
        "height": 90 + _BAR_PIXELS * len(drawn) if lying else 300,
        "series": [
            {"name": "Revenue", "data": [_number(row.revenue) for row in drawn]},
            {"name": "Refunds", "data": [_number(row.refunds) for row in drawn]},
        ],
        "options": {
            "xaxis": {"categories": [label_of(row) for row in drawn]},
            "chart": {"animations": {"enabled": False}, "toolbar": {"show": False}},
            "dataLabels": {"enabled": False},
            "plotOptions": {"bar": {"horizontal": lying}},
            "yaxis": {"labels": {"maxWidth": 320}},
        },
    }


def label_of(row: report_pb2.SalesRow) -> str:
    """What a row is about, in words."""
    if row.HasField("day"):
        return date(row.day.year, row.day.month, row.day.day).isoformat()
    parts = [row.event_title, row.ticket_type_display_name]
    if row.HasField("start_time"):
        parts.insert(1, f"{row.start_time.ToDatetime():%d %b %Y %H:%M} UTC")
    return ", ".join(part for part in parts if part)


def _number(money: Money) -> float:
    return float(money.units + money.nanos / 1e9)
