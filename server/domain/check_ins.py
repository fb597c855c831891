"""Recording scans: under the lock of their tickets, any number at once, each with its outcome as a row of its own.

Scans of many doors travel in one transaction of three statements: lock the tickets in the order of (performance,
id); read what else decides, after the locks; write all rows and let all tickets in. A scan is known again by its
scope and request_id, so one that is sent twice ends as it did the first time. Two processes that record one
request_id for two tickets at the same moment meet at a unique index: the loser starts again and finds the first.

Online, a scan of no ticket at all leaves no row; whatever a door did without a connection leaves one.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text, tuple_
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.ids import new_id
from server.db.models.catalogue import Performance
from server.db.models.check_ins import CheckIn
from server.domain.check_in_rules import DoorPolicy, DoorTimes, Scan, ScannedTicket, decide, door_times
from server.domain.rows import count
from server.errors import FailedPrecondition, FieldFault, InvalidArgument, NotFound, RowlockError
from server.states import CheckInOutcome, EventState, PerformanceState, TicketState

_LOCK: Final = text("""
SELECT t.performance_id, t.id, t.booking_id, t.place, t.ticket_type_id, t.nonce, t.state, t.create_time,
       t.check_in_time, t.check_in_place
FROM unnest(CAST(:performances AS bigint[]), CAST(:tickets AS uuid[])) AS w(performance_id, id)
JOIN tickets t ON t.performance_id = w.performance_id AND t.id = w.id
ORDER BY t.performance_id, t.id
FOR NO KEY UPDATE OF t
""")

_READ: Final = text("""
SELECT clock_timestamp(),
       (SELECT json_agg(json_build_array(p.id, p.start_time, p.end_time, p.state, e.state))
        FROM unnest(CAST(:performances AS bigint[])) AS w(id)
        JOIN performances p ON p.id = w.id JOIN events e ON e.id = p.event_id),
       (SELECT json_agg(row_to_json(c))
        FROM unnest(CAST(:owners AS bigint[]), CAST(:scopes AS text[]), CAST(:requests AS text[]))
          AS w(performance_id, scope, request_id)
        JOIN check_ins c ON c.performance_id = w.performance_id AND c.scope = w.scope AND c.request_id = w.request_id),
       (SELECT json_agg(json_build_array(u.performance_id, u.ticket_id, u.undone))
        FROM (SELECT c.performance_id, c.ticket_id, count(*) AS undone
              FROM unnest(CAST(:ticket_owners AS bigint[]), CAST(:tickets AS uuid[])) AS w(performance_id, ticket_id)
              JOIN check_ins c ON c.performance_id = w.performance_id AND c.ticket_id = w.ticket_id
              WHERE c.outcome = 10 GROUP BY 1, 2) u)
""")

_WRITE: Final = text("""
WITH scanned AS (
    INSERT INTO check_ins (performance_id, id, ticket_id, booking_id, outcome, round, offline, admitted, conflict,
                           place, device, scan_time, create_time, first_time, first_place, actor_id, scope, request_id,
                           fingerprint)
    SELECT r.performance_id, r.id, r.ticket_id, r.booking_id, r.outcome, r.round, r.offline, r.admitted, r.conflict,
           r.place, r.device, r.scan_time, r.create_time, r.first_time, r.first_place, r.actor_id, r.scope,
           r.request_id, decode(r.fingerprint, 'hex')
    FROM json_to_recordset(CAST(:rows AS json)) AS r(
        performance_id bigint, id uuid, ticket_id uuid, booking_id uuid, outcome smallint, round int, offline boolean,
        admitted boolean, conflict boolean, place text, device text, scan_time timestamptz, create_time timestamptz,
        first_time timestamptz, first_place text, actor_id uuid, scope text, request_id text, fingerprint text)
    RETURNING performance_id, ticket_id, outcome, scan_time, create_time, place
)
UPDATE tickets t SET state = 2, check_in_time = least(s.scan_time, s.create_time), check_in_place = s.place
FROM scanned s WHERE s.outcome = 1 AND t.performance_id = s.performance_id AND t.id = s.ticket_id
""")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A scan on record: the row, the ticket as it stands after it, and when the doors are open.

    ``ticket`` is None where the scan was of no ticket of the performance.
    """

    check_in: CheckIn
    ticket: ScannedTicket | None
    doors: DoorTimes


@dataclass(frozen=True, slots=True)
class CheckInPage:
    """Scans, newest first, and how many there are on all pages."""

    check_ins: Sequence[CheckIn]
    total: int


def record(session: Session, scans: Sequence[Scan], policy: DoorPolicy) -> list[Recorded | RowlockError]:
    """Record scans, in order: of two scans of one ticket the first one counts.

    Returns:
        For each scan its record, or why there is none: NotFound (no such performance, or, online, no such ticket) or
        InvalidArgument (REQUEST_ID_REUSED).

    Raises:
        IntegrityError: another process recorded one of the request ids meanwhile; start again.
    """
    tickets = _lock(session, scans)
    now, doors, earlier, tickets = _read(session, scans, policy, tickets)
    outcomes: list[Recorded | RowlockError] = []
    rows: list[CheckIn] = []
    for scan in scans:
        try:
            recorded = _record_one(scan, tickets, doors, earlier, now)
        except RowlockError as refusal:
            outcomes.append(refusal)
            continue
        outcomes.append(recorded)
        row = recorded.check_in
        if row.scope is not None and row.request_id is not None:
            key = (row.performance_id, row.scope, row.request_id)
            if key in earlier:
                continue
            earlier[key] = row
        rows.append(row)
        if recorded.ticket is not None:
            tickets[row.performance_id, recorded.ticket.id] = recorded.ticket
    if rows:
        session.execute(_WRITE, {"rows": json.dumps([_column_values(row) for row in rows])})
    return outcomes


def undo(
    session: Session, performance_id: int, booking_id: UUID, ticket_id: UUID, *, reason: str, actor_id: UUID
) -> ScannedTicket:
    """Take a check-in back: the ticket lets in again, and the record says who did that and why.

    Raises:
        NotFound: no such ticket.
        FailedPrecondition: TICKET_VOID, or TICKET_NOT_CHECKED_IN.
    """
    locked = session.execute(_LOCK, {"performances": [performance_id], "tickets": [str(ticket_id)]}).one_or_none()
    if locked is None or locked.booking_id != booking_id:
        raise NotFound.of(resources.ticket(performance_id, booking_id, ticket_id))
    ticket = _ticket(locked)
    if ticket.state is TicketState.VOID:
        raise FailedPrecondition("TICKET_VOID", "the ticket is void")
    if ticket.state is not TicketState.CHECKED_IN:
        raise FailedPrecondition("TICKET_NOT_CHECKED_IN", "nobody was let in with this ticket")
    now = database_now(session)
    rounds = select(CheckIn.id).where(
        CheckIn.performance_id == performance_id,
        CheckIn.ticket_id == ticket_id,
        CheckIn.outcome == CheckInOutcome.UNDONE,
    )
    session.add(
        CheckIn(
            performance_id=performance_id,
            id=new_id(),
            ticket_id=ticket_id,
            booking_id=booking_id,
            outcome=CheckInOutcome.UNDONE,
            round=count(session, rounds),
            offline=False,
            admitted=False,
            conflict=False,
            reason=reason,
            scan_time=now,
            create_time=now,
            first_time=ticket.check_in_time,
            first_place=ticket.check_in_place,
            actor_id=actor_id,
        )
    )
    session.execute(
        text(
            "UPDATE tickets SET state = 1, check_in_time = NULL, check_in_place = NULL"
            " WHERE performance_id = :performance AND id = :id"
        ),
        {"performance": performance_id, "id": ticket_id},
    )
    return replace(ticket, state=TicketState.VALID, check_in_time=None, check_in_place=None)


def list_check_ins(
    session: Session,
    performance_id: int,
    *,
    outcome: CheckInOutcome | None,
    ticket_id: UUID | None,
    only_conflicts: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> CheckInPage:
    """Scans of a performance's doors that meet every condition which is not None, newest first.

    Args:
        session: a transaction.
        performance_id: the performance.
        outcome: which came to this.
        ticket_id: of this ticket.
        only_conflicts: only where somebody was let in who should not have been.
        after: (create_time, id) of the last one of the page before.
        limit: how many at most.

    Raises:
        NotFound: no such performance.
    """
    if session.get(Performance, performance_id) is None:
        raise NotFound.of(resources.performance(performance_id))
    query = select(CheckIn).where(CheckIn.performance_id == performance_id)
    if outcome is not None:
        query = query.where(CheckIn.outcome == outcome)
    if ticket_id is not None:
        query = query.where(CheckIn.ticket_id == ticket_id)
    if only_conflicts:
        query = query.where(CheckIn.conflict)
    total = count(session, query)
    if after is not None:
        query = query.where(tuple_(CheckIn.create_time, CheckIn.id) < after)
    rows = session.scalars(query.order_by(CheckIn.create_time.desc(), CheckIn.id.desc()).limit(limit)).all()
    return CheckInPage(rows, total)


_Tickets = dict[tuple[int, UUID], ScannedTicket]
_Earlier = dict[tuple[int, str, str], CheckIn]


def _lock(session: Session, scans: Iterable[Scan]) -> _Tickets:
    wanted = sorted(
        {
            (scan.performance_id, scan.ticket_id)
            for scan in scans
            if scan.ticket_id is not None and scan.ticket_performance_id == scan.performance_id
        }
    )
    if not wanted:
        return {}
    rows = session.execute(_LOCK, {"performances": [p for p, _ in wanted], "tickets": [str(t) for _, t in wanted]})
    tickets = map(_ticket, rows)
    return {(ticket.performance_id, ticket.id): ticket for ticket in tickets}


def _read(
    session: Session, scans: Sequence[Scan], policy: DoorPolicy, tickets: _Tickets
) -> tuple[datetime, dict[int, DoorTimes], _Earlier, _Tickets]:
    known = [scan for scan in scans if scan.scope is not None and scan.request_id is not None]
    now, performances, earlier, undone = session.execute(
        _READ,
        {
            "performances": sorted({scan.performance_id for scan in scans}),
            "owners": [scan.performance_id for scan in known],
            "scopes": [scan.scope for scan in known],
            "requests": [scan.request_id for scan in known],
            "ticket_owners": [performance_id for performance_id, _ in tickets],
            "tickets": [str(ticket_id) for _, ticket_id in tickets],
        },
    ).one()
    rounds = {(performance_id, UUID(ticket)): n for performance_id, ticket, n in undone or ()}
    return (
        now,
        {performance_id: _doors(policy, *rest) for performance_id, *rest in performances or ()},
        {(row["performance_id"], row["scope"], row["request_id"]): _check_in(row) for row in earlier or ()},
        {key: replace(ticket, round=rounds[key]) if key in rounds else ticket for key, ticket in tickets.items()},
    )


def _record_one(
    scan: Scan, tickets: _Tickets, doors: dict[int, DoorTimes], earlier: _Earlier, now: datetime
) -> Recorded:
    times = doors.get(scan.performance_id)
    if times is None:
        raise NotFound.of(resources.performance(scan.performance_id))
    ticket = None if scan.ticket_id is None else tickets.get((scan.performance_id, scan.ticket_id))
    if scan.scope is not None and scan.request_id is not None:
        first = earlier.get((scan.performance_id, scan.scope, scan.request_id))
        if first is not None:
            return _again(scan, first, ticket, times)
    outcome = decide(scan, ticket, times, now)
    offline = scan.offline_time is not None
    if outcome is CheckInOutcome.UNKNOWN_TICKET:
        if not offline:
            raise NotFound("NOT_FOUND", "there is no such ticket")
        ticket = None
    admitted = outcome is CheckInOutcome.ADMITTED or (offline and scan.let_in)
    met = outcome is CheckInOutcome.ALREADY_CHECKED_IN and ticket is not None
    row = CheckIn(
        performance_id=scan.performance_id,
        id=new_id(),
        ticket_id=None if ticket is None else ticket.id,
        booking_id=None if ticket is None else ticket.booking_id,
        outcome=outcome,
        round=0 if ticket is None else ticket.round,
        offline=offline,
        admitted=admitted,
        conflict=admitted and outcome is not CheckInOutcome.ADMITTED,
        place=scan.place,
        device=scan.device,
        reason="",
        scan_time=scan.offline_time or now,
        create_time=now,
        first_time=ticket.check_in_time if met and ticket is not None else None,
        first_place=ticket.check_in_place if met and ticket is not None else None,
        actor_id=scan.actor_id,
        scope=scan.scope,
        request_id=scan.request_id,
        fingerprint=scan.fingerprint,
    )
    if outcome is CheckInOutcome.ADMITTED and ticket is not None:
        ticket = _let_in(ticket, row)
    return Recorded(row, ticket, times)


def _again(scan: Scan, first: CheckIn, ticket: ScannedTicket | None, times: DoorTimes) -> Recorded:
    """The record of the same scan, sent before."""
    if first.fingerprint != scan.fingerprint:
        raise InvalidArgument(
            "REQUEST_ID_REUSED",
            "this request_id was used for another request",
            fields=[FieldFault("request_id", "was used for another request; take a new one")],
        )
    if ticket is not None and first.outcome is CheckInOutcome.ADMITTED:
        ticket = _let_in(ticket, first)
    return Recorded(first, ticket, times)


def _let_in(ticket: ScannedTicket, row: CheckIn) -> ScannedTicket:
    time = min(row.scan_time, row.create_time)
    return replace(ticket, state=TicketState.CHECKED_IN, check_in_time=time, check_in_place=row.place)


def _ticket(row: Any) -> ScannedTicket:
    return ScannedTicket(**{**row._mapping, "state": TicketState(row.state)})  # noqa: SLF001 - SQLAlchemy's own name


def _doors(policy: DoorPolicy, start: str, end: str | None, state: int, event_state: int) -> DoorTimes:
    cancelled = state == PerformanceState.CANCELLED or event_state == EventState.CANCELLED
    end_time = None if end is None else datetime.fromisoformat(end)
    return door_times(policy, datetime.fromisoformat(start), end_time, cancelled=cancelled)


_TIMES: Final = ("scan_time", "create_time", "first_time")
_IDS: Final = ("id", "ticket_id", "booking_id", "actor_id")
_COLUMNS: Final = tuple(column.key for column in CheckIn.__table__.columns if column.key != "reason")


def _check_in(row: dict[str, Any]) -> CheckIn:
    """A row that came as JSON."""
    values = dict(row)
    values.update({name: row[name] and datetime.fromisoformat(row[name]) for name in _TIMES})
    values.update({name: row[name] and UUID(row[name]) for name in _IDS})
    values["outcome"] = CheckInOutcome(row["outcome"])
    values["fingerprint"] = bytes.fromhex((row["fingerprint"] or "").removeprefix("\\x"))
    return CheckIn(**values)


def _column_values(row: CheckIn) -> dict[str, Any]:
    """The row as JSON for ``_WRITE``."""
    values = {name: getattr(row, name) for name in _COLUMNS}
    values.update({name: values[name] and values[name].isoformat() for name in _TIMES})
    values.update({name: values[name] and str(values[name]) for name in _IDS})
    values["fingerprint"] = (row.fingerprint or b"").hex()
    return values
