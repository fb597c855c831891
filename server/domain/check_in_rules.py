"""What becomes of a scan at the door: a pure function of the ticket, the performance and the time.

One ticket lets in once (S10). Of two scans the one that is recorded first counts, whatever the clocks of the doors
say: an "OK, come in" that a door was given is never taken back because another door turns up with an earlier time.
What that means for doors without a connection: somebody whom such a door let in, and whom the record does not allow,
is a conflict. It cannot be undone by refusing it, so it is kept for staff to see.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from server.domain.staff_records import StaffRecord
from server.states import CheckInOutcome, TicketState


@dataclass(frozen=True, slots=True)
class Scan:
    """One ticket held to one scanner.

    Attributes:
        performance_id: which performance the door lets in.
        ticket_id: which ticket; None: what was scanned is no ticket of ours.
        ticket_performance_id: whose ticket it says it is.
        nonce: of the code; None: staff looked the ticket up, so nothing has to be proved.
        booking_id: whose ticket it was looked up as; None: a code was scanned.
        place: how the gate calls itself.
        actor_id: who scans, or who answers for the device.
        scope: whose ``request_id`` it is; None: there is none.
        request_id: by which the scan is known again.
        fingerprint: of the request that it came with.
        device: of a scan without a connection, how the device calls itself.
        offline_time: when it was scanned, by the clock of a device without a connection; None: it happens now.
        let_in: whether that device let the bearer in.
        record: what is to be recorded of staff if it lets somebody in; None: nothing.
    """

    performance_id: int
    ticket_id: UUID | None
    ticket_performance_id: int
    nonce: UUID | None
    place: str
    actor_id: UUID
    booking_id: UUID | None = None
    scope: str | None = None
    request_id: str | None = None
    fingerprint: bytes = b""
    device: str = ""
    offline_time: datetime | None = None
    let_in: bool = False
    record: StaffRecord | None = None


@dataclass(frozen=True, slots=True)
class ScannedTicket:
    """A ticket under its lock. ``round`` counts the check-ins of it that were undone."""

    performance_id: int
    id: UUID
    booking_id: UUID
    place: int
    ticket_type_id: int
    nonce: UUID
    state: TicketState
    create_time: datetime
    check_in_time: datetime | None
    check_in_place: str | None
    round: int = 0


@dataclass(frozen=True, slots=True)
class DoorPolicy:
    """When doors are open: so long before the start, and until the end, or so long after the start if it has none."""

    open_before: timedelta
    close_after: timedelta


@dataclass(frozen=True, slots=True)
class DoorTimes:
    """When the doors of one performance open and close; ``cancelled``: they stay closed."""

    open_time: datetime
    close_time: datetime
    cancelled: bool


def door_times(policy: DoorPolicy, start_time: datetime, end_time: datetime | None, *, cancelled: bool) -> DoorTimes:
    """When to let people into a performance."""
    return DoorTimes(start_time - policy.open_before, end_time or start_time + policy.close_after, cancelled)


def decide(scan: Scan, ticket: ScannedTicket | None, doors: DoorTimes, now: datetime) -> CheckInOutcome:
    """What the scan comes to. ``ticket``: the one that it names, if it is of the door's performance.

    The hours of the doors bind only scans that happen now: what a door without a connection has done, it has done.
    """
    offline = scan.offline_time is not None
    if offline and not scan.let_in:
        return CheckInOutcome.TURNED_AWAY
    if scan.ticket_id is not None and scan.ticket_performance_id != scan.performance_id:
        return CheckInOutcome.WRONG_PERFORMANCE
    if ticket is None or scan.nonce not in (None, ticket.nonce) or scan.booking_id not in (None, ticket.booking_id):
        return CheckInOutcome.UNKNOWN_TICKET
    return _at_the_door(ticket, doors, None if offline else now)


def _at_the_door(ticket: ScannedTicket, doors: DoorTimes, now: datetime | None) -> CheckInOutcome:
    """What a ticket of the performance comes to; ``now`` None: whatever the hour."""
    if doors.cancelled:
        return CheckInOutcome.PERFORMANCE_CANCELLED
    if ticket.state is TicketState.VOID:
        return CheckInOutcome.TICKET_VOID
    if ticket.state is TicketState.CHECKED_IN:
        return CheckInOutcome.ALREADY_CHECKED_IN
    if now is not None and now < doors.open_time:
        return CheckInOutcome.DOORS_NOT_OPEN
    if now is not None and now >= doors.close_time:
        return CheckInOutcome.DOORS_CLOSED
    return CheckInOutcome.ADMITTED
