"""What a claim needs: an open sale, free places, a ticket type for each, and room under every limit. Pure."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from server import resources
from server.errors import FailedPrecondition, InvalidArgument, NotFound, RowlockError
from server.seats.booking import Booking
from server.seats.commands import UNLIMITED, Claim
from server.seats.rules import SaleRules, TicketTypeRule
from server.seats.state import FREE, QuotaChange, SeatRow, State, customer_key, customer_type_key, type_key
from server.states import SeatState


def held_seats(state: State, claims: Iterable[Claim], booking: Booking) -> tuple[tuple[int, SeatRow], ...]:
    """The claimed places as they will stand: held by the booking, and still of their allocations."""
    return claimed_seats(state, (claim.place for claim in claims), booking, SeatState.HELD)


def claimed_seats(
    state: State, places: Iterable[int], booking: Booking, claimed: SeatState
) -> tuple[tuple[int, SeatRow], ...]:
    """Places as they will stand, held by or sold to the booking; one set aside stays of its allocation."""
    plain = SeatRow(claimed, booking.id)
    rows = []
    for place in places:
        allocation_id = state.seats[booking.performance_id, place].allocation_id
        rows.append((place, plain if allocation_id is None else SeatRow(claimed, booking.id, allocation_id)))
    return tuple(rows)


def given_up_seats(state: State, performance_id: int, places: Iterable[int]) -> tuple[tuple[int, SeatRow], ...]:
    """Places as they will stand when their booking gives them up: free, or blocked again for their allocation."""
    rows = []
    for place in places:
        allocation_id = state.seats[performance_id, place].allocation_id
        rows.append((place, FREE if allocation_id is None else SeatRow(SeatState.BLOCKED, None, allocation_id)))
    return tuple(rows)


def open_sale(state: State, performance_id: int) -> SaleRules:
    """The rules of a performance that sells right now.

    Raises:
        NotFound: no such performance.
        FailedPrecondition: PERFORMANCE_CANCELLED, NOT_ON_SALE, SALE_NOT_STARTED or SALE_ENDED.
    """
    rules = state.rules.get(performance_id)
    if rules is None:
        raise NotFound.of(resources.performance(performance_id))
    if rules.cancelled:
        raise FailedPrecondition("PERFORMANCE_CANCELLED", "the performance was cancelled")
    if not rules.on_sale:
        raise FailedPrecondition("NOT_ON_SALE", "this performance is not on sale")
    if state.now < rules.sale_start_time:
        raise FailedPrecondition(
            "SALE_NOT_STARTED",
            f"the sale starts at {rules.sale_start_time.isoformat()}",
            sale_start_time=rules.sale_start_time.isoformat(),
        )
    if state.now >= rules.sale_end_time:
        raise FailedPrecondition("SALE_ENDED", "the sale of this performance has ended")
    return rules


def claimed_types(
    state: State, rules: SaleRules, claims: tuple[Claim, ...], allocation_id: UUID | None = None
) -> list[TicketTypeRule]:
    """The ticket type of each claim, in order; places set aside in the allocation count as free.

    Raises:
        InvalidArgument: no claim at all, or one place twice.
        FailedPrecondition: SEAT_TAKEN naming every place that is not free, NOT_ON_SALE, TICKET_TYPE_ZONE.
        NotFound: a ticket type that this performance does not have.
    """
    if not claims or len({claim.place for claim in claims}) < len(claims):
        raise InvalidArgument.of("seats", "must name at least one seat, and none twice")
    hall = rules.hall
    taken: list[str] = []
    types: list[TicketTypeRule] = []
    for claim in claims:
        row = state.seats.get((rules.performance_id, claim.place))
        if row is None or not _is_free(row, allocation_id):
            taken.append(hall.places[claim.place].id)
        else:
            types.append(_type_for(rules, claim, state.now))
    if taken:
        raise seat_taken(taken)
    if len({kind.currency for kind in types}) > 1:
        raise FailedPrecondition("MIXED_CURRENCIES", "a booking is paid in one currency")
    return types


def _is_free(row: SeatRow, allocation_id: UUID | None) -> bool:
    if row.state is SeatState.BLOCKED:
        return allocation_id is not None and row.allocation_id == allocation_id
    return row.state is SeatState.AVAILABLE


def seat_taken(seat_ids: list[str]) -> RowlockError:
    """The refusal that names every seat which is not free."""
    seats = ",".join(seat_ids)
    return FailedPrecondition("SEAT_TAKEN", f"not free: {seats}", seats=seats)


def _type_for(rules: SaleRules, claim: Claim, now: datetime) -> TicketTypeRule:
    place = rules.hall.places[claim.place]
    if claim.ticket_type_id is None:
        for kind in rules.ticket_types.values():
            if kind.sells(place.zone, now):
                return kind
        raise FailedPrecondition("NOT_ON_SALE", f"no ticket type is on sale for zone {place.zone}", seat=place.id)
    found = rules.ticket_types.get(claim.ticket_type_id)
    if found is None:
        raise NotFound.of(resources.ticket_type(rules.performance_id, claim.ticket_type_id))
    if not found.covers(place.zone):
        raise FailedPrecondition(
            "TICKET_TYPE_ZONE", f"this ticket type is not valid for zone {place.zone}", seat=place.id
        )
    if not found.is_on_sale(now):
        raise FailedPrecondition("NOT_ON_SALE", "this ticket type is not on sale now", seat=place.id)
    return found


def take_quotas(
    state: State, rules: SaleRules, customer_id: UUID, types: list[TicketTypeRule], *, unlimited: bool
) -> tuple[QuotaChange, ...]:
    """What a claim of one place per member of ``types`` takes from the limits.

    Raises:
        FailedPrecondition: CUSTOMER_LIMIT_REACHED, TICKET_TYPE_SOLD_OUT or TICKET_TYPE_LIMIT_REACHED.
    """
    performance_id = rules.performance_id
    key = customer_key(customer_id)
    limit = UNLIMITED if unlimited else rules.customer_limit
    used = state.quotas.get((performance_id, key), 0)
    if used + len(types) > limit:
        raise FailedPrecondition(
            "CUSTOMER_LIMIT_REACHED",
            f"at most {limit} places for each customer; {used} held or bought already",
            limit=str(limit),
            used=str(used),
        )
    changes = [QuotaChange(key, len(types), limit)]
    counts: dict[int, int] = {}
    for kind in types:
        counts[kind.id] = counts.get(kind.id, 0) + 1
    for kind_id, count in counts.items():
        kind = rules.ticket_types[kind_id]
        changes.append(_take_type(state, performance_id, kind, count))
        if kind.customer_limit is not None and not unlimited:
            changes.append(_take_type_of_customer(state, performance_id, kind, count, customer_id))
    return tuple(changes)


def _take_type(state: State, performance_id: int, kind: TicketTypeRule, count: int) -> QuotaChange:
    key = type_key(kind.id)
    if kind.quantity is None:
        return QuotaChange(key, count)
    left = kind.quantity - state.quotas.get((performance_id, key), 0)
    if count > left:
        raise FailedPrecondition(
            "TICKET_TYPE_SOLD_OUT",
            f"not enough tickets: {max(left, 0)} left of this ticket type",
            ticket_type=resources.ticket_type(performance_id, kind.id),
            available=str(max(left, 0)),
        )
    return QuotaChange(key, count, kind.quantity)


def _take_type_of_customer(
    state: State, performance_id: int, kind: TicketTypeRule, count: int, customer_id: UUID
) -> QuotaChange:
    key = customer_type_key(customer_id, kind.id)
    limit = kind.customer_limit or 0
    used = state.quotas.get((performance_id, key), 0)
    if used + count > limit:
        raise FailedPrecondition(
            "TICKET_TYPE_LIMIT_REACHED",
            f"at most {limit} places of this ticket type for each customer; {used} held or bought already",
            ticket_type=resources.ticket_type(performance_id, kind.id),
            limit=str(limit),
        )
    return QuotaChange(key, count, limit)


def give_back_quotas(state: State, booking: Booking, ticket_type_ids: Iterable[int]) -> tuple[QuotaChange, ...]:
    """What places of ``booking`` that are given up return to the limits."""
    performance_id = booking.performance_id
    counts = Counter(ticket_type_ids)
    if not counts:
        return ()
    changes = [QuotaChange(customer_key(booking.customer_id), -counts.total())]
    for kind, count in counts.items():
        changes.append(QuotaChange(type_key(kind), -count))
        key = customer_type_key(booking.customer_id, kind)
        # A type limits its customers or does not; only then was anything counted under this key.
        counted = min(count, state.quotas.get((performance_id, key), 0))
        if counted:
            changes.append(QuotaChange(key, -counted))
    return tuple(changes)
