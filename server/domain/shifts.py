"""Shifts: what one member of staff sells at one till between opening and closing it.

The seat ledger writes what is sold (``till_entries``) under a shared lock of the open shift, and closing takes the
lock for itself. So a sale is either in the totals of the closing, or in no shift that was closed before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.engine import sqlstate
from server.db.ids import new_id
from server.db.models.box_office import Shift, TillEntry
from server.db.models.inventory import Ticket
from server.domain.rows import count
from server.errors import FailedPrecondition, FieldFault, InvalidArgument, NotFound
from server.states import ShiftState, TicketState, TillEntryKind

_UNIQUE_VIOLATION = "23505"


@dataclass(frozen=True, slots=True)
class TillTotals:
    """What was sold and given back; amounts in minor units. ``performance_id`` None: of all performances together."""

    performance_id: int | None = None
    cash_bookings: int = 0
    cash_tickets: int = 0
    cash_in: int = 0
    comp_bookings: int = 0
    comp_tickets: int = 0
    cash_refunds: int = 0
    cash_out: int = 0


@dataclass(frozen=True, slots=True)
class ShiftView:
    """A shift with what it adds up to; ``performances`` is empty in lists."""

    shift: Shift
    totals: TillTotals
    performances: Sequence[TillTotals] = ()

    @property
    def expected_cash(self) -> int:
        """What should be in the drawer, in minor units."""
        return self.shift.opening_cash + self.totals.cash_in - self.totals.cash_out


@dataclass(frozen=True, slots=True)
class ShiftPage:
    """Shifts, newest first, and how many there are on all pages."""

    rows: Sequence[ShiftView]
    total: int


def open_shift(session: Session, staff_id: UUID, *, till: str, opening_cash: int, currency: str) -> ShiftView:
    """Open a shift.

    Args:
        session: a transaction.
        staff_id: whose.
        till: how the till is called.
        opening_cash: what is in the drawer, in minor units.
        currency: in which the till is kept.

    Raises:
        FailedPrecondition: SHIFT_OPEN, this member of staff has one, or somebody at this till.
    """
    shift = Shift(
        id=new_id(), staff_id=staff_id, till=till, state=ShiftState.OPEN, opening_cash=opening_cash, currency=currency
    )
    try:
        with session.begin_nested():
            session.add(shift)
    except IntegrityError as error:
        if sqlstate(error) != _UNIQUE_VIOLATION:
            raise
        raise _is_open(session, staff_id, till) from error
    session.refresh(shift)
    return ShiftView(shift, TillTotals())


def count_cash_refund(
    session: Session, staff_id: UUID, performance_id: int, booking_id: UUID, *, amount: int, currency: str
) -> None:
    """Count cash that a customer fetched in the open shift of whoever handed it out, if they have one.

    Args:
        session: a transaction.
        staff_id: who handed it out.
        performance_id: of the booking.
        booking_id: what it had been paid for.
        amount: how much, in minor units.
        currency: of the amount; a shift in another one is not concerned.
    """
    shift = session.scalars(
        select(Shift)
        .where(Shift.staff_id == staff_id, Shift.state == ShiftState.OPEN, Shift.currency == currency)
        .with_for_update(read=True)
    ).one_or_none()
    if shift is None:
        return
    void = (Ticket.performance_id == performance_id, Ticket.booking_id == booking_id, Ticket.state == TicketState.VOID)
    tickets = session.scalar(select(func.count()).select_from(Ticket).where(*void)) or 1
    session.add(
        TillEntry(
            performance_id=performance_id,
            id=new_id(),
            shift_id=shift.id,
            booking_id=booking_id,
            kind=TillEntryKind.CASH_REFUND,
            tickets=tickets,
            amount=amount,
            currency=currency,
            time=database_now(session),
        )
    )


def close_shift(
    session: Session, shift_id: UUID, owner: UUID | None, *, counted_cash: int, currency: str, note: str
) -> ShiftView:
    """Close a shift; one that is closed is returned as it is.

    Args:
        session: a transaction.
        shift_id: the shift.
        owner: whose it must be; None: anybody's.
        counted_cash: what was in the drawer, in minor units.
        currency: of it.
        note: why it differs.

    Raises:
        NotFound: absent, or not the owner's.
        InvalidArgument: CURRENCY_MISMATCH.
    """
    shift = session.get(Shift, shift_id, with_for_update=True, populate_existing=True)
    if shift is None or owner not in (None, shift.staff_id):
        raise NotFound.of(resources.shift(shift_id))
    if currency != shift.currency:
        said = f"the till has {shift.currency}"
        fault = FieldFault("counted_cash.currency_code", said)
        raise InvalidArgument("CURRENCY_MISMATCH", said, fields=[fault], currency=shift.currency)
    if shift.state is ShiftState.OPEN:
        now = database_now(session)
        shift.state, shift.close_time = ShiftState.CLOSED, now
        shift.counted_cash, shift.note = counted_cash, note
        session.flush()
    return _view(session, shift)


def get_shift(session: Session, shift_id: UUID | None, staff_id: UUID, *, any_owner: bool) -> ShiftView:
    """A shift with its totals.

    Args:
        session: a transaction.
        shift_id: the shift; None: the open one of ``staff_id``.
        staff_id: who asks.
        any_owner: whether others' shifts are shown, too.

    Raises:
        NotFound: absent, or somebody else's; or no shift is open.
    """
    if shift_id is None:
        query = select(Shift).where(Shift.staff_id == staff_id, Shift.state == ShiftState.OPEN)
    else:
        query = select(Shift).where(Shift.id == shift_id)
        if not any_owner:
            query = query.where(Shift.staff_id == staff_id)
    shift = session.scalars(query).one_or_none()
    if shift is None:
        raise NotFound.of(resources.CURRENT_SHIFT if shift_id is None else resources.shift(shift_id))
    return _view(session, shift)


def list_shifts(
    session: Session, *, owner: UUID | None, state: ShiftState | None, after: tuple[Any, ...] | None, limit: int
) -> ShiftPage:
    """Shifts that meet every condition which is not None, newest first.

    Args:
        session: a transaction.
        owner: of this member of staff.
        state: in this state.
        after: (open_time, id) of the last one of the page before.
        limit: how many at most.
    """
    query = select(Shift)
    if owner is not None:
        query = query.where(Shift.staff_id == owner)
    if state is not None:
        query = query.where(Shift.state == state)
    total = count(session, query)
    if after is not None:
        query = query.where(tuple_(Shift.open_time, Shift.id) < after)
    shifts = session.scalars(query.order_by(Shift.open_time.desc(), Shift.id.desc()).limit(limit)).all()
    entries = _totals(session, [shift.id for shift in shifts])
    return ShiftPage([ShiftView(shift, _sum(entries.get(shift.id, ()))) for shift in shifts], total)


def _view(session: Session, shift: Shift) -> ShiftView:
    performances = _totals(session, [shift.id]).get(shift.id, [])
    return ShiftView(shift, _sum(performances), performances)


def _totals(session: Session, shift_ids: Sequence[UUID]) -> dict[UUID, list[TillTotals]]:
    """What shifts sold, by performance: one statement, however many they are."""

    def of(kind: TillEntryKind, what: Any) -> Any:
        return func.coalesce(what.filter(TillEntry.kind == kind), 0)

    tickets, amount, number = func.sum(TillEntry.tickets), func.sum(TillEntry.amount), func.count()
    query = (
        select(
            TillEntry.shift_id,
            TillEntry.performance_id,
            of(TillEntryKind.CASH_SALE, number),
            of(TillEntryKind.CASH_SALE, tickets),
            of(TillEntryKind.CASH_SALE, amount),
            of(TillEntryKind.COMP, number),
            of(TillEntryKind.COMP, tickets),
            of(TillEntryKind.CASH_REFUND, number),
            of(TillEntryKind.CASH_REFUND, amount),
        )
        .where(TillEntry.shift_id.in_(shift_ids))
        .group_by(TillEntry.shift_id, TillEntry.performance_id)
        .order_by(TillEntry.performance_id)
    )
    found: dict[UUID, list[TillTotals]] = {}
    for shift_id, performance_id, *sums in session.execute(query):
        found.setdefault(shift_id, []).append(TillTotals(performance_id, *map(int, sums)))
    return found


def _sum(parts: Sequence[TillTotals]) -> TillTotals:
    return TillTotals(
        None,
        sum(part.cash_bookings for part in parts),
        sum(part.cash_tickets for part in parts),
        sum(part.cash_in for part in parts),
        sum(part.comp_bookings for part in parts),
        sum(part.comp_tickets for part in parts),
        sum(part.cash_refunds for part in parts),
        sum(part.cash_out for part in parts),
    )


def _is_open(session: Session, staff_id: UUID, till: str) -> FailedPrecondition:
    mine = session.scalar(select(Shift.id).where(Shift.staff_id == staff_id, Shift.state == ShiftState.OPEN))
    if mine is not None:
        name = resources.shift(mine)
        return FailedPrecondition("SHIFT_OPEN", "close the shift that you have open first", shift=name)
    return FailedPrecondition("SHIFT_OPEN", f"somebody has a shift open at the till {till!r}", shift="")
