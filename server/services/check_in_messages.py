"""Scans and entry lists as doors and staff see them, and scans that let nobody in as refusals."""

from typing import Final
from uuid import UUID

from rowlock.v1 import ticket_pb2 as pb
from server import resources
from server.db.models.check_ins import CheckIn
from server.domain.check_in_rules import DoorTimes, Scan, ScannedTicket
from server.domain.check_ins import Scanned
from server.domain.entry_lists import Entries
from server.domain.signing_keys import Keys
from server.errors import FailedPrecondition
from server.seats.hall import Hall
from server.services.wire import timestamp
from server.states import CheckInOutcome

ENTRY_LIST_PURPOSE: Final = b"rowlock entry list\0"


def check_in_message(row: CheckIn | Scanned) -> pb.CheckIn:
    """A scan as staff see it."""
    return pb.CheckIn(
        name=resources.check_in(row.performance_id, row.id),
        ticket=_ticket_name(row.performance_id, row.booking_id, row.ticket_id),
        outcome=pb.CheckIn.Outcome.ValueType(row.outcome),
        conflict=row.conflict,
        offline=row.offline,
        admitted=row.admitted,
        place=row.place,
        device=row.device,
        scan_time=timestamp(row.scan_time),
        create_time=timestamp(row.create_time),
        first_check_in_time=timestamp(row.first_time),
        first_check_in_place=row.first_place or "",
        reason=row.reason,
        actor="" if row.actor_id is None else resources.user(row.actor_id),
    )


def scanned_ticket_message(ticket: ScannedTicket, hall: Hall, code: str) -> pb.Ticket:
    """A ticket after its scan; ``code`` is empty for those who may not have it."""
    return pb.Ticket(
        name=resources.ticket(ticket.performance_id, ticket.booking_id, ticket.id),
        booking=resources.booking(ticket.performance_id, ticket.booking_id),
        seat=hall.places[ticket.place].id,
        index=ticket.place,
        ticket_type=resources.ticket_type(ticket.performance_id, ticket.ticket_type_id),
        code=code,
        state=pb.Ticket.State.ValueType(ticket.state),
        check_in_time=timestamp(ticket.check_in_time),
        check_in_place=ticket.check_in_place or "",
        create_time=timestamp(ticket.create_time),
    )


def refusal(row: Scanned, scan: Scan, doors: DoorTimes) -> FailedPrecondition:
    """Why a scan let nobody in."""
    match row.outcome:
        case CheckInOutcome.ALREADY_CHECKED_IN:
            time = row.first_time.isoformat() if row.first_time else ""
            where = row.first_place or ""
            return FailedPrecondition(
                "ALREADY_CHECKED_IN",
                f"the ticket let somebody in at {time}" + (f", {where}" if where else ""),
                check_in_time=time,
                check_in_place=where,
            )
        case CheckInOutcome.TICKET_VOID:
            return FailedPrecondition("TICKET_VOID", "the ticket is void: its booking was cancelled")
        case CheckInOutcome.WRONG_PERFORMANCE:
            other = resources.performance(scan.ticket_performance_id)
            return FailedPrecondition("TICKET_WRONG_PERFORMANCE", f"the ticket is for {other}", performance=other)
        case CheckInOutcome.PERFORMANCE_CANCELLED:
            return FailedPrecondition("PERFORMANCE_CANCELLED", "the performance was cancelled")
        case CheckInOutcome.DOORS_NOT_OPEN:
            time = doors.open_time.isoformat()
            return FailedPrecondition("DOORS_NOT_OPEN", f"the doors open at {time}", doors_open_time=time)
        case CheckInOutcome.DOORS_CLOSED:
            time = doors.close_time.isoformat()
            return FailedPrecondition("DOORS_CLOSED", f"the doors closed at {time}", doors_close_time=time)
    raise AssertionError(row.outcome)


def entry_list_message(entries: Entries, keys: Keys) -> pb.EntryList:
    """An entry list, signed with the key of the moment."""
    content = pb.EntryListContent(
        performance=resources.performance(entries.performance_id),
        revision=entries.revision,
        since_revision=entries.since_revision,
        create_time=timestamp(entries.create_time),
        digests=entries.digests,
        places=entries.places,
        states=entries.states,
        ticket_types=entries.ticket_types,
        ticket_type_indexes=entries.ticket_type_indexes,
    ).SerializeToString()
    return pb.EntryList(
        content=content,
        signature=keys.signing_key.sign(ENTRY_LIST_PURPOSE + content),
        key_id=keys.signing_kid,
    )


def _ticket_name(performance_id: int, booking_id: UUID | None, ticket_id: UUID | None) -> str:
    if booking_id is None or ticket_id is None:
        return ""
    return resources.ticket(performance_id, booking_id, ticket_id)
