"""Moving lines: who is first is admitted, as many as a cycle allows; admissions that were not used end.

One transaction for one step of one line: the cycle, the entries, the mails and the time of the next step stand and
fall together. So a worker that dies at any line has admitted everybody of its step or nobody, and since each step
holds the room's row, two workers cannot both use what a cycle has left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now, statement_time
from server.db.models.catalogue import Event, Performance
from server.db.models.notifications import Notification
from server.db.models.waiting_room import AdmissionCycle, WaitingRoom
from server.domain.notifications import is_bulk, message_id
from server.domain.waiting_room import cycle_of, opening_of, shopping_count, terms_of
from server.states import EventState, NotificationKind, NotificationState, PerformanceState
from server.waiting_room.cycle import Step, Terms, advance

_ADMIT: Final = text("""
    UPDATE queue_entries e
    SET state = 2, cycle = :cycle, admit_time = :now, admission_expire_time = :until, revision = :revision
    FROM (SELECT id FROM queue_entries WHERE performance_id = :performance AND state = 1
          ORDER BY place, id LIMIT :count) first
    WHERE e.performance_id = :performance AND e.id = first.id
    RETURNING e.id, e.customer_id
""")
_END_WAITING: Final = text("""
    UPDATE queue_entries e SET state = 5, end_time = :now, revision = :revision
    FROM (SELECT id FROM queue_entries WHERE performance_id = :performance AND state = 1
          ORDER BY place, id LIMIT :count) ended
    WHERE e.performance_id = :performance AND e.id = ended.id
""")
# Locked in the order in which the seat ledger locks them.
_RUN_OUT: Final = text("""
    UPDATE queue_entries e SET state = 5, end_time = clock_timestamp()
    FROM (SELECT performance_id, id FROM queue_entries
          WHERE state = 2 AND admission_expire_time <= statement_timestamp()
          ORDER BY performance_id, id LIMIT :count FOR NO KEY UPDATE SKIP LOCKED) over
    WHERE e.performance_id = over.performance_id AND e.id = over.id
""")


@dataclass(frozen=True, slots=True)
class Moved:
    """A step of one line: how many were admitted, and how many were sent away because the sale is over."""

    performance_id: int
    admitted: int
    ended: int


def move_next(session: Session, most: int) -> Moved | None:
    """Carry out the step of one line that is due, or whose sale is over, the longest overdue first; None: none is.

    Args:
        session: a transaction.
        most: how many are sent away at once where the sale is over.
    """
    due = or_(WaitingRoom.next_admission_time <= statement_time(), _over(statement_time()))
    overdue = (
        select(WaitingRoom)
        .join(Performance, Performance.id == WaitingRoom.performance_id)
        .join(Event, Event.id == Performance.event_id)
        .where(WaitingRoom.next_admission_time.is_not(None), due)
        .order_by(WaitingRoom.next_admission_time)
        .limit(1)
        .execution_options(populate_existing=True)
    )
    free = overdue.with_for_update(skip_locked=True, key_share=True, of=WaitingRoom)
    room = session.scalars(free).one_or_none()
    if room is None:
        # What is left is locked, it may be by customers who join without a pause: whoever never waits never has a turn.
        room = session.scalars(overdue.with_for_update(key_share=True, of=WaitingRoom)).one_or_none()
    if room is None:
        return None
    now = database_now(session)
    if _is_over(session, room.performance_id, now):
        return _send_away(session, room, now, most)
    terms = terms_of(room)
    shopping = shopping_count(session, room.performance_id) if terms.shopping_limit is not None else None
    step = advance(
        terms,
        cycle_of(room),
        now=now,
        opening=opening_of(session, room),
        waiting=room.waiting_count,
        shopping=shopping,
    )
    admitted = _admit(session, room, step, terms, now) if step.admit else []
    if step.begins or admitted:
        _write_cycle(session, room, step, len(admitted), now)
    _write_room(session, room, step, len(admitted), now)
    return Moved(room.performance_id, len(admitted), 0)


def end_run_out(session: Session, most: int) -> int:
    """End admissions whose time is over; nobody could use them any more. Returns how many."""
    return session.execute(_RUN_OUT, {"count": most}).rowcount  # type: ignore[attr-defined, no-any-return]


def _admit(session: Session, room: WaitingRoom, step: Step, terms: Terms, now: datetime) -> Sequence[tuple[UUID, UUID]]:
    """Admit those who are first; returns (entry, customer)."""
    until = now + terms.admission_duration
    admitted = [
        (entry_id, customer_id)
        for entry_id, customer_id in session.execute(
            _ADMIT,
            {
                "performance": room.performance_id,
                "count": step.admit,
                "cycle": step.cycle.number,
                "now": now,
                "until": until,
                "revision": room.revision + 1,
            },
        )
    ]
    _tell(session, room.performance_id, admitted, now, until)
    return admitted


def _tell(
    session: Session, performance_id: int, admitted: Sequence[tuple[UUID, UUID]], now: datetime, until: datetime
) -> None:
    """Write to everybody who was admitted; what ``notifications.notify`` does, for many at once."""
    if not admitted:
        return
    rows = [
        {
            "performance_id": performance_id,
            "id": message_id(performance_id, f"admission/{entry_id}"),
            "kind": NotificationKind.ADMISSION,
            "state": NotificationState.QUEUED,
            "recipient_id": customer_id,
            "about": resources.performance(performance_id),
            "data": {"expire_time": until.isoformat()},
            "bulk": is_bulk(NotificationKind.ADMISSION),
            "next_attempt_time": now,
        }
        for entry_id, customer_id in admitted
    ]
    session.execute(insert(Notification).on_conflict_do_nothing(), rows)


def _write_cycle(session: Session, room: WaitingRoom, step: Step, admitted: int, now: datetime) -> None:
    waiting = room.waiting_count - admitted
    row = insert(AdmissionCycle).values(
        performance_id=room.performance_id,
        number=step.cycle.number,
        begin_time=now,
        admit_limit=step.cycle.left + step.admit,
        admitted=admitted,
        waiting=waiting,
    )
    # Its limit is the one with which it began.
    again = {"admitted": AdmissionCycle.admitted + admitted, "waiting": waiting}
    session.execute(row.on_conflict_do_update(index_elements=["performance_id", "number"], set_=again))


def _write_room(session: Session, room: WaitingRoom, step: Step, admitted: int, now: datetime) -> None:
    session.execute(
        update(WaitingRoom)
        .where(WaitingRoom.performance_id == room.performance_id)
        .values(
            opened_time=func.coalesce(WaitingRoom.opened_time, now) if admitted else WaitingRoom.opened_time,
            waiting_count=room.waiting_count - admitted,
            revision=room.revision + (1 if admitted else 0),
            cycle_number=step.cycle.number,
            cycle_end_time=step.cycle.end_time,
            cycle_left=step.cycle.left,
            next_admission_time=step.next_time,
            update_time=WaitingRoom.update_time,
        )
        .execution_options(synchronize_session=False)
    )


def _over(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """The condition on a performance and its event that nobody can buy any more."""
    return or_(
        Performance.state == PerformanceState.CANCELLED,
        Event.state == EventState.CANCELLED,
        Performance.sale_end_time <= now,
    )


def _is_over(session: Session, performance_id: int, now: datetime) -> bool:
    """Whether nobody can buy any more, so that nobody need wait."""
    query = select(_over(now)).join(Event, Event.id == Performance.event_id).where(Performance.id == performance_id)
    return bool(session.scalar(query))


def _send_away(session: Session, room: WaitingRoom, now: datetime, most: int) -> Moved:
    """End the wait of some; the room stays due until nobody waits."""
    ended: int = session.execute(  # type: ignore[attr-defined]
        _END_WAITING,
        {"performance": room.performance_id, "now": now, "revision": room.revision + 1, "count": most},
    ).rowcount
    left = room.waiting_count - ended
    session.execute(
        update(WaitingRoom)
        .where(WaitingRoom.performance_id == room.performance_id)
        .values(
            waiting_count=left,
            revision=room.revision + 1,
            next_admission_time=now if left else None,
            update_time=WaitingRoom.update_time,
        )
        .execution_options(synchronize_session=False)
    )
    return Moved(room.performance_id, 0, ended)
