"""What documents of tickets are made of, read in three statements however many tickets they are."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from server import resources
from server.db.models.catalogue import Event, Performance, TicketType, Venue
from server.db.models.inventory import Booking, Ticket
from server.domain.bookings import get_ticket
from server.domain.signing_keys import Keys
from server.errors import FailedPrecondition, NotFound
from server.seats.halls import Halls
from server.states import TicketState
from server.tickets.admission import Admission
from server.tickets.codes import ticket_code


def admissions(session: Session, performance_id: int, booking_id: UUID, *, keys: Keys, halls: Halls) -> list[Admission]:
    """The tickets of a booking that are not void, in the order of their places; none if it has none (any more).

    Args:
        session: a transaction.
        performance_id: of the booking.
        booking_id: the booking.
        keys: sign the codes.
        halls: the halls of this process.
    """
    tickets = session.scalars(
        select(Ticket)
        .where(
            Ticket.performance_id == performance_id,
            Ticket.booking_id == booking_id,
            Ticket.state != TicketState.VOID,
        )
        .order_by(Ticket.place)
    ).all()
    return _admissions(session, tickets, keys=keys, halls=halls)


def admission(
    session: Session,
    performance_id: int,
    booking_id: UUID,
    ticket_id: UUID,
    *,
    owner: UUID | None,
    keys: Keys,
    halls: Halls,
) -> Admission:
    """One ticket, for its owner; ``owner`` None: for staff.

    Raises:
        NotFound: absent, or not the owner's.
        FailedPrecondition: TICKET_VOID.
    """
    ticket = get_ticket(session, performance_id, booking_id, ticket_id, owner)
    if ticket.state is TicketState.VOID:
        raise FailedPrecondition("TICKET_VOID", "the ticket is void: it admits nobody")
    (found,) = _admissions(session, [ticket], keys=keys, halls=halls)
    return found


def _admissions(session: Session, tickets: Sequence[Ticket], *, keys: Keys, halls: Halls) -> list[Admission]:
    """What is printed on tickets of one booking."""
    if not tickets:
        return []
    performance_id, booking_id = tickets[0].performance_id, tickets[0].booking_id
    booking = session.get(Booking, (performance_id, booking_id))
    if booking is None:
        raise NotFound.of(resources.booking(performance_id, booking_id))
    performance, event, venue = session.execute(
        select(Performance, Event, Venue)
        .join(Event, Event.id == Performance.event_id)
        .join(Venue, Venue.id == Performance.venue_id)
        .where(Performance.id == performance_id)
    ).one()
    hall = halls.get(session, performance.seat_map_id, performance.seat_map_version)
    types = session.scalars(select(TicketType).where(TicketType.performance_id == performance_id))
    names = {kind.id: kind.display_name for kind in types}
    prices = dict(zip(booking.places, booking.prices, strict=True))
    end_time = performance.end_time
    if end_time is None and event.running_time is not None:
        end_time = performance.start_time + event.running_time
    made = []
    for ticket in tickets:
        place = hall.places[ticket.place]
        made.append(
            Admission(
                ticket=resources.ticket(performance_id, booking_id, ticket.id),
                booking=resources.booking(performance_id, booking_id),
                code=ticket_code(keys, performance_id, ticket.id, ticket.nonce),
                event=event.title,
                venue=venue.display_name,
                address=venue.address,
                hall=performance.hall,
                start_time=performance.start_time,
                end_time=end_time,
                time_zone=performance.time_zone,
                section=place.section,
                row=place.row,
                seat=place.number,
                area=place.area,
                ticket_type=names.get(ticket.ticket_type_id, ""),
                price=prices.get(ticket.place, 0),
                currency=booking.currency,
                create_time=ticket.create_time,
            )
        )
    return made
