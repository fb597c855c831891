"""How far the winding up of cancelled performances has come: a few counts, whatever their size."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from server import resources
from server.db.models.catalogue import Event, Performance
from server.errors import FailedPrecondition, NotFound
from server.states import PerformanceState

# Bookings that are left because a ticket was used at the door, and those whose turn is still to come.
_LIVE: Final = text("""
    SELECT count(*) FILTER (WHERE used) AS used, count(*) FILTER (WHERE NOT used) AS waiting
    FROM (SELECT b.state = 2 AND EXISTS (
              SELECT FROM tickets t
              WHERE t.performance_id = b.performance_id AND t.booking_id = b.id AND t.state = 2) AS used
          FROM bookings b WHERE b.performance_id = ANY (:ids) AND b.state IN (1, 2)) live
""")
_REFUNDS: Final = text("""
    SELECT r.currency,
           count(*) FILTER (WHERE r.state IN (1, 2)) AS due,
           coalesce(sum(r.amount) FILTER (WHERE r.state IN (1, 2)), 0)::bigint AS due_amount,
           count(*) FILTER (WHERE r.state = 3) AS done,
           coalesce(sum(r.amount) FILTER (WHERE r.state = 3), 0)::bigint AS done_amount,
           count(*) FILTER (WHERE r.state = 4) AS failed,
           coalesce(sum(r.amount) FILTER (WHERE r.state = 4), 0)::bigint AS failed_amount
    FROM performances c JOIN refunds r ON r.performance_id = c.id AND r.create_time >= c.cancel_time
    WHERE c.id = ANY (:ids) GROUP BY r.currency ORDER BY r.currency
""")
_CASH: Final = text("""
    SELECT currency, -sum(amount)::bigint AS owed FROM book_legs
    WHERE performance_id = ANY (:ids) AND account = 32 GROUP BY currency HAVING sum(amount) <> 0 ORDER BY currency
""")


@dataclass(frozen=True, slots=True)
class RefundTally:
    """Refunds in one currency since the cancellation: how many, and how many minor units."""

    currency: str
    due: int
    due_amount: int
    done: int
    done_amount: int
    failed: int
    failed_amount: int


@dataclass(frozen=True, slots=True)
class CashDue:
    """What customers may fetch at the box office, in minor units."""

    currency: str
    amount: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come.

    Attributes:
        performances: how many were cancelled.
        performances_left: how many of them are still being wound up.
        bookings: how many were live when they were cancelled.
        bookings_left: how many are still to be ended.
        bookings_checked_in: how many are left to staff, because somebody was let in by them.
        refunds: by currency.
        cash_due: by currency.
        cancel_time: when the first was cancelled.
    """

    performances: int
    performances_left: int
    bookings: int
    bookings_left: int
    bookings_checked_in: int
    refunds: Sequence[RefundTally]
    cash_due: Sequence[CashDue]
    cancel_time: datetime | None

    @property
    def finished(self) -> bool:
        """Whether nothing is left but what waits for staff and for customers."""
        return not (self.performances_left or self.bookings_left or any(tally.due for tally in self.refunds))


def of_performance(session: Session, performance_id: int) -> Progress:
    """The progress of one performance.

    Raises:
        NotFound: there is none.
        FailedPrecondition: PERFORMANCE_STATE, it was not cancelled.
    """
    performance = session.get(Performance, performance_id)
    if performance is None:
        raise NotFound.of(resources.performance(performance_id))
    if performance.state is not PerformanceState.CANCELLED:
        raise FailedPrecondition("PERFORMANCE_STATE", "the performance was not cancelled", state=performance.state.name)
    return _progress(session, [performance])


def of_event(session: Session, event_id: int) -> Progress:
    """The progress of all cancelled performances of an event, together.

    Raises:
        NotFound: there is no such event.
        FailedPrecondition: PERFORMANCE_STATE, none of its performances was cancelled.
    """
    if session.get(Event, event_id) is None:
        raise NotFound.of(resources.event(event_id))
    query = select(Performance).where(Performance.event_id == event_id, Performance.state == PerformanceState.CANCELLED)
    cancelled = session.scalars(query).all()
    if not cancelled:
        raise FailedPrecondition("PERFORMANCE_STATE", "no performance of the event was cancelled", state="SCHEDULED")
    return _progress(session, cancelled)


def _progress(session: Session, cancelled: Sequence[Performance]) -> Progress:
    ids = {"ids": [performance.id for performance in cancelled]}
    live = session.execute(_LIVE, ids).one()
    return Progress(
        performances=len(cancelled),
        performances_left=sum(performance.wind_up_time is not None for performance in cancelled),
        bookings=sum(performance.cancelled_bookings for performance in cancelled),
        bookings_left=live.waiting,
        bookings_checked_in=live.used,
        refunds=[RefundTally(*row) for row in session.execute(_REFUNDS, ids)],
        cash_due=[CashDue(*row) for row in session.execute(_CASH, ids)],
        cancel_time=min((p.cancel_time for p in cancelled if p.cancel_time is not None), default=None),
    )
