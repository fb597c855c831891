"""Recording scans: under the lock of their tickets, any number at once, each with its outcome as a row of its own.

Scans of many doors travel in one transaction of three statements: lock the tickets in the order of (performance,
id); read what else decides, after the locks; write all rows and let all tickets in. A scan is known again by its
scope and request_id, so one that is sent twice ends as it did the first time. Two processes that record one
request_id for two tickets at the same moment meet at a unique index: the loser starts again and finds the first.

Online, a scan of no ticket at all leaves no row; whatever a door did without a connection leaves one.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from server import resources
from server.db.ids import new_id
from server.domain import staff_actions
from server.domain.check_in_rules import DoorPolicy, DoorTimes, Scan, ScannedTicket, decide, door_times
from server.domain.staff_records import StaffRecord
from server.errors import FieldFault, InvalidArgument, NotFound, RowlockError
from server.states import CheckInOutcome, EventState, PerformanceState, TicketState

_LOCK_TEXT: Final = """
SELECT t.performance_id, t.id, t.booking_id, t.place, t.ticket_type_id, t.nonce, t.state, t.create_time,
       t.check_in_time, t.check_in_place
FROM unnest(CAST(:performances AS bigint[]), CAST(:tickets AS uuid[])) AS w(performance_id, id)
JOIN tickets t ON t.performance_id = w.performance_id AND t.id = w.id
ORDER BY t.performance_id, t.id
FOR NO KEY UPDATE OF t
"""
_LOCK: Final = text(_LOCK_TEXT)
_LOCK_IMPATIENTLY: Final = text(f"SET LOCAL lock_timeout = '250ms'; {_LOCK_TEXT}")

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
class Scanned:
    """A row of ``check_ins`` as a value: an ORM object for each scan would take half of the time of recording it."""

    performance_id: int
    id: UUID
    ticket_id: UUID | None
    booking_id: UUID | None
    outcome: CheckInOutcome
    round: int
    offline: bool
    admitted: bool
    conflict: bool
    place: str
    device: str
    scan_time: datetime
    create_time: datetime
    first_time: datetime | None
    first_place: str | None
    actor_id: UUID | None
    scope: str | None
    request_id: str | None
    fingerprint: bytes | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A scan on record: the row, the ticket as it stands after it, and when the doors are open.

    ``ticket`` is None where the scan was of no ticket of the performance.
    """

    check_in: Scanned
    ticket: ScannedTicket | None
    doors: DoorTimes


def record(
    session: Session, scans: Sequence[Scan], policy: DoorPolicy, *, patient: bool = True
) -> list[Recorded | RowlockError]:
    """Record scans, in order: of two scans of one ticket the first one counts.

    Args:
        session: a transaction.
        scans: of any performances.
        policy: when doors are open.
        patient: whether to wait for a ticket that somebody else has locked, or hardly at all.

    Returns:
        For each scan its record, or why there is none: NotFound (no such performance, or, online, no such ticket) or
        InvalidArgument (REQUEST_ID_REUSED).

    Raises:
        IntegrityError: another process recorded one of the request ids meanwhile; start again.
    """
    tickets = lock_tickets(
        session,
        (
            (scan.performance_id, scan.ticket_id)
            for scan in scans
            if scan.ticket_id is not None and scan.ticket_performance_id == scan.performance_id
        ),
        patient=patient,
    )
    now, doors, earlier, tickets = _read(session, scans, policy, tickets)
    outcomes: list[Recorded | RowlockError] = []
    rows: list[Scanned] = []
    records: list[StaffRecord] = []
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
        if scan.record is not None and row.outcome is CheckInOutcome.ADMITTED and recorded.ticket is not None:
            of_ticket = resources.ticket(row.performance_id, recorded.ticket.booking_id, recorded.ticket.id)
            names = dict.fromkeys((*scan.record.resources, of_ticket))
            records.append(replace(scan.record, resources=tuple(names)))
        if recorded.ticket is not None:
            tickets[row.performance_id, recorded.ticket.id] = recorded.ticket
    if rows:
        session.execute(_WRITE, {"rows": json.dumps([_column_values(row) for row in rows])})
    staff_actions.write(session, records)
    return outcomes


_Tickets = dict[tuple[int, UUID], ScannedTicket]
_Earlier = dict[tuple[int, str, str], Scanned]


def lock_tickets(
    session: Session, keys: Iterable[tuple[int, UUID]], *, patient: bool = True
) -> dict[tuple[int, UUID], ScannedTicket]:
    """Lock tickets, named by (performance, ticket), in that order; absent ones are left out."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    rows = session.execute(
        _LOCK if patient else _LOCK_IMPATIENTLY,
        {"performances": [p for p, _ in wanted], "tickets": [str(t) for _, t in wanted]},
    )
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
    row = Scanned(
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


def _again(scan: Scan, first: Scanned, ticket: ScannedTicket | None, times: DoorTimes) -> Recorded:
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


def _let_in(ticket: ScannedTicket, row: Scanned) -> ScannedTicket:
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
_COLUMNS: Final = tuple(field.name for field in fields(Scanned) if field.name != "reason")


def _check_in(row: dict[str, Any]) -> Scanned:
    """A row that came as JSON."""
    values = dict(row)
    values.update({name: row[name] and datetime.fromisoformat(row[name]) for name in _TIMES})
    values.update({name: row[name] and UUID(row[name]) for name in _IDS})
    values["outcome"] = CheckInOutcome(row["outcome"])
    values["fingerprint"] = bytes.fromhex((row["fingerprint"] or "").removeprefix("\\x"))
    return Scanned(**values)


def _column_values(row: Scanned) -> dict[str, Any]:
    """The row as JSON for ``_WRITE``."""
    values = {name: getattr(row, name) for name in _COLUMNS}
    values.update({name: values[name] and values[name].isoformat() for name in _TIMES})
    values.update({name: values[name] and str(values[name]) for name in _IDS})
    values["fingerprint"] = (row.fingerprint or b"").hex()
    return values
