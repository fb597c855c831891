"""What a booking request asks for, from names to the ledger's places.

Everything that is wrong with it whatever the state of the seats is said here, with the field that is at fault.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from rowlock.v1 import booking_pb2 as pb
from server import resources
from server.errors import FieldFault, InvalidArgument, NotFound, PermissionDenied, RowlockError
from server.seats.commands import BestAvailable, Claim, GeneralAdmission, Want
from server.seats.hall import Hall
from server.seats.rules import SaleRules

MAX_PLACES: Final = 50


def requested(request: pb.CreateBookingRequest, rules: SaleRules) -> tuple[tuple[Claim, ...], tuple[Want, ...]]:
    """The named places and the wishes of a request: either seats and general admission, or best available.

    Raises:
        InvalidArgument: nothing is asked for, or both ways are mixed; more than 50 places; what ``claims`` raises;
            a zone, section or area that the hall does not have.
    """
    by_name = bool(request.seats or request.general_admission)
    if by_name == request.HasField("best_available"):
        fault = "must come alone, without seats and general_admission" if by_name else "or seats must be given"
        raise InvalidArgument.of("best_available", fault)
    if not by_name:
        return (), (_best_available(request.best_available, rules),)
    named = claims(request.seats, rules)
    wants = tuple(_general_admission(want, rules, n) for n, want in enumerate(request.general_admission))
    if len(named) + sum(want.quantity for want in wants) > MAX_PLACES:
        raise InvalidArgument.of("general_admission", f"a booking begins with at most {MAX_PLACES} places")
    return named, wants


def claims(seats: Sequence[pb.SeatClaim], rules: SaleRules) -> tuple[Claim, ...]:
    """The claimed places.

    Raises:
        InvalidArgument: SEAT_UNKNOWN, a seat named twice, or a ticket type of another performance.
    """
    places = _indexes([claim.seat for claim in seats], rules.hall, "seats[{}].seat")
    kinds = [
        _ticket_type(kind, rules.performance_id, f"seats[{n}].ticket_type") if kind else None
        for n, kind in enumerate([claim.ticket_type for claim in seats])
    ]
    return tuple(map(Claim, places, kinds))


def places_of(seat_ids: Sequence[str], rules: SaleRules) -> tuple[int, ...]:
    """The indexes of places.

    Raises:
        InvalidArgument: SEAT_UNKNOWN, or a seat named twice.
    """
    return tuple(_indexes(seat_ids, rules.hall, "seats[{}]"))


def allocation_of(request: pb.CreateBookingRequest, performance_id: int, *, staff: bool) -> UUID | None:
    """The allocation whose places are meant, too.

    Raises:
        InvalidArgument: it is of another performance.
        PermissionDenied: only staff sell what was set aside.
    """
    if not request.allocation:
        return None
    if not staff:
        raise PermissionDenied("PERMISSION_DENIED", "only staff sell what was set aside")
    owner, allocation_id = resources.parse_allocation(request.allocation, "allocation")
    if owner != performance_id:
        raise InvalidArgument.of("allocation", "is of another performance")
    return allocation_id


def tickets_of(request: pb.RefundTicketsRequest) -> tuple[UUID, ...]:
    """The ids of the tickets that are named.

    Raises:
        NotFound: one is of another booking.
    """
    booking = resources.parse_booking(request.name)
    ids = []
    for n, name in enumerate(request.tickets):
        performance_id, booking_id, ticket_id = resources.parse_ticket(name, f"tickets[{n}]")
        if (performance_id, booking_id) != booking:
            raise NotFound.of(name)
        ids.append(ticket_id)
    return tuple(ids)


def _indexes(seat_ids: Sequence[str], hall: Hall, field: str) -> list[int]:
    found = [hall.index_of.get(seat) for seat in seat_ids]
    places = [place for place in found if place is not None]
    if len(set(places)) < len(places):
        again = next(n for n, place in enumerate(found) if place is not None and place in found[:n])
        raise InvalidArgument.of(field.format(again), "names a seat a second time")
    if len(places) < len(found):
        raise _seat_unknown([(n, seat_ids[n]) for n, place in enumerate(found) if place is None], field)
    return places


def _seat_unknown(unknown: Sequence[tuple[int, str]], field: str) -> RowlockError:
    return InvalidArgument(
        "SEAT_UNKNOWN",
        "the hall of this performance has no such seat",
        fields=[FieldFault(field.format(n), "is not a seat of this hall") for n, _ in unknown],
        # Errors stay small whatever was sent: 50 ids of 128 characters would not.
        seats=",".join(seat[:40] for _, seat in unknown[:10]),
    )


def _ticket_type(name: str, performance_id: int, field: str) -> int | None:
    if not name:
        return None
    owner, ticket_type_id = resources.parse_ticket_type(name, field)
    if owner != performance_id:
        raise InvalidArgument.of(field, "is a ticket type of another performance")
    return ticket_type_id


def _best_available(want: pb.BestAvailable, rules: SaleRules) -> BestAvailable:
    if want.zone and want.zone not in rules.hall.places_by_zone:
        raise InvalidArgument.of("best_available.zone", "is not a zone of this hall")
    if want.section and want.section not in {section.name for section in rules.hall.sections}:
        raise InvalidArgument.of("best_available.section", "is not a section of this hall")
    return BestAvailable(
        quantity=want.quantity,
        ticket_type_id=_ticket_type(want.ticket_type, rules.performance_id, "best_available.ticket_type"),
        zone=want.zone,
        section=want.section,
    )


def _general_admission(want: pb.GeneralAdmissionClaim, rules: SaleRules, n: int) -> GeneralAdmission:
    field = f"general_admission[{n}]"
    if want.area and want.area not in rules.hall.area_by_id:
        raise InvalidArgument.of(f"{field}.area", "is not an area of this hall")
    return GeneralAdmission(
        quantity=want.quantity,
        ticket_type_id=_ticket_type(want.ticket_type, rules.performance_id, f"{field}.ticket_type"),
        area=want.area,
    )
