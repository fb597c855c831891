"""The reading half of a batch: row locks in the one order that all processes keep, then everything that decides."""

from collections.abc import Sequence
from uuid import UUID

from server.seats import arrays
from server.seats import statements as sql
from server.seats.booking import Booking
from server.seats.connection import LedgerConnection
from server.seats.money_statements import LOCK_TICKETS
from server.seats.state import (
    BLOCKED,
    FREE,
    AdmissionRow,
    AllocationRow,
    Answered,
    PaymentRow,
    Place,
    RulesOutdatedError,
    SeatRow,
    State,
)
from server.states import AllocationState, PaymentState, QueueEntryState, SeatState, TicketState

BookingKey = tuple[int, UUID]

_IMPATIENTLY = "SET LOCAL lock_timeout = '50ms';"
_ROWS = {int(row.state): row for row in (FREE, BLOCKED)}


async def lock_seats(
    connection: LedgerConnection, places: Sequence[Place], *, patient: bool = True
) -> dict[Place, SeatRow]:
    """Begin, and lock rows of ``seats`` in the given order, which is the order of (performance, place).

    Args:
        connection: an open one.
        places: sorted.
        patient: whether to wait for locks as long as the connection is set to, or hardly at all.
    """
    begin = connection.begin if patient else connection.begin + _IMPATIENTLY
    if not places:
        await connection.execute(begin)
        return {}
    rows = await connection.fetch(begin + sql.LOCK_SEATS, arrays.place_columns(places))
    return {
        (performance_id, place): (_ROWS.get(state) if allocation is None else None)
        or SeatRow(SeatState(state), booking and UUID(booking), allocation and UUID(allocation))
        for performance_id, place, state, booking, allocation in rows
    }


async def lock_allocations(
    connection: LedgerConnection, keys: Sequence[tuple[int, UUID]]
) -> dict[tuple[int, UUID], AllocationRow]:
    """Lock allocations in the given order, which is the order of (performance, id); absent ones are left out."""
    if not keys:
        return {}
    rows = await connection.fetch(sql.LOCK_ALLOCATIONS, arrays.booking_columns(keys))
    return {
        (performance_id, UUID(allocation)): AllocationRow(AllocationState(state), release_time, version)
        for performance_id, allocation, state, release_time, version in rows
    }


async def lock_admissions(
    connection: LedgerConnection, keys: Sequence[tuple[int, UUID]]
) -> dict[tuple[int, UUID], AdmissionRow]:
    """Lock queue entries in the given order, which is the order of (performance, id); absent ones are left out."""
    if not keys:
        return {}
    rows = await connection.fetch(sql.LOCK_ADMISSIONS, arrays.booking_columns(keys))
    return {
        (performance_id, UUID(entry_id)): AdmissionRow(UUID(customer_id), QueueEntryState(state), expire_time)
        for performance_id, entry_id, customer_id, state, expire_time in rows
    }


async def lock_bookings(connection: LedgerConnection, keys: Sequence[BookingKey]) -> dict[BookingKey, Booking]:
    """Lock bookings in the given order, which is the order of (performance, id); absent ones are left out."""
    if not keys:
        return {}
    rows = await connection.fetch(sql.LOCK_BOOKINGS, arrays.booking_columns(keys))
    found = [Booking.from_json(row["performance_id"], UUID(row["id"]), row) for (row,) in rows]
    return {(booking.performance_id, booking.id): booking for booking in found}


async def lock_tickets(connection: LedgerConnection, keys: Sequence[BookingKey]) -> frozenset[Place]:
    """Lock the tickets of bookings that may lose some, so that nobody is let in meanwhile; return the places of those
    by which somebody was.
    """
    if not keys:
        return frozenset()
    rows = await connection.fetch(LOCK_TICKETS, arrays.booking_columns(keys))
    return frozenset(
        (performance_id, place) for performance_id, place, state in rows if state == TicketState.CHECKED_IN
    )


async def lock_payments(
    connection: LedgerConnection, keys: Sequence[tuple[int, UUID]]
) -> dict[tuple[int, UUID], PaymentRow]:
    """Lock payments in the given order, which is the order of (performance, id), after their bookings."""
    if not keys:
        return {}
    rows = await connection.fetch(sql.LOCK_PAYMENTS, arrays.booking_columns(keys))
    return {
        (performance_id, UUID(payment_id)): PaymentRow(UUID(booking_id), PaymentState(state), amount, currency)
        for performance_id, payment_id, booking_id, state, amount, currency in rows
    }


async def read_limits(
    connection: LedgerConnection,
    state: State,
    quota_keys: set[tuple[int, str]],
    requests: Sequence[tuple[int, UUID, str]],
) -> None:
    """Read the time that decides, the limits used so far, and earlier answers; the locks are held already.

    Raises:
        RulesOutdatedError: the rules of ``state`` are not the newest, so nothing can be decided by them.
    """
    ((state.now, quotas, answers, versions),) = await connection.fetch(
        sql.READ,
        (
            arrays.numbers(performance_id for performance_id, _ in quota_keys),
            arrays.texts([key for _, key in quota_keys]),
            arrays.numbers(performance_id for performance_id, _, _ in requests),
            arrays.uuids(actor_id for _, actor_id, _ in requests),
            arrays.texts([request_id for _, _, request_id in requests]),
            arrays.numbers(state.rules),
        ),
    )
    newest = dict(versions or ())
    if any(newest.get(performance_id) != rules.version for performance_id, rules in state.rules.items()):
        raise RulesOutdatedError
    state.quotas = {(performance_id, key): used for performance_id, key, used in quotas or ()}
    for performance_id, actor_id, request_id, fingerprint, subject_id, answer in answers or ():
        state.answers[performance_id, UUID(actor_id), request_id] = Answered(
            bytes.fromhex(fingerprint),
            None if answer is None else Booking.from_json(performance_id, UUID(subject_id), answer),
        )
