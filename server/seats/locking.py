"""The reading half of a batch: row locks in the one order that all processes keep, then everything that decides."""

from collections.abc import Sequence
from uuid import UUID

from psycopg2 import extensions as pg

from server.seats import statements as sql
from server.seats.booking import Booking
from server.seats.state import Answered, Place, SeatRow, State
from server.states import SeatState

BookingKey = tuple[int, UUID]


def lock_seats(cursor: pg.cursor, places: Sequence[Place]) -> dict[Place, SeatRow]:
    """Lock rows of ``seats`` in the given order, which is the order of (performance, place)."""
    if not places:
        return {}
    cursor.execute(sql.LOCK_SEATS, sql.place_columns(places))
    return {
        (performance_id, place): SeatRow(SeatState(state), None if booking is None else UUID(booking))
        for performance_id, place, state, booking in cursor.fetchall()
    }


def lock_bookings(cursor: pg.cursor, keys: Sequence[BookingKey]) -> dict[BookingKey, Booking]:
    """Lock bookings in the given order, which is the order of (performance, id); absent ones are left out."""
    if not keys:
        return {}
    cursor.execute(sql.LOCK_BOOKINGS, sql.booking_columns(keys))
    found = [Booking.from_json({**row, "checked_in": checked_in}) for row, checked_in in cursor.fetchall()]
    return {(booking.performance_id, booking.id): booking for booking in found}


def read_limits(
    cursor: pg.cursor, state: State, quota_keys: set[tuple[int, str]], requests: Sequence[tuple[int, UUID, str]]
) -> None:
    """Read the time that decides, the limits used so far, and earlier answers; the locks are held already."""
    cursor.execute(
        sql.READ,
        (
            sql.numbers(performance_id for performance_id, _ in quota_keys),
            [key for _, key in quota_keys],
            sql.numbers(performance_id for performance_id, _, _ in requests),
            sql.uuids(actor_id for _, actor_id, _ in requests),
            [request_id for _, _, request_id in requests],
        ),
    )
    row = cursor.fetchone()
    assert row is not None, "an aggregate has one row"  # noqa: S101
    state.now, quotas, answers = row
    state.quotas = {(performance_id, key): used for performance_id, key, used in quotas or ()}
    for performance_id, actor_id, request_id, fingerprint, answer in answers or ():
        state.answers[performance_id, UUID(actor_id), request_id] = Answered(
            bytes.fromhex(fingerprint), None if answer is None else Booking.from_json(answer)
        )
