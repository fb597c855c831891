"""Ticket types: what a price buys.

All ticket types of a performance have one currency. Every change touches the sale rules first, so that what is
read of the claims stays true until it commits (see ``performances``).
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session

from server import resources
from server.db.models.catalogue import Performance, SeatMapVersion, TicketType
from server.db.models.inventory import Quota
from server.domain import performances
from server.domain.rows import Listing, behind, changed, count, found, locked, unique
from server.errors import FailedPrecondition, FieldFault, InvalidArgument
from server.seats.rules import touch_rules
from server.seats.state import type_key


@dataclass(frozen=True, slots=True)
class TicketTypeValues:
    """What staff say of a ticket type. ``price`` is in integer minor units; no ``zones``: all."""

    display_name: str
    description: str
    price: int
    currency: str
    zones: tuple[str, ...]
    quantity: int | None
    sale_start_time: datetime | None
    sale_end_time: datetime | None
    customer_limit: int | None
    position: int


@dataclass(frozen=True, slots=True)
class TicketTypeView:
    """A ticket type, and how many of it are held and sold."""

    ticket_type: TicketType
    claimed: int


def create(session: Session, performance_id: int, values: TicketTypeValues) -> TicketTypeView:
    """Make a ticket type.

    Raises:
        NotFound: the performance.
        FailedPrecondition: PERFORMANCE_STATE, it was cancelled.
        AlreadyExists: the name is taken.
        InvalidArgument: CURRENCY_MISMATCH, or a zone that the seat map does not have.
    """
    performance = performances.lock(session, performance_id, "")
    performances.require_scheduled(performance)
    touch_rules(session, performance_id)
    _check(session, performance, values, None)
    ticket_type = TicketType(performance_id=performance_id)
    _set(ticket_type, values)
    with unique(session, "ticket_type.display_name", "another ticket type of the performance has this name"):
        session.add(ticket_type)
    return TicketTypeView(ticket_type, 0)


def get(session: Session, performance_id: int, ticket_type_id: int, *, staff: bool) -> TicketTypeView:
    """Read a ticket type.

    Raises:
        NotFound: there is none, or its performance is not for the caller to see.
    """
    performances.require_readable(session, performance_id, staff=staff)
    query = _views().where(TicketType.performance_id == performance_id, TicketType.id == ticket_type_id)
    row = session.execute(query).one_or_none()
    return TicketTypeView(*found(row, resources.ticket_type(performance_id, ticket_type_id)))


def page(
    session: Session, performance_id: int, *, staff: bool, after: tuple[int, int] | None, limit: int
) -> Listing[TicketTypeView]:
    """Ticket types of a performance by position, those behind ``after`` (position, id).

    Raises:
        NotFound: the performance.
    """
    performances.require_readable(session, performance_id, staff=staff)
    query = _views().where(TicketType.performance_id == performance_id)
    keys = (TicketType.position, TicketType.id)
    rows = query if after is None else query.where(behind(keys, after))
    views = [TicketTypeView(*row) for row in session.execute(rows.order_by(*keys).limit(limit))]
    return Listing(views, count(session, query.with_only_columns(TicketType.id)))


def all_of(session: Session, performance_id: int) -> list[TicketTypeView]:
    """All ticket types of a performance, by position."""
    query = _views().where(TicketType.performance_id == performance_id)
    rows = session.execute(query.order_by(TicketType.position, TicketType.id))
    return [TicketTypeView(*row) for row in rows]


def lock(session: Session, performance_id: int, ticket_type_id: int, etag: str, *, delete: bool = False) -> TicketType:
    """Lock a ticket type and its performance for a change.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
    """
    name = resources.ticket_type(performance_id, ticket_type_id)
    query = select(Performance).where(Performance.id == performance_id)
    locked(session, query, name)
    mine = select(TicketType).where(TicketType.performance_id == performance_id, TicketType.id == ticket_type_id)
    return locked(session, mine, name, etag, key=delete)


def update(session: Session, ticket_type: TicketType, values: TicketTypeValues) -> TicketTypeView:
    """Give a locked ticket type new values; what is held and sold keeps its price.

    Raises:
        FailedPrecondition: PERFORMANCE_STATE, the performance was cancelled; CAPACITY_BELOW_SOLD; HAS_BOOKINGS, a
            limit per customer can only begin or cease to apply while nothing of the type is claimed.
        AlreadyExists: the name is taken.
        InvalidArgument: CURRENCY_MISMATCH, or a zone that the seat map does not have.
    """
    performance_id = ticket_type.performance_id
    performance = session.get_one(Performance, performance_id)
    performances.require_scheduled(performance)
    touch_rules(session, performance_id)
    _check(session, performance, values, ticket_type)
    claimed = _claimed(session, ticket_type) or 0
    if values.quantity is not None and values.quantity < claimed:
        raise FailedPrecondition("CAPACITY_BELOW_SOLD", f"{claimed} are held or sold already", sold=str(claimed))
    if claimed and (values.customer_limit is None) != (ticket_type.customer_limit is None):
        # Who had how many was only counted while there was a limit.
        raise FailedPrecondition(
            "HAS_BOOKINGS", "a limit per customer cannot begin or cease to apply while the type is held or sold"
        )
    _set(ticket_type, values)
    with unique(session, "ticket_type.display_name", "another ticket type of the performance has this name"):
        changed(session, ticket_type)
    return TicketTypeView(ticket_type, claimed)


def delete(session: Session, performance_id: int, ticket_type_id: int, etag: str) -> None:
    """Delete a ticket type that no booking ever used.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: HAS_BOOKINGS.
    """
    ticket_type = lock(session, performance_id, ticket_type_id, etag, delete=True)
    touch_rules(session, performance_id)
    # The row of claims is made by the first one and stays, also when all were given back.
    if _claimed(session, ticket_type) is not None:
        raise FailedPrecondition("HAS_BOOKINGS", "there are bookings with this ticket type")
    session.delete(ticket_type)


def _views() -> Select[TicketType, int]:
    claims = and_(Quota.performance_id == TicketType.performance_id, Quota.key == func.concat("t", TicketType.id))
    return select(TicketType, func.coalesce(Quota.used, 0)).outerjoin(Quota, claims)


def _claimed(session: Session, ticket_type: TicketType) -> int | None:
    """How many are held and sold; None: it was never claimed."""
    return session.scalar(
        select(Quota.used).where(
            Quota.performance_id == ticket_type.performance_id, Quota.key == type_key(ticket_type.id)
        )
    )


def _check(session: Session, performance: Performance, values: TicketTypeValues, known: TicketType | None) -> None:
    """Return if the currency is the performance's, the zones are the seat map's, and the times agree."""
    others = select(TicketType.currency).where(TicketType.performance_id == performance.id)
    if known is not None:
        others = others.where(TicketType.id != known.id)
    currency = session.scalars(others.limit(1)).one_or_none()
    if currency is None and known is not None and _claimed(session, known) is not None:
        currency = known.currency
    if currency is not None and currency != values.currency:
        said = f"prices of this performance are in {currency}"
        fault = FieldFault("ticket_type.price.currency_code", said)
        raise InvalidArgument("CURRENCY_MISMATCH", said, fields=[fault], currency=currency)
    start, end = values.sale_start_time, values.sale_end_time
    if start is not None and end is not None and end <= start:
        raise InvalidArgument.of("ticket_type.sale_end_time", "must be after sale_start_time")
    if values.zones:
        version = session.get_one(SeatMapVersion, (performance.seat_map_id, performance.seat_map_version))
        known_zones = {zone["name"] for zone in version.zones}
        for index, zone in enumerate(values.zones):
            if zone not in known_zones:
                raise InvalidArgument.of(f"ticket_type.zones[{index}]", "the seat map has no such zone")


def _set(ticket_type: TicketType, values: TicketTypeValues) -> None:
    ticket_type.display_name = values.display_name
    ticket_type.description = values.description
    ticket_type.price = values.price
    ticket_type.currency = values.currency
    ticket_type.zones = list(values.zones)
    ticket_type.quantity = values.quantity
    ticket_type.sale_start_time = values.sale_start_time
    ticket_type.sale_end_time = values.sale_end_time
    ticket_type.customer_limit = values.customer_limit
    ticket_type.position = values.position
