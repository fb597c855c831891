"""Waiting rooms: what staff set, and what everybody may know of one.

``waiting_room_joining``, ``waiting_room_leaving`` and ``waiting_room_admission`` move the line; each locks the room's
row first, then entries, and none of them locks anything else that the seat ledger locks.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Select, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.catalogue import Event, Performance
from server.db.models.waiting_room import AdmissionCycle, WaitingRoom
from server.domain.etags import require_current
from server.domain.events import readable
from server.domain.rows import changed, found
from server.errors import FailedPrecondition
from server.seats.rules import touch_rules
from server.states import LineOrder, PerformanceState
from server.waiting_room.cycle import Cycle, Terms, next_chance, next_look, shortened
from server.waiting_room.estimate import admitted_per_cycle
from server.waiting_room.order import FIRST_ARRIVAL, SEED_BYTES, hmac_pads

USUAL: Final = Terms(admit_count=10, admit_interval=timedelta(minutes=10), admission_duration=timedelta(minutes=10))
_SAMPLES: Final = 5

# Who is admitted and not done: those who may still book, and those whose booking is held.
_SHOPPING: Final = text("""
    SELECT (SELECT count(*) FROM queue_entries
            WHERE performance_id = :performance AND state = 2 AND admission_expire_time > statement_timestamp())
         + (SELECT count(*) FROM bookings b
            JOIN queue_entries e ON e.performance_id = b.performance_id AND e.booking_id = b.id
            WHERE b.performance_id = :performance AND b.state = 1
              AND (b.hold_expire_time > clock_timestamp() OR b.payment_id IS NOT NULL))
""")

_ORDER_BY_DRAW: Final = text("""
    UPDATE queue_entries
    SET place = ('x' || encode(substr(sha256(:outer || sha256(:inner || uuid_send(customer_id))), 1, 7), 'hex'))
                ::bit(56)::bigint >> 4,
        revision = :revision
    WHERE performance_id = :performance AND state = 1
""")
_ORDER_BY_ARRIVAL: Final = text("""
    UPDATE queue_entries e SET place = CAST(:first AS bigint) + a.number, revision = :revision
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS number
          FROM queue_entries WHERE performance_id = :performance AND state = 1) a
    WHERE e.performance_id = :performance AND e.id = a.id
""")


@dataclass(frozen=True, slots=True)
class RoomValues:
    """What staff say of a waiting room."""

    enabled: bool
    terms: Terms
    order: LineOrder
    open_time: datetime | None


@dataclass(frozen=True, slots=True)
class RoomView:
    """A waiting room at one moment.

    Attributes:
        draft: whether its event was never published, and so is not for everybody to see.
        line_id: names the line and its order.
        opening: from when on customers are admitted.
        shopping_count: how many are admitted and not done.
        per_cycle: how many a cycle admits, as the last ones did.
        read_time: the moment.
    """

    performance_id: int
    draft: bool
    line_id: UUID
    enabled: bool
    terms: Terms
    order: LineOrder
    open_time: datetime | None
    opening: datetime
    opened: bool
    seed: bytes
    waiting_count: int
    shopping_count: int
    cycle: Cycle
    per_cycle: float
    revision: int
    version: int
    update_time: datetime | None
    read_time: datetime

    def draws_at(self, now: datetime) -> bool:
        """Whether the draw is still to come, so that nobody who waits has a position."""
        return self.order is LineOrder.DRAW and not self.opened and now < self.opening

    def next_admission(self, now: datetime) -> datetime | None:
        """When the next are admitted; None: it is off."""
        return next_chance(self.cycle, now=now, opening=self.opening) if self.enabled else None


def read(session: Session, performance_id: int) -> RoomView:
    """A performance's waiting room.

    Raises:
        NotFound: there is no such performance.
    """
    query = select(Performance.sale_start_time, readable()).join(Event, Event.id == Performance.event_id)
    row = session.execute(query.where(Performance.id == performance_id)).one_or_none()
    sale_start_time, is_readable = found(row, resources.performance(performance_id))
    room = session.get(WaitingRoom, performance_id, populate_existing=True) or _usual(performance_id)
    return _view(session, room, sale_start_time, draft=not is_readable)


def lock(session: Session, performance_id: int, etag: str) -> WaitingRoom:
    """Lock a waiting room for a change by staff; it is made if it never was otherwise than usual.

    Raises:
        NotFound: there is no such performance.
        FailedPrecondition: PERFORMANCE_CANCELLED.
        Aborted: ETAG_MISMATCH.
    """
    performance = found(session.get(Performance, performance_id), resources.performance(performance_id))
    if performance.state is PerformanceState.CANCELLED:
        raise FailedPrecondition("PERFORMANCE_CANCELLED", "the performance was cancelled")
    row = _usual(performance_id)
    values = {column.key: getattr(row, column.key) for column in WaitingRoom.__table__.columns}
    kept = {key: value for key, value in values.items() if value is not None}
    session.execute(insert(WaitingRoom).values(kept).on_conflict_do_nothing())
    room = session.scalars(locking(performance_id)).one()
    require_current(etag, room.version)
    return room


def locking(performance_id: int) -> Select[WaitingRoom]:
    """The statement that takes the lock which every change of a line needs."""
    return (
        select(WaitingRoom)
        .where(WaitingRoom.performance_id == performance_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )


def update(session: Session, room: WaitingRoom, values: RoomValues) -> None:
    """Give a locked room new values.

    Switched off, it keeps its line, whose customers wait until it is on again. New numbers hold from the next cycle on;
    only a shorter interval shortens the running one.

    Raises:
        FailedPrecondition: WAITING_ROOM_OPENED, the order or the opening of a line that has begun to move.
    """
    now = database_now(session)
    reordered = room.line_order is not values.order
    if reordered or room.open_time != values.open_time:
        _begin_anew(session, room, values, reordered=reordered)
    terms = values.terms
    cycle = shortened(cycle_of(room), terms, now)
    room.admit_count, room.admit_interval = terms.admit_count, terms.admit_interval
    room.admission_duration, room.shopping_limit = terms.admission_duration, terms.shopping_limit
    room.cycle_end_time = cycle.end_time
    if room.enabled is not values.enabled:
        # Last of all locks: the batches that decided without (or with) a waiting room have committed or start again.
        touch_rules(session, room.performance_id)
        since = database_now(session) if values.enabled else None
        room.enabled, room.enabled_time = values.enabled, since
    waits = room.enabled and room.waiting_count > 0
    room.next_admission_time = next_look(cycle, now=now, opening=opening_of(session, room)) if waits else None
    changed(session, room)


def terms_of(room: WaitingRoom) -> Terms:
    """What staff have set."""
    return Terms(room.admit_count, room.admit_interval, room.admission_duration, room.shopping_limit)


def cycle_of(room: WaitingRoom) -> Cycle:
    """The running cycle."""
    return Cycle(room.cycle_number, room.cycle_end_time, room.cycle_left)


def opening_of(session: Session, room: WaitingRoom) -> datetime:
    """From when on the room admits."""
    if room.open_time is not None:
        return room.open_time
    start = select(Performance.sale_start_time).where(Performance.id == room.performance_id)
    return session.scalars(start).one()


def shopping_count(session: Session, performance_id: int) -> int:
    """How many are admitted and not done: they may still book, or hold what they have not paid."""
    return int(session.scalar(_SHOPPING, {"performance": performance_id}) or 0)


def _usual(performance_id: int) -> WaitingRoom:
    """The room of a performance for which staff never said anything."""
    return WaitingRoom(
        performance_id=performance_id,
        line_id=uuid4(),
        enabled=False,
        admit_count=USUAL.admit_count,
        admit_interval=USUAL.admit_interval,
        admission_duration=USUAL.admission_duration,
        line_order=LineOrder.FIRST_COME,
        seed=os.urandom(SEED_BYTES),
        joined_count=0,
        waiting_count=0,
        revision=0,
        cycle_number=0,
        cycle_left=0,
        version=0,
    )


def _begin_anew(session: Session, room: WaitingRoom, values: RoomValues, *, reordered: bool) -> None:
    """Take over another order or opening, which is allowed until somebody was admitted, and when nobody waits."""
    if room.opened_time is not None:
        if room.waiting_count:
            raise FailedPrecondition(
                "WAITING_ROOM_OPENED", "the line has begun to move; its order and opening can change when it is empty"
            )
        room.opened_time = None
    if not room.waiting_count:
        # The seed of the last draw may be known by now: it is told with the opening, whether or not somebody came.
        room.seed = os.urandom(SEED_BYTES)
    room.open_time = values.open_time
    if not reordered:
        return
    room.line_order = values.order
    if not room.waiting_count:
        return
    room.line_id = uuid4()
    room.revision += 1
    session.flush()
    where = {"performance": room.performance_id, "revision": room.revision}
    if values.order is LineOrder.DRAW:
        inner, outer = hmac_pads(room.seed)
        session.execute(_ORDER_BY_DRAW, {**where, "inner": inner, "outer": outer})
    else:
        session.execute(_ORDER_BY_ARRIVAL, {**where, "first": FIRST_ARRIVAL})


def _view(session: Session, room: WaitingRoom, sale_start_time: datetime, *, draft: bool) -> RoomView:
    opening = room.open_time or sale_start_time
    exists = room.version > 0
    terms = terms_of(room)
    return RoomView(
        performance_id=room.performance_id,
        draft=draft,
        line_id=room.line_id,
        enabled=room.enabled,
        terms=terms,
        order=room.line_order,
        open_time=room.open_time,
        opening=opening,
        opened=room.opened_time is not None,
        seed=room.seed,
        waiting_count=room.waiting_count,
        shopping_count=shopping_count(session, room.performance_id) if exists else 0,
        cycle=cycle_of(room),
        per_cycle=admitted_per_cycle(terms, _samples(session, room.performance_id) if exists else ()),
        revision=room.revision,
        version=room.version,
        update_time=room.update_time if exists else None,
        read_time=database_now(session),
    )


def _samples(session: Session, performance_id: int) -> Sequence[int]:
    """How many were admitted in each of the last cycles that left somebody waiting."""
    newest = (
        select(AdmissionCycle.admitted, AdmissionCycle.waiting)
        .where(AdmissionCycle.performance_id == performance_id)
        .order_by(AdmissionCycle.number.desc())
        .limit(_SAMPLES)
    )
    return [admitted for admitted, waiting in session.execute(newest) if waiting]
