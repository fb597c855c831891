"""The writing half of a batch: all decisions in one round trip, the revisions last."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg2 import Binary

from server.db.ids import new_id
from server.domain.staff_records import as_json
from server.seats import arrays
from server.seats import statements as sql
from server.seats.booking import Booking
from server.seats.box_office import add_allocations, add_till_entries
from server.seats.commands import Block, Confirm, Release, TakeBack, Unblock
from server.seats.connection import LedgerConnection
from server.seats.frames import encode_changes
from server.seats.messages import columns, messages
from server.seats.money import add_box_office_entries, add_returns
from server.seats.state import Decision, Place, RulesOutdatedError, SeatRow, State
from server.states import SeatState


@dataclass(frozen=True, slots=True)
class Published:
    """One performance's changes of one committed batch: (place, number of the new state), and their message."""

    performance_id: int
    revision: int
    body: bytes
    changes: tuple[tuple[int, int], ...]


class _Script:
    """Statements that go to PostgreSQL together."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.values: list[object] = []

    def add(self, statement: str, *columns: object) -> None:
        self.statements.append(statement)
        self.values.extend(columns)


async def write(connection: LedgerConnection, state: State, decisions: Sequence[Decision]) -> list[Published]:
    """Write what was decided; the caller commits.

    Raises:
        RulesOutdatedError: the rules that were decided by are not the newest.
        psycopg2.Error: a limit or a request_id was used by another process in the meantime, among others.
    """
    if not decisions:
        return []
    script = _Script()
    seats = _net_seats(state, decisions)
    _add_seats(script, state, seats)
    add_allocations(script, state, decisions)
    _add_bookings(script, state, decisions)
    _add_quotas(script, decisions)
    _add_sales(script, state, decisions)
    _add_successions(script, decisions)
    add_returns(script, decisions)
    add_box_office_entries(script, decisions)
    add_till_entries(script, state, decisions)
    _add_admissions(script, state, decisions)
    _add_messages(script, state, decisions)
    _add_log(script, state, decisions)
    _add_staff_records(script, state, decisions)
    changes = _bump_revisions(script, state, decisions, seats)
    revisions = dict(await connection.fetch(";".join(script.statements), script.values))
    if len(revisions) < len({decision.command.performance_id for decision in decisions}):
        raise RulesOutdatedError
    return [Published(p, revisions[p], body, tuple(changed)) for p, (body, changed) in changes.items()]


def _net_seats(state: State, decisions: Sequence[Decision]) -> list[tuple[Place, SeatRow]]:
    """The seats that end otherwise than they began, in order."""
    touched = {(decision.command.performance_id, place) for decision in decisions for place, _ in decision.seats}
    return [(place, state.seats[place]) for place in sorted(touched) if state.seats[place] != state.locked[place]]


def _add_seats(script: _Script, state: State, seats: Sequence[tuple[Place, SeatRow]]) -> None:
    """Seats as they are now; few of them ever join or leave an allocation."""
    stay = [(place, row) for place, row in seats if row.allocation_id == state.locked[place].allocation_id]
    if stay:
        script.add(sql.SET_SEATS, *arrays.seat_columns(stay))
    if len(stay) < len(seats):
        moved = [(place, row) for place, row in seats if row.allocation_id != state.locked[place].allocation_id]
        allocations = arrays.uuids(row.allocation_id for _, row in moved)
        script.add(sql.SET_SEATS_AND_ALLOCATIONS, *arrays.seat_columns(moved), allocations)


def _add_bookings(script: _Script, state: State, decisions: Sequence[Decision]) -> None:
    """Each booking once, as it stands after the batch: inserted where the batch made it, else updated."""
    new: dict[tuple[int, UUID], Booking] = {}
    changed: dict[tuple[int, UUID], Booking] = {}
    for decision in decisions:
        if decision.after is None:
            continue
        key = (decision.after.performance_id, decision.after.id)
        (new if decision.before is None or key in new else changed)[key] = decision.after
    if new:
        script.add(sql.INSERT_BOOKINGS, state.now, *arrays.new_booking_columns(list(new.values())))
    if changed:
        script.add(sql.UPDATE_BOOKINGS, *arrays.changed_booking_columns(list(changed.values())))


def _add_quotas(script: _Script, decisions: Sequence[Decision]) -> None:
    moved: dict[tuple[int, str], int] = {}
    ceilings: dict[tuple[int, str], int] = {}
    for decision in decisions:
        for change in decision.quotas:
            key = (decision.command.performance_id, change.key)
            moved[key] = moved.get(key, 0) + change.places
            if change.places > 0:
                ceilings[key] = change.ceiling
    rows = [(key, places) for key, places in sorted(moved.items()) if places]
    taken = [(key, places) for key, places in rows if places > 0]
    given = [(key, places) for key, places in rows if places < 0]
    if taken and given:
        # Two statements follow; this keeps their locks in the order of all other batches.
        script.add(sql.LOCK_QUOTAS, *_quota_columns(rows)[:2])
    if taken:
        script.add(sql.TAKE_QUOTAS, *_quota_columns(taken), arrays.numbers(ceilings[key] for key, _ in taken))
    if given:
        script.add(sql.GIVE_QUOTAS, *_quota_columns(given))


def _quota_columns(rows: Sequence[tuple[tuple[int, str], int]]) -> tuple[object, ...]:
    return (
        arrays.numbers(key[0] for key, _ in rows),
        arrays.texts([key[1] for key, _ in rows]),
        arrays.numbers(n for _, n in rows),
    )


def _add_sales(script: _Script, state: State, decisions: Sequence[Decision]) -> None:
    """Tickets of what was confirmed, and the payments that paid for it."""
    sold = [(d.after, d.command) for d in decisions if isinstance(d.command, Confirm) and d.after is not None]
    if not sold:
        return
    tickets = [
        (booking, place, kind)
        for booking, _ in sold
        for place, kind in zip(booking.places, booking.ticket_type_ids, strict=True)
    ]
    script.add(
        sql.INSERT_TICKETS,
        state.now,
        arrays.numbers(booking.performance_id for booking, _, _ in tickets),
        arrays.uuids(new_id() for _ in tickets),
        arrays.uuids(booking.id for booking, _, _ in tickets),
        arrays.uuids(booking.customer_id for booking, _, _ in tickets),
        arrays.numbers(place for _, place, _ in tickets),
        arrays.numbers(kind for _, _, kind in tickets),
        arrays.uuids(UUID(bytes=os.urandom(16)) for _ in tickets),
    )
    paid = [command for _, command in sold if command.payment_id is not None]
    if paid:
        script.add(
            sql.SETTLE_PAYMENTS,
            arrays.numbers(command.performance_id for command in paid),
            arrays.uuids(command.payment_id for command in paid),
            arrays.texts(command.provider_reference for command in paid),
            arrays.texts(command.capture_reference for command in paid),
        )


def _add_successions(script: _Script, decisions: Sequence[Decision]) -> None:
    """Tie bookings that ran out to those that their late money bought, and the payments to these."""
    successions = [
        (d.command, d.after.id, d.after.replaced_by)
        for d in decisions
        if isinstance(d.command, TakeBack) and d.after is not None
    ]
    if not successions:
        return
    links = [
        link
        for command, old, new in successions
        for link in ((command.performance_id, old, None, new), (command.performance_id, new, old, None))
    ]
    script.add(
        sql.LINK_BOOKINGS,
        arrays.numbers(performance_id for performance_id, _, _, _ in links),
        arrays.uuids(booking_id for _, booking_id, _, _ in links),
        arrays.uuids(replaces for _, _, replaces, _ in links),
        arrays.uuids(replaced_by for _, _, _, replaced_by in links),
    )
    script.add(
        sql.SET_BOUGHT_BOOKINGS,
        arrays.numbers(command.performance_id for command, _, _ in successions),
        arrays.uuids(command.payment_id for command, _, _ in successions),
        arrays.uuids(new for _, _, new in successions),
    )


def _add_messages(script: _Script, state: State, decisions: Sequence[Decision]) -> None:
    """What customers are to be told, told if and only if it came true."""
    told = list(messages(state, decisions))
    if told:
        script.add(sql.INSERT_NOTIFICATIONS, state.now, *columns(told))


def _add_admissions(script: _Script, state: State, decisions: Sequence[Decision]) -> None:
    """Admissions that have served for a booking."""
    used = [
        (d.command.performance_id, d.admission, d.after.id)
        for d in decisions
        if d.admission is not None and d.after is not None
    ]
    if used:
        script.add(
            sql.USE_ADMISSIONS,
            state.now,
            arrays.numbers(performance_id for performance_id, _, _ in used),
            arrays.uuids(entry_id for _, entry_id, _ in used),
            arrays.uuids(booking_id for _, _, booking_id in used),
        )


def _add_log(script: _Script, state: State, decisions: Sequence[Decision]) -> None:
    commands = [decision.command for decision in decisions]
    requests = [command.request for command in commands]
    script.add(
        sql.APPEND_LOG,
        state.now,
        arrays.numbers(command.performance_id for command in commands),
        arrays.uuids(_subject(decision) for decision in decisions),
        arrays.numbers(_version(d) for d in decisions),
        arrays.texts([command.kind.value for command in commands]),
        arrays.numbers(None if d.before is None else d.before.state for d in decisions),
        arrays.numbers(None if d.after is None else d.after.state for d in decisions),
        arrays.uuids(command.actor_id for command in commands),
        arrays.texts([None if request is None else request.request_id for request in requests]),
        arrays.texts([None if request is None else request.fingerprint.hex() for request in requests]),
        arrays.texts(["null" if d.after is None else d.after.to_json() for d in decisions]),
    )


def _add_staff_records(script: _Script, state: State, decisions: Sequence[Decision]) -> None:
    """What staff did, at the very time that the log has for it."""
    records = [d.command.record for d in decisions if d.command.record is not None]
    if records:
        script.add(sql.INSERT_STAFF_ACTIONS, state.now, as_json(records))


def _version(decision: Decision) -> int:
    if decision.after is not None:
        return decision.after.version
    # An allocation has the subject of the command that made it.
    return 2 if isinstance(decision.command, Release) else 1


def _subject(decision: Decision) -> UUID:
    command = decision.command
    if isinstance(command, Release):
        return command.allocation_id
    return command.action_id if isinstance(command, Block | Unblock) else command.booking_id


def _bump_revisions(
    script: _Script, state: State, decisions: Sequence[Decision], seats: Sequence[tuple[Place, SeatRow]]
) -> dict[int, tuple[bytes, list[tuple[int, int]]]]:
    """Add the last statement; returns what it publishes: each performance's message body and its changes."""
    changes: dict[int, list[tuple[int, int]]] = {}
    moves: dict[int, Counter[SeatState]] = {d.command.performance_id: Counter() for d in decisions}
    for (performance_id, place), row in seats:
        if row.state is state.locked[performance_id, place].state:
            continue  # another allocation or another booking, which no screen shows
        changes.setdefault(performance_id, []).append((place, row.state))
        moves[performance_id][row.state] += 1
        moves[performance_id][state.locked[performance_id, place].state] -= 1
    bodies = {performance_id: encode_changes(changed) for performance_id, changed in changes.items()}
    performances = sorted(moves)
    script.add(
        sql.BUMP_REVISIONS,
        arrays.numbers(performances),
        arrays.numbers(state.rules[p].version for p in performances),
        arrays.numbers(moves[p][SeatState.AVAILABLE] for p in performances),
        arrays.numbers(moves[p][SeatState.HELD] for p in performances),
        arrays.numbers(moves[p][SeatState.SOLD] for p in performances),
        arrays.numbers(moves[p][SeatState.BLOCKED] for p in performances),
        [Binary(bodies[p]) if p in bodies else None for p in performances],
    )
    return {p: (bodies[p], changed) for p, changed in changes.items()}
