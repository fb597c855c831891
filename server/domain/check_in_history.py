"""What happened at the doors, for staff: scans are listed, and a check-in is taken back where somebody erred."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.ids import new_id
from server.db.models.catalogue import Performance
from server.db.models.check_ins import CheckIn
from server.domain.check_in_rules import ScannedTicket
from server.domain.check_ins import lock_tickets
from server.domain.rows import count
from server.errors import FailedPrecondition, NotFound
from server.states import CheckInOutcome, TicketState


@dataclass(frozen=True, slots=True)
class CheckInPage:
    """Scans, newest first, and how many there are on all pages."""

    check_ins: Sequence[CheckIn]
    total: int


def undo(
    session: Session, performance_id: int, booking_id: UUID, ticket_id: UUID, *, reason: str, actor_id: UUID
) -> ScannedTicket:
    """Take a check-in back: the ticket lets in again, and the record says who did that (``actor_id``) and why.

    Raises:
        NotFound: no such ticket.
        FailedPrecondition: TICKET_VOID, or TICKET_NOT_CHECKED_IN.
    """
    ticket = lock_tickets(session, [(performance_id, ticket_id)]).get((performance_id, ticket_id))
    if ticket is None or ticket.booking_id != booking_id:
        raise NotFound.of(resources.ticket(performance_id, booking_id, ticket_id))
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
    after: UUID | None,
    limit: int,
) -> CheckInPage:
    """Scans of a performance's doors that meet every condition which is not None, newest first.

    Args:
        session: a transaction.
        performance_id: the performance.
        outcome: which came to this.
        ticket_id: of this ticket.
        only_conflicts: only where somebody was let in who should not have been.
        after: id of the last one of the page before.
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
        query = query.where(CheckIn.id < after)
    # Ids lead with the time, and the key leads with the performance: no page sorts all scans of an evening.
    rows = session.scalars(query.order_by(CheckIn.id.desc()).limit(limit)).all()
    return CheckInPage(rows, total)
