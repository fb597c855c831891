"""A report as a CSV file: RFC 4180, UTF-8, one line of names first."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC
from typing import Final

from server import resources
from server.domain.currencies import decimal_places
from server.domain.reports import SalesRow

_COLUMNS: Final = (
    "event",
    "event_title",
    "performance",
    "start_time",
    "ticket_type",
    "ticket_type_display_name",
    "day",
    "currency_code",
    "capacity",
    "held",
    "sold",
    "complimentary",
    "bookings",
    "revenue",
    "cash",
    "refunds",
    "profit",
    "average_per_booking",
)
_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""How formulas begin; the wide forms are taken for the narrow ones by spreadsheets set to East Asian languages."""


def csv_of(rows: Sequence[SalesRow]) -> bytes:
    """The file: a line for each row, ended by CRLF; a cell with a comma, a quote or a line break is quoted."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    writer.writerows(_cells(row) for row in rows)
    return file.getvalue().encode()


def _cells(row: SalesRow) -> tuple[str | int, ...]:
    performance_id, type_id = row.performance_id, row.ticket_type_id
    return (
        resources.event(row.event_id) if row.event_id else "",
        _words(row.event_title),
        resources.performance(performance_id) if performance_id else "",
        row.start_time.astimezone(UTC).isoformat() if row.start_time else "",
        resources.ticket_type(performance_id, type_id) if performance_id and type_id else "",
        _words(row.ticket_type_name),
        row.day.isoformat() if row.day else "",
        row.currency,
        row.capacity,
        row.held,
        row.sold,
        row.complimentary,
        row.bookings,
        _amount(row.revenue, row.currency),
        _amount(row.cash, row.currency),
        _amount(row.refunds, row.currency),
        _amount(row.profit, row.currency),
        "" if row.average is None else _amount(row.average, row.currency),
    )


def _words(words: str | None) -> str:
    """What people wrote, so that no spreadsheet takes it for a formula."""
    words = words or ""
    return f"'{words}" if words.lstrip(" ").startswith(_FORMULA) else words


def _amount(minor_units: int, currency: str) -> str:
    """A decimal number with as many places as the currency has: 1250 of EUR is 12.50."""
    places = decimal_places(currency)
    sign, digits = "-" if minor_units < 0 else "", str(abs(minor_units)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"
