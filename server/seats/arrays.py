"""Columns of values as array literals: psycopg2 quotes each as one string, and PostgreSQL parses one constant.

A list would be as many constants as it has values, to quote here and to parse there.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from server.seats.booking import Booking, quoted
from server.seats.state import Place, SeatRow


def numbers(values: Iterable[int | None]) -> str:
    """An array literal of integers, enums included; None becomes NULL."""
    return "{" + ",".join(["NULL" if value is None else "%d" % value for value in values]) + "}"  # noqa: UP031 - fastest


def uuids(values: Iterable[UUID | None]) -> str:
    """An array literal of UUIDs; None becomes NULL."""
    return "{" + ",".join(["NULL" if value is None else value.hex for value in values]) + "}"


def texts(values: Iterable[str | None]) -> str:
    """An array literal of texts; None becomes NULL.

    Raises:
        ValueError: a text holds NUL, which PostgreSQL has no room for.
    """
    found = list(values)
    if not found:
        return "{}"
    if None in found:
        return "{" + ",".join(["NULL" if value is None else texts((value,))[1:-1] for value in found]) + "}"
    # All are escaped at once, with NUL between them, which none of them may hold.
    joined = "\0".join(cast("list[str]", found))
    if joined.count("\0") >= len(found):
        raise ValueError("a text cannot hold NUL")
    escaped = joined.replace("\\", "\\\\").replace('"', '\\"').replace("\0", '","')
    return f'{{"{escaped}"}}'


def times(values: Iterable[datetime | None]) -> str:
    """An array literal of times; None becomes NULL."""
    return "{" + ",".join(map(quoted, values)) + "}"


def place_columns(places: Sequence[Place]) -> tuple[str, str]:
    """(performance, place) pairs as two columns."""
    return numbers(p for p, _ in places), numbers(n for _, n in places)


def booking_columns(keys: Sequence[tuple[int, UUID]]) -> tuple[str, str]:
    """(performance, booking) pairs as two columns."""
    return numbers(p for p, _ in keys), uuids(b for _, b in keys)


def seat_columns(seats: Sequence[tuple[Place, SeatRow]]) -> tuple[str, ...]:
    """Columns of ``SET_SEATS``."""
    return (
        numbers(place[0] for place, _ in seats),
        numbers(place[1] for place, _ in seats),
        numbers(row.state for _, row in seats),
        uuids(row.booking_id for _, row in seats),
    )


def new_booking_columns(rows: Sequence[Booking]) -> tuple[Any, ...]:
    """Columns of ``INSERT_BOOKINGS``, after the time."""
    return (
        numbers(b.performance_id for b in rows),
        uuids(b.id for b in rows),
        uuids(b.customer_id for b in rows),
        *_claimed_columns(rows),
        uuids(b.payment_id for b in rows),
        numbers(b.confirmed_by for b in rows),
        texts([b.note for b in rows]),
        numbers(b.version for b in rows),
        times(b.confirm_time for b in rows),
        times(b.end_time for b in rows),
    )


def changed_booking_columns(rows: Sequence[Booking]) -> tuple[Any, ...]:
    """Columns of ``UPDATE_BOOKINGS``."""
    return (
        numbers(b.performance_id for b in rows),
        uuids(b.id for b in rows),
        *_claimed_columns(rows),
        numbers(b.confirmed_by for b in rows),
        numbers(b.version for b in rows),
        times(b.update_time for b in rows),
        times(b.confirm_time for b in rows),
        times(b.end_time for b in rows),
    )


def _claimed_columns(rows: Sequence[Booking]) -> tuple[str, ...]:
    """What bookings claim, and until when; both statements have these side by side."""
    return (
        numbers(b.state for b in rows),
        texts([numbers(b.places) for b in rows]),
        texts([numbers(b.ticket_type_ids) for b in rows]),
        texts([numbers(b.prices) for b in rows]),
        texts([b.currency for b in rows]),
        times(b.hold_expire_time for b in rows),
    )
