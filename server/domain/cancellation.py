"""Cancelled performances: what happens at once, and what is wound up afterwards.

A cancellation is one short transaction: from its commit nothing can be claimed. Then every live booking is
cancelled through the seat ledger, which asks for the refunds in the same transactions. That may be thousands of
bookings, so it goes on beside the call, and ``performances.wind_up_time`` says that it is not finished: if the
process dies, a worker goes on where it stopped. Two that work at once do no harm: a booking is cancelled once. How
far it has come is read by ``cancellation_progress``.

A booking with a ticket that has let somebody in is left as it is: whether who saw half a play gets money back, and how
much, is for staff to say (``PaymentService.RefundPayment``), and the progress counts such bookings.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.engine import Database
from server.db.models.catalogue import Performance
from server.db.models.inventory import Booking
from server.domain.rows import changed, locked
from server.errors import RowlockError, Unavailable
from server.seats.commands import Cancel
from server.seats.ledger import Ledger
from server.seats.rules import touch_rules, touch_rules_of_event
from server.states import BookingState, PerformanceState

_CHUNK: Final = 256
_LIVE: Final = (BookingState.HELD, BookingState.CONFIRMED)
_LEASE: Final = timedelta(seconds=30)
"""For how long others leave a performance to whoever began to wind it up, or went on with it, last."""
_PAUSE: Final = timedelta(seconds=5)
"""When to look again for bookings whose payment was under way."""

log = structlog.get_logger(__name__)


def cancel(session: Session, performance_id: int, etag: str, reason: str) -> bool:
    """Cancel a performance. Returns False if it was cancelled already, and then changes nothing.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
    """
    query = select(Performance).where(Performance.id == performance_id)
    performance = locked(session, query, resources.performance(performance_id), etag)
    if performance.state is PerformanceState.CANCELLED:
        return False
    touch_rules(session, performance_id)
    _cancel(session, performance, reason)
    return True


def cancel_coming(session: Session, event_id: int, reason: str) -> Sequence[int]:
    """Cancel an event's performances that have not begun, and return them. No other one sells from now on either."""
    coming = session.scalars(
        select(Performance)
        .where(
            Performance.event_id == event_id,
            Performance.state == PerformanceState.SCHEDULED,
            Performance.start_time > func.clock_timestamp(),
        )
        .order_by(Performance.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    touch_rules_of_event(session, event_id)
    for performance in coming:
        _cancel(session, performance, reason)
    return [performance.id for performance in coming]


def performances_to_wind_up(session: Session, limit: int = 10) -> Sequence[int]:
    """Take up to ``limit`` cancelled performances that nobody is winding up; others leave them alone for a while."""
    now = database_now(session)
    due = (
        select(Performance.id)
        .where(Performance.wind_up_time <= now)
        .order_by(Performance.wind_up_time)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    taken = session.scalars(due).all()
    _postpone(session, taken, _LEASE)
    return taken


async def wind_up(ledger: Ledger, database: Database, performance_id: int) -> bool:
    """Cancel the live bookings of a cancelled performance.

    Safe to call at any time, by several at once, and again after a crash.

    Args:
        ledger: carries the cancellations out.
        database: where the bookings are.
        performance_id: the performance.

    Returns:
        Whether it is finished. If not, it is due again in some seconds: payments are under way, or something failed.

    Raises:
        Unavailable: the database went away; it is due again in some seconds.
    """
    reason = await database.read(lambda session: _reason(session, performance_id))
    waiting = 0
    chunk = await database.transaction(lambda session: _next_chunk(session, performance_id, None))
    while chunk:
        ended = await asyncio.gather(*(_end(ledger, performance_id, booking, reason) for booking in chunk))
        waiting += ended.count(False)
        last = chunk[-1]
        chunk = await database.transaction(lambda session, last=last: _next_chunk(session, performance_id, last))  # type: ignore[misc]
    return await database.transaction(lambda session: _finish(session, performance_id, finished=not waiting))


async def _end(ledger: Ledger, performance_id: int, booking_id: UUID, reason: str) -> bool:
    """Cancel one booking; False: not now, because its payment has to end first, or something of ours failed."""
    command = Cancel(performance_id=performance_id, booking_id=booking_id, actor_id=None, staff=True, reason=reason)
    try:
        await ledger.execute(command)
    except Unavailable:
        raise
    except RowlockError as refusal:
        if refusal.reason in {"PAYMENT_IN_FLIGHT", "CONTENDED", "INTERNAL"}:
            return False
        # Those say that it has ended meanwhile, or is one for staff, whom the progress tells.
        if refusal.reason not in {"BOOKING_STATE", "HOLD_EXPIRED", "ALREADY_CHECKED_IN"}:
            log.warning(
                "cancellation.booking_left_to_staff",
                booking=resources.booking(performance_id, booking_id),
                reason=refusal.reason,
            )
    return True


def _cancel(session: Session, performance: Performance, reason: str) -> None:
    now = database_now(session)
    performance.state = PerformanceState.CANCELLED
    performance.cancel_reason = reason
    performance.cancel_time = now
    # Nothing is claimed any more: the rules were touched, so whoever decided by the old ones has to decide again.
    performance.cancelled_bookings = session.scalar(_live_bookings(performance.id)) or 0
    performance.wind_up_time = now + _LEASE
    changed(session, performance)


def _live_bookings(performance_id: int) -> Select[int]:
    return select(func.count()).where(Booking.performance_id == performance_id, Booking.state.in_(_LIVE))


def _postpone(session: Session, performance_ids: Sequence[int], by: timedelta) -> None:
    session.execute(
        update(Performance)
        .where(Performance.id.in_(performance_ids), Performance.wind_up_time.is_not(None))
        .values(wind_up_time=func.clock_timestamp() + by, update_time=Performance.update_time)
        .execution_options(synchronize_session=False)
    )


def _next_chunk(session: Session, performance_id: int, after: UUID | None) -> Sequence[UUID]:
    """Live bookings behind ``after``; the lease begins anew."""
    _postpone(session, [performance_id], _LEASE)
    query = select(Booking.id).where(
        Booking.performance_id == performance_id,
        Booking.state.in_(_LIVE),
    )
    if after is not None:
        query = query.where(Booking.id > after)
    return session.scalars(query.order_by(Booking.id).limit(_CHUNK)).all()


def _reason(session: Session, performance_id: int) -> str:
    reason = session.scalar(select(Performance.cancel_reason).where(Performance.id == performance_id))
    return reason or "performance cancelled"


def _finish(session: Session, performance_id: int, *, finished: bool) -> bool:
    if finished:
        session.execute(
            update(Performance)
            .where(Performance.id == performance_id)
            .values(wind_up_time=None, update_time=Performance.update_time)
            .execution_options(synchronize_session=False)
        )
    else:
        _postpone(session, [performance_id], _PAUSE)
    return finished
