"""Joining lines, many customers in one transaction.

A customer has at most one place in a line. A ticket of an earlier answer restores the place that it names if the
database lost it; where the database still knows, the database decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Uuid, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, BOOLEAN, TIMESTAMP
from sqlalchemy.orm import Session

from server.db.clock import database_now
from server.db.models.catalogue import Event, Performance
from server.db.models.inventory import Inventory
from server.db.models.waiting_room import QueueEntry, WaitingRoom
from server.domain import staff_actions
from server.domain.waiting_room import cycle_of
from server.domain.waiting_room_answers import Join, Joined, Key, Outcome, recall, remember
from server.domain.waiting_room_entries import Entry, entry_of
from server.errors import FailedPrecondition, RowlockError
from server.states import EventState, LineOrder, PerformanceState, QueueEntryState
from server.waiting_room.cycle import next_look
from server.waiting_room.order import arrival_place, drawn_place
from server.waiting_room.tickets import EntryTicket

_EXISTING: Final = text("""
    SELECT e.*
    FROM unnest(CAST(:performances AS bigint[]), CAST(:customers AS uuid[])) AS w(performance_id, customer_id)
    JOIN queue_entries e ON e.performance_id = w.performance_id AND e.customer_id = w.customer_id AND e.state IN (1, 2)
""")
_KNOWN: Final = text("""
    SELECT e.performance_id, e.id
    FROM unnest(CAST(:performances AS bigint[]), CAST(:ids AS uuid[])) AS w(performance_id, id)
    JOIN queue_entries e ON e.performance_id = w.performance_id AND e.id = w.id
""")
# Ids are made here, of the clock that decides, one after the other.
_INSERT: Final = text("""
    INSERT INTO queue_entries (performance_id, id, customer_id, state, place, early, revision)
    SELECT performance_id, coalesce(id, uuidv7()), customer_id, 1, place, early, revision
    FROM unnest(:performances, :ids, :customers, :places, :early, :revisions)
         WITH ORDINALITY AS w(performance_id, id, customer_id, place, early, revision, number)
    ORDER BY number
    RETURNING performance_id, customer_id, id
""").bindparams(
    bindparam("performances", type_=ARRAY(BIGINT)),
    bindparam("ids", type_=ARRAY(Uuid)),
    bindparam("customers", type_=ARRAY(Uuid)),
    bindparam("places", type_=ARRAY(BIGINT)),
    bindparam("early", type_=ARRAY(BOOLEAN)),
    bindparam("revisions", type_=ARRAY(BIGINT)),
)
_EXPIRE: Final = text("""
    UPDATE queue_entries e SET state = 5, end_time = :now
    FROM (SELECT e.performance_id, e.id
          FROM unnest(CAST(:performances AS bigint[]), CAST(:ids AS uuid[])) AS w(performance_id, id)
          JOIN queue_entries e ON e.performance_id = w.performance_id AND e.id = w.id AND e.state = 2
          ORDER BY e.performance_id, e.id FOR NO KEY UPDATE OF e) gone
    WHERE e.performance_id = gone.performance_id AND e.id = gone.id AND e.state = 2
""").bindparams(bindparam("now", type_=TIMESTAMP(timezone=True)))


@dataclass(slots=True)
class _Room:
    """A locked room with its counts as they grow, and what decides whether one may join it."""

    row: WaitingRoom
    opening: datetime
    sale_end_time: datetime
    cancelled: bool
    on_sale: bool
    places_left: int
    joined: int
    waiting: int


def join_all(session: Session, joins: Sequence[Join]) -> list[Outcome]:
    """Give each customer a place, or say why not; outcomes stand in the order of ``joins``.

    The rooms stay locked until the transaction ends, so places are given in the order of commits, and nobody is
    admitted who came after somebody whose place is not yet committed.
    """
    rooms = _lock_rooms(session, sorted({join.performance_id for join in joins}))
    now = database_now(session)
    answered = recall(session, joins)
    places = _existing(session, joins, now)
    restorable = _restorable(session, joins, places)
    refused: dict[Key, RowlockError] = {}
    wanted: dict[Key, None] = {}
    for number, join in enumerate(joins):
        if number in answered:
            continue
        refusal = _refusal(rooms.get(join.performance_id), now, joined=join.key in places)
        if refusal is not None:
            refused[join.key] = refusal
        elif join.key not in places:
            wanted[join.key] = None
    made = _insert(session, rooms, list(wanted), restorable, now)
    outcomes: list[Outcome] = []
    for number, join in enumerate(joins):
        outcome = answered.get(number) or refused.get(join.key) or made.get(join.key) or Joined(places[join.key], None)
        if isinstance(outcome, Joined) and outcome.position and number not in answered:
            outcome = replace(outcome, wait=join.estimate(outcome.position))
        outcomes.append(outcome)
    remember(session, joins, outcomes, answered)
    by = {join.key: join.record for number, join in enumerate(joins) if number not in answered}
    staff_actions.write(session, (record for key in made if (record := by.get(key)) is not None))
    return outcomes


def _refusal(room: _Room | None, now: datetime, *, joined: bool) -> RowlockError | None:
    """Why a customer may not join, or get the place that was ``joined`` before; None: all is well."""
    if room is None or not room.row.enabled:
        return FailedPrecondition("WAITING_ROOM_OFF", "the performance has no waiting room now: simply book")
    if joined:
        return None
    refusals = (
        (room.cancelled, "PERFORMANCE_CANCELLED", "the performance was cancelled"),
        (not room.on_sale, "NOT_ON_SALE", "this performance is not on sale"),
        (now >= room.sale_end_time, "SALE_ENDED", "the sale of this performance has ended"),
        (not room.places_left, "SOLD_OUT", "every place of this performance is sold"),
    )
    return next((FailedPrecondition(reason, said) for applies, reason, said in refusals if applies), None)


def _lock_rooms(session: Session, performance_ids: Sequence[int]) -> dict[int, _Room]:
    rows = session.execute(
        select(WaitingRoom, Performance, Event.state, Inventory.available + Inventory.held)
        .join(Performance, Performance.id == WaitingRoom.performance_id)
        .join(Event, Event.id == Performance.event_id)
        .join(Inventory, Inventory.performance_id == WaitingRoom.performance_id)
        .where(WaitingRoom.performance_id.in_(performance_ids))
        .order_by(WaitingRoom.performance_id)
        .with_for_update(of=WaitingRoom, key_share=True)
        .execution_options(populate_existing=True)
    )
    return {
        room.performance_id: _Room(
            row=room,
            opening=room.open_time or performance.sale_start_time,
            sale_end_time=performance.sale_end_time,
            cancelled=PerformanceState.CANCELLED is performance.state or event_state is EventState.CANCELLED,
            on_sale=event_state is EventState.PUBLISHED,
            places_left=left,
            joined=room.joined_count,
            waiting=room.waiting_count,
        )
        for room, performance, event_state, left in rows
    }


def _existing(session: Session, joins: Sequence[Join], now: datetime) -> dict[Key, Entry]:
    """The places that customers have; an admission that has run out is ended, so that its customer may join again."""
    rows = session.scalars(
        select(QueueEntry).from_statement(_EXISTING),
        {
            "performances": [join.performance_id for join in joins],
            "customers": [str(join.customer_id) for join in joins],
        },
        execution_options={"populate_existing": True},
    ).all()
    entries = [entry_of(row, now) for row in rows]
    run_out = [entry for entry in entries if entry.state is QueueEntryState.EXPIRED]
    if run_out:
        session.execute(
            _EXPIRE,
            {
                "now": now,
                "performances": [entry.performance_id for entry in run_out],
                "ids": [str(entry.id) for entry in run_out],
            },
        )
    return {
        (entry.performance_id, entry.customer_id): entry
        for entry in entries
        if entry.state is not QueueEntryState.EXPIRED
    }


def _restorable(session: Session, joins: Sequence[Join], places: Mapping[Key, Entry]) -> dict[Key, EntryTicket]:
    """The tickets of places that the database does not know."""
    tickets = {join.key: join.ticket for join in joins if join.ticket is not None and join.key not in places}
    if not tickets:
        return {}
    known = session.execute(
        _KNOWN,
        {
            "performances": [ticket.performance_id for ticket in tickets.values()],
            "ids": [str(ticket.entry_id) for ticket in tickets.values()],
        },
    )
    gone = {(performance_id, entry_id) for performance_id, entry_id in known}
    return {key: one for key, one in tickets.items() if (one.performance_id, one.entry_id) not in gone}


def _insert(
    session: Session,
    rooms: Mapping[int, _Room],
    wanted: Sequence[Key],
    restorable: Mapping[Key, EntryTicket],
    now: datetime,
) -> dict[Key, Joined]:
    """Put new entries in line, in the given order, and move the rooms' counts."""
    if not wanted:
        return {}
    new = [_new(rooms[key[0]], key[1], restorable.get(key), now) for key in wanted]
    made = session.execute(
        _INSERT,
        {
            "performances": [performance_id for performance_id, _ in wanted],
            "ids": [one.entry_id for one in new],
            "customers": [customer_id for _, customer_id in wanted],
            "places": [one.place for one in new],
            "early": [one.early for one in new],
            "revisions": [rooms[performance_id].row.revision + 1 for performance_id, _ in wanted],
        },
    )
    ids = {(performance_id, customer_id): entry_id for performance_id, customer_id, entry_id in made}
    for performance_id in {performance_id for performance_id, _ in wanted}:
        room = rooms[performance_id]
        look = room.row.next_admission_time or next_look(cycle_of(room.row), now=now, opening=room.opening)
        session.execute(
            update(WaitingRoom)
            .where(WaitingRoom.performance_id == performance_id)
            .values(
                joined_count=room.joined,
                waiting_count=room.waiting,
                revision=room.row.revision + 1,
                next_admission_time=look,
                # What staff have set did not change.
                update_time=WaitingRoom.update_time,
            )
            .execution_options(synchronize_session=False)
        )
    return {
        key: Joined(Entry(key[0], ids[key], key[1], QueueEntryState.WAITING, one.place, one.early), one.position)
        for key, one in zip(wanted, new, strict=True)
    }


@dataclass(frozen=True, slots=True)
class _New:
    place: int
    early: bool
    position: int | None
    entry_id: UUID | None = None


def _new(room: _Room, customer_id: UUID, ticket: EntryTicket | None, now: datetime) -> _New:
    """The next entry of a room, which counts it."""
    room.joined += 1
    room.waiting += 1
    if ticket is not None:
        return _New(ticket.place, ticket.early, None, ticket.entry_id)
    early = room.row.opened_time is None and now < room.opening
    if early and room.row.line_order is LineOrder.DRAW:
        return _New(drawn_place(room.row.seed, customer_id), early, 0)
    # Behind everybody who waits.
    return _New(arrival_place(room.joined), early, room.waiting)
