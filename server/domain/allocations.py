"""Allocations as staff read and change them. Their places are the seat ledger's: see ``server.seats``.

An allocation is made and ended by commands to the ledger (``Block`` with an owner, ``Release``), so that its row and
the seats that name it change in one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_, update
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now, statement_time
from server.db.models.box_office import Allocation
from server.db.models.catalogue import Performance
from server.db.models.inventory import CommandLog, Seat
from server.domain.etags import require_current
from server.domain.rows import count, found
from server.errors import FailedPrecondition, InvalidArgument, NotFound
from server.states import AllocationState, SeatState


@dataclass(frozen=True, slots=True)
class AllocationView:
    """An allocation, its places in the seat map's order, and how many of them are still blocked for it."""

    allocation: Allocation
    places: Sequence[int]
    blocked: int


@dataclass(frozen=True, slots=True)
class AllocationChange:
    """What is to be written; None leaves a value as it is."""

    owner: str | None = None
    note: str | None = None
    release_time: datetime | None = None
    releases_at_start: bool = False
    """Whether the release time is to be the performance's start, whatever ``release_time`` says."""


@dataclass(frozen=True, slots=True)
class AllocationPage:
    """Allocations, newest first, and how many there are on all pages."""

    rows: Sequence[AllocationView]
    total: int


def release_time_of(session: Session, performance_id: int, wanted: datetime | None) -> datetime:
    """When an allocation is to be released by itself: as wanted, or at the performance's start.

    Raises:
        NotFound: no such performance.
        InvalidArgument: the time is after the start.
    """
    performance = session.get(Performance, performance_id)
    if performance is None:
        raise NotFound.of(resources.performance(performance_id))
    if wanted is None:
        return performance.start_time
    if wanted > performance.start_time:
        raise InvalidArgument.of("allocation.release_time", "is after the performance's start")
    return wanted


def get(session: Session, performance_id: int, allocation_id: UUID) -> AllocationView:
    """An allocation.

    Raises:
        NotFound: there is none.
    """
    query = _with_places().where(Allocation.performance_id == performance_id, Allocation.id == allocation_id)
    row = session.execute(query).one_or_none()
    return _view(found(row, resources.allocation(performance_id, allocation_id)))


def made_by(session: Session, performance_id: int, actor_id: UUID, request_id: str) -> UUID | None:
    """The allocation that a request made when it came first."""
    return session.scalar(
        select(CommandLog.subject_id).where(
            CommandLog.performance_id == performance_id,
            CommandLog.actor_id == actor_id,
            CommandLog.request_id == request_id,
        )
    )


def list_allocations(
    session: Session,
    *,
    performance_id: int | None,
    state: AllocationState | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> AllocationPage:
    """Allocations that meet every condition which is not None, newest first.

    Args:
        session: a transaction.
        performance_id: of this performance.
        state: in this state.
        after: (create_time, id) of the last one of the page before.
        limit: how many at most.
    """
    conditions = []
    if performance_id is not None:
        conditions.append(Allocation.performance_id == performance_id)
    if state is not None:
        conditions.append(Allocation.state == state)
    total = count(session, select(Allocation).where(*conditions))
    query = _with_places().where(*conditions)
    if after is not None:
        query = query.where(tuple_(Allocation.create_time, Allocation.id) < after)
    rows = session.execute(query.order_by(Allocation.create_time.desc(), Allocation.id.desc()).limit(limit))
    return AllocationPage([_view(row) for row in rows], total)


def change(
    session: Session, performance_id: int, allocation_id: UUID, values: AllocationChange, etag: str
) -> AllocationView:
    """Change what is said of a live allocation.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: ALLOCATION_RELEASED.
        InvalidArgument: the release time is over, or after the start.
    """
    allocation = session.get(
        Allocation, (performance_id, allocation_id), with_for_update={"key_share": True}, populate_existing=True
    )
    allocation = found(allocation, resources.allocation(performance_id, allocation_id))
    require_current(etag, allocation.version)
    if allocation.state is AllocationState.RELEASED:
        ended = allocation.end_time.isoformat() if allocation.end_time else ""
        raise FailedPrecondition("ALLOCATION_RELEASED", f"its places went on sale at {ended}", end_time=ended)
    if values.owner is not None:
        allocation.owner = values.owner
    if values.note is not None:
        allocation.note = values.note
    if values.release_time is not None or values.releases_at_start:
        allocation.release_time = release_time_of(session, performance_id, values.release_time)
        if allocation.release_time <= database_now(session):
            raise InvalidArgument.of("allocation.release_time", "is over")
    allocation.version += 1
    allocation.update_time = database_now(session)
    session.flush()
    return get(session, performance_id, allocation_id)


def move_releases(session: Session, performance_id: int, start: datetime, new_start: datetime) -> None:
    """Have what was to be released at the start, or would be after it, be released at the new start.

    Call it before ``touch_rules``: the ledger locks allocations before inventories.
    """
    if new_start == start:
        return
    follows = (Allocation.release_time == start) | (Allocation.release_time > new_start)
    session.execute(
        update(Allocation)
        .where(Allocation.performance_id == performance_id, Allocation.state == AllocationState.LIVE, follows)
        .values(release_time=new_start, version=Allocation.version + 1, update_time=func.clock_timestamp()),
        execution_options={"synchronize_session": False},
    )


def due_allocations(session: Session, limit: int) -> Sequence[tuple[int, UUID]]:
    """(performance, allocation) of those whose time has come, the longest overdue first."""
    rows = session.execute(
        select(Allocation.performance_id, Allocation.id)
        .where(Allocation.state == AllocationState.LIVE, Allocation.release_time <= statement_time())
        .order_by(Allocation.release_time)
        .limit(limit)
    )
    return [(performance_id, allocation_id) for performance_id, allocation_id in rows]


def _with_places() -> Select[Allocation, list[int] | None, int]:
    """Each allocation with its places: one statement, however many there are."""
    places = (
        select(
            func.array_agg(Seat.place.op("ORDER BY")(Seat.place)).label("places"),
            func.count().filter(Seat.state == SeatState.BLOCKED).label("blocked"),
        )
        .where(Seat.performance_id == Allocation.performance_id, Seat.allocation_id == Allocation.id)
        .correlate(Allocation)
        .lateral()
    )
    return (
        select(Allocation, places.c.places, places.c.blocked)
        .select_from(Allocation)
        .join(places, Allocation.id.is_not(None))
        .execution_options(populate_existing=True)
    )


def _view(row: Any) -> AllocationView:
    allocation, places, blocked = row
    return AllocationView(allocation, places or (), blocked)
