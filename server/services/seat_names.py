"""Seats as staff name them for blocking: ids to places of a performance that is not cancelled."""

from collections.abc import Sequence

from server import resources
from server.db.engine import Database
from server.domain import performances
from server.domain.rows import found
from server.errors import FailedPrecondition, FieldFault, InvalidArgument
from server.seats.hall import Hall
from server.seats.ledger import Ledger
from server.states import PerformanceState


async def places_of_performance(
    database: Database, ledger: Ledger, performance_id: int, seat_ids: Sequence[str], *, field: str = "seats"
) -> tuple[tuple[int, ...], Hall]:
    """The indexes of named places of a performance that is not cancelled, and the hall that they are of.

    Args:
        database: where the performance is.
        ledger: knows its hall.
        performance_id: the performance.
        seat_ids: as callers name them.
        field: where the request has them.

    Raises:
        NotFound: no such performance.
        FailedPrecondition: PERFORMANCE_CANCELLED.
        InvalidArgument: SEAT_UNKNOWN, naming every one.
    """
    performance = await database.read(
        lambda session: performances.require_readable(session, performance_id, staff=True)
    )
    if performance.state is PerformanceState.CANCELLED:
        raise FailedPrecondition("PERFORMANCE_CANCELLED", "the performance was cancelled")
    rules = await ledger.rules(performance_id, fresh=True)
    hall = found(rules, resources.performance(performance_id)).hall
    unknown = [seat_id for seat_id in seat_ids if seat_id not in hall.index_of]
    if unknown:
        raise _unknown_seats(seat_ids, unknown, field)
    return tuple(hall.index_of[seat_id] for seat_id in seat_ids), hall


def seat_not_free(refusal: FailedPrecondition) -> FailedPrecondition:
    """What is said where places cannot be blocked: SEAT_NOT_FREE for the ledger's SEAT_TAKEN, else the refusal."""
    if refusal.reason != "SEAT_TAKEN":
        return refusal
    seats = refusal.metadata["seats"]
    return FailedPrecondition("SEAT_NOT_FREE", f"held, sold or set aside: {seats}", seats=seats)


def _unknown_seats(seat_ids: Sequence[str], unknown: Sequence[str], field: str) -> InvalidArgument:
    seats = ",".join(unknown)
    strange = set(unknown)
    fields = [
        FieldFault(f"{field}[{index}]", "is not a seat of this performance")
        for index, seat_id in enumerate(seat_ids)
        if seat_id in strange
    ]
    return InvalidArgument("SEAT_UNKNOWN", f"no such seats: {seats}", fields=fields, seats=seats)
