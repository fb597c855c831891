"""Reading bookings and tickets, and the one change of a booking that touches no seat: its note.

Whoever may see a booking is decided by ``owner``: a customer's id, or None for staff. What is not the owner's is
not found. A hold whose time has passed is shown as expired before the sweeper has been there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, text, true
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.accounts import User
from server.db.models.catalogue import Performance
from server.db.models.inventory import Booking as BookingRow
from server.db.models.inventory import Ticket
from server.domain.etags import require_current
from server.domain.rows import MOST_COUNTED, count, count_up, newest_first
from server.errors import FailedPrecondition, NotFound, RowlockError
from server.seats.booking import Booking
from server.states import BookingState, TicketState

_BY_KEYS: Final = text(
    "SELECT b.* FROM unnest(CAST(:performances AS bigint[]), CAST(:ids AS uuid[])) AS w(performance_id, id) "
    "JOIN bookings b ON b.performance_id = w.performance_id AND b.id = w.id"
)


@dataclass(frozen=True, slots=True)
class BookingPage:
    """Bookings, newest first, and how many there are on all pages, counted up to ``MOST_COUNTED``."""

    bookings: Sequence[Booking]
    total: int


@dataclass(frozen=True, slots=True)
class TicketPage:
    """Tickets, those of the newest booking first and then by place, and how many there are on all pages."""

    tickets: Sequence[Ticket]
    total: int


def get_booking(session: Session, performance_id: int, booking_id: UUID, owner: UUID | None) -> Booking:
    """A booking as it is to be shown now.

    Raises:
        NotFound: absent, or not the owner's.
    """
    row = session.get(BookingRow, (performance_id, booking_id))
    if row is None or owner not in (None, row.customer_id):
        raise NotFound.of(resources.booking(performance_id, booking_id))
    return as_shown(booking_of(row), database_now(session))


def get_bookings(session: Session, keys: Sequence[tuple[int, UUID]]) -> list[Booking | RowlockError]:
    """Bookings by (performance, id), as they are to be shown now; NotFound in place of those that are absent."""
    rows = session.scalars(
        select(BookingRow).from_statement(_BY_KEYS),
        {"performances": [p for p, _ in keys], "ids": [str(booking_id) for _, booking_id in keys]},
    )
    found = {(row.performance_id, row.id): booking_of(row) for row in rows}
    now = database_now(session)
    return [as_shown(found[key], now) if key in found else NotFound.of(resources.booking(*key)) for key in keys]


def list_bookings(
    session: Session,
    *,
    performance_id: int | None,
    customer_id: UUID | None,
    state: BookingState | None,
    named: ColumnElement[bool] | None = None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> BookingPage:
    """Bookings that meet every condition which is not None, newest first.

    Args:
        session: a transaction.
        performance_id: of this performance.
        customer_id: of this customer.
        state: shown in this state.
        named: by `booking_search.named_by`.
        after: (create_time, id) of the last booking of the page before.
        limit: how many at most.
    """
    query = select(BookingRow)
    if performance_id is not None:
        query = query.where(BookingRow.performance_id == performance_id)
    if customer_id is not None:
        query = query.where(BookingRow.customer_id == customer_id)
    if named is not None:
        query = query.where(named)
    rows: list[BookingRow] = []
    total = 0
    # One query for each kind of row that is shown in the state, so that each finds its rows by its own index.
    for condition in _are_shown(state):
        part = query.where(condition)
        total += count_up(session, part)
        narrowed = performance_id is not None
        part = newest_first(part, BookingRow.create_time, BookingRow.id, narrowed=narrowed, after=after)
        rows += session.scalars(part.limit(limit))
    rows.sort(key=lambda row: row.id if performance_id is not None else (row.create_time, row.id), reverse=True)
    now = database_now(session)
    return BookingPage([as_shown(booking_of(row), now) for row in rows[:limit]], min(total, MOST_COUNTED))


def changed_bookings(session: Session, seen: Sequence[Booking]) -> list[Booking]:
    """Those of ``seen``, each named once, that are to be shown otherwise by now; as they are now."""
    keys = {(booking.performance_id, booking.id): booking for booking in seen}
    now = database_now(session)
    rows = session.scalars(
        select(BookingRow).from_statement(_BY_KEYS),
        {"performances": [p for p, _ in keys], "ids": [str(booking_id) for _, booking_id in keys]},
    )
    current = [as_shown(booking_of(row), now) for row in rows]
    return [booking for booking in current if booking != keys[booking.performance_id, booking.id]]


def run_out_holds(session: Session, limit: int) -> Sequence[tuple[int, UUID]]:
    """(performance, booking) of holds whose time is over, the longest overdue first."""
    rows = session.execute(
        select(BookingRow.performance_id, BookingRow.id)
        .where(
            BookingRow.state == BookingState.HELD,
            BookingRow.payment_id.is_(None),
            BookingRow.hold_expire_time <= func.clock_timestamp(),
        )
        .order_by(BookingRow.hold_expire_time)
        .limit(limit)
    )
    return [(performance_id, booking_id) for performance_id, booking_id in rows]


def set_note(
    session: Session, performance_id: int, booking_id: UUID, owner: UUID | None, *, note: str, etag: str
) -> Booking:
    """Replace the note of a booking that is held or confirmed.

    Args:
        session: a transaction.
        performance_id: of the booking.
        booking_id: its id.
        owner: the customer whose it has to be; None: anybody's, for staff.
        note: the new one; empty: none.
        etag: what the caller believes to be current; empty: does not care.

    Raises:
        NotFound: absent, or not the owner's.
        FailedPrecondition: BOOKING_STATE or HOLD_EXPIRED, the booking has ended.
        Aborted: ETAG_MISMATCH.
    """
    row = lock_booking(session, performance_id, booking_id)
    if row is None or owner not in (None, row.customer_id):
        raise NotFound.of(resources.booking(performance_id, booking_id))
    now = database_now(session)
    shown = as_shown(booking_of(row), now)
    if shown.state is BookingState.EXPIRED:
        raise FailedPrecondition("HOLD_EXPIRED", "the hold of this booking has run out")
    if shown.state is BookingState.CANCELLED:
        raise FailedPrecondition("BOOKING_STATE", "the booking is CANCELLED", state=shown.state.name)
    require_current(etag, row.version)
    if row.note != note:
        row.note = note
        touch_booking(row, now)
        session.flush()
    return booking_of(row)


def get_ticket(session: Session, performance_id: int, booking_id: UUID, ticket_id: UUID, owner: UUID | None) -> Ticket:
    """A ticket; ``owner`` None: whoever's it is, for staff.

    Raises:
        NotFound: absent, or not the owner's.
    """
    ticket = session.get(Ticket, (performance_id, ticket_id))
    if ticket is None or ticket.booking_id != booking_id or owner not in (None, ticket.customer_id):
        raise NotFound.of(resources.ticket(performance_id, booking_id, ticket_id))
    return ticket


def places_of_tickets(
    session: Session, performance_id: int, booking_id: UUID, ticket_ids: Sequence[UUID], owner: UUID | None
) -> tuple[int, ...]:
    """The places that tickets of one booking are for, in the order of ``ticket_ids``, void or not.

    Raises:
        NotFound: a ticket is absent, of another booking, or not the owner's.
    """
    query = select(Ticket).where(Ticket.performance_id == performance_id, Ticket.booking_id == booking_id)
    tickets = {ticket.id: ticket for ticket in session.scalars(query) if owner in (None, ticket.customer_id)}
    for ticket_id in ticket_ids:
        if ticket_id not in tickets:
            raise NotFound.of(resources.ticket(performance_id, booking_id, ticket_id))
    return tuple(tickets[ticket_id].place for ticket_id in ticket_ids)


def list_tickets(
    session: Session,
    *,
    performance_id: int | None,
    booking_id: UUID | None,
    owner: UUID | None,
    state: TicketState | None,
    after: tuple[UUID, int] | None,
    limit: int,
) -> TicketPage:
    """Tickets that meet every condition which is not None.

    Args:
        session: a transaction.
        performance_id: of this performance.
        booking_id: of this booking, which then must exist and be the owner's.
        owner: of this customer; None: of everybody.
        state: in this state.
        after: (booking, place) of the last ticket of the page before.
        limit: how many at most.

    Raises:
        NotFound: the booking is absent, or not the owner's.
    """
    query = select(Ticket)
    if performance_id is not None:
        query = query.where(Ticket.performance_id == performance_id)
    if booking_id is not None:
        if performance_id is not None:
            get_booking(session, performance_id, booking_id, owner)
        query = query.where(Ticket.booking_id == booking_id)
    if owner is not None:
        # By way of the bookings, which are indexed by customer; tickets are not.
        query = query.join(
            BookingRow,
            and_(BookingRow.performance_id == Ticket.performance_id, BookingRow.id == Ticket.booking_id),
        ).where(BookingRow.customer_id == owner)
    if state is not None:
        query = query.where(Ticket.state == state)
    total = count(session, query)
    if after is not None:
        last_booking, last_place = after
        query = query.where(
            or_(Ticket.booking_id < last_booking, and_(Ticket.booking_id == last_booking, Ticket.place > last_place))
        )
    # Ids of bookings lead with the time, so the greatest is the newest.
    rows = session.scalars(query.order_by(Ticket.booking_id.desc(), Ticket.place).limit(limit)).all()
    return TicketPage(rows, total)


def may_hold(session: Session, user_id: UUID) -> bool:
    """Whether the account's e-mail address has been verified."""
    return session.scalar(select(User.email_verify_time).where(User.id == user_id)) is not None


def require_customer(session: Session, user_id: UUID) -> None:
    """Return if there is such an account.

    Raises:
        NotFound: there is none.
    """
    if session.scalar(select(User.id).where(User.id == user_id)) is None:
        raise NotFound.of(resources.user(user_id))


def names_covering(session: Session, performance_id: int) -> tuple[str, ...]:
    """Every name that an API key may be narrowed to and that covers the performance: its own, event's and venue's."""
    found = session.execute(
        select(Performance.event_id, Performance.venue_id).where(Performance.id == performance_id)
    ).one_or_none()
    if found is None:
        return ()
    return resources.performance(performance_id), resources.event(found.event_id), resources.venue(found.venue_id)


def lock_booking(session: Session, performance_id: int, booking_id: UUID) -> BookingRow | None:
    """A booking's row, locked as the ledger locks it; so nothing else changes it until the commit."""
    return session.scalars(
        select(BookingRow)
        .where(BookingRow.performance_id == performance_id, BookingRow.id == booking_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()


def touch_booking(row: BookingRow, now: datetime) -> None:
    """Note that a locked booking was changed outside the ledger: its version moves, and so its etag."""
    row.version += 1
    row.update_time = now


def booking_of(row: BookingRow) -> Booking:
    """The value of a row."""
    return Booking(
        performance_id=row.performance_id,
        id=row.id,
        customer_id=row.customer_id,
        state=row.state,
        places=tuple(row.places),
        ticket_type_ids=tuple(row.ticket_type_ids),
        prices=tuple(row.prices),
        currency=row.currency,
        hold_start_time=row.hold_start_time,
        hold_expire_time=row.hold_expire_time,
        create_time=row.create_time,
        update_time=row.update_time,
        payment_id=row.payment_id,
        confirmed_by=row.confirmed_by,
        confirm_time=row.confirm_time,
        end_time=row.end_time,
        note=row.note,
        version=row.version,
        replaces=row.replaces,
        replaced_by=row.replaced_by,
    )


def as_shown(booking: Booking, now: datetime) -> Booking:
    """The booking as readers see it at ``now``: a hold that has run out is over, whoever has tidied up or not."""
    if booking.has_run_out(now):
        return replace(booking, state=BookingState.EXPIRED, end_time=booking.hold_expire_time)
    return booking


def _are_shown(state: BookingState | None) -> Sequence[ColumnElement[bool]]:
    """The conditions, of which each row meets one at most, that say in SQL what ``as_shown`` says of one booking."""
    run_out = and_(
        BookingRow.state == BookingState.HELD,
        BookingRow.payment_id.is_(None),
        BookingRow.hold_expire_time <= func.clock_timestamp(),
    )
    if state is None:
        return [true()]
    if state is BookingState.HELD:
        return [and_(BookingRow.state == BookingState.HELD, ~run_out)]
    if state is BookingState.EXPIRED:
        return [BookingRow.state == BookingState.EXPIRED, run_out]
    return [BookingRow.state == state]
