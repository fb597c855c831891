"""A few figures of the whole installation that operators watch, cheap enough to be read every some seconds."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.db.models.payments import Payment
from server.db.models.waiting_room import WaitingRoom
from server.states import PaymentState


@dataclass(frozen=True, slots=True)
class StandingFigures:
    """Figures of one moment.

    Attributes:
        unknown_payments: payments of which nobody knows whether the money was taken.
        oldest_unknown: since how many seconds the oldest of them is being asked for; 0: there is none.
        in_line: customers who wait in a line.
        longest_line: those in the longest one.
        lines: lines in which somebody waits.
    """

    unknown_payments: int
    oldest_unknown: float
    in_line: int
    longest_line: int
    lines: int


def standing_figures(session: Session) -> StandingFigures:
    """Read them, by indexes only: rows that are scheduled, and one row for each line that moves."""
    # An unknown payment is asked for until the answer is there, so it always is in the schedule.
    unknown = session.execute(
        select(func.count(), func.extract("epoch", func.clock_timestamp() - func.min(Payment.capture_time))).where(
            Payment.next_attempt_time.is_not(None), Payment.state == PaymentState.UNKNOWN
        )
    ).one()
    lines = session.execute(
        select(
            func.coalesce(func.sum(WaitingRoom.waiting_count), 0),
            func.coalesce(func.max(WaitingRoom.waiting_count), 0),
            func.count(),
        ).where(WaitingRoom.waiting_count > 0)
    ).one()
    return StandingFigures(
        unknown_payments=unknown[0],
        oldest_unknown=max(0.0, float(unknown[1] or 0)),
        in_line=int(lines[0]),
        longest_line=lines[1],
        lines=lines[2],
    )
