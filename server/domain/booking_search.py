"""Finding a booking by what people have in their hand: its id or the end of it, a ticket, a payment's reference."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, cast, false, select, tuple_

from server.db.models.inventory import Booking, Ticket
from server.db.models.payments import Payment
from server.domain.signing_keys import Keys
from server.tickets.codes import NotATicketError, read_code

_ID: Final = re.compile(r"(?:performances/[1-9][0-9]{0,18}/bookings/)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_END: Final = re.compile(r"[0-9a-f-]{6,36}")
_SKEW: Final = timedelta(minutes=10)
"""How far the clocks of servers, which make ids, and of the database, which dates bookings, are apart at most."""


def named_by(text: str, performance_id: int | None, keys: Keys) -> ColumnElement[bool]:
    """The condition of the bookings that a text names.

    Every way of naming is answered by an index: none reads the bookings of all performances.

    Args:
        text: a booking's name or id; with ``performance_id`` at least 6 characters from the end of the id, too; the
            code of a ticket; or what a payment provider calls a payment.
        performance_id: in which performance people look; None: in all.
        keys: that ticket codes are signed by.
    """
    word = text.strip()
    whole = _ID.fullmatch(word.lower())
    if whole is not None:
        return _is(UUID(whole[1]))
    if performance_id is not None and _END.fullmatch(word.lower()):
        return cast(Booking.id, Text).like(f"%{word.lower()}")
    try:
        code = read_code(keys, word)
    except NotATicketError:
        return _paid_as(word) if word else false()
    return _key().in_(
        select(Ticket.performance_id, Ticket.booking_id).where(
            Ticket.performance_id == code.performance_id, Ticket.id == code.ticket_id, Ticket.nonce == code.nonce
        )
    )


def _is(booking_id: UUID) -> ColumnElement[bool]:
    """By the id alone: it begins with the millisecond in which it was made, and there is an index of times."""
    if booking_id.version != 7:
        return false()
    try:
        made = datetime.fromtimestamp((booking_id.int >> 80) / 1000, UTC)
        first, last = made - _SKEW, made + _SKEW
    except (OverflowError, ValueError):  # behind the year 9999
        return false()
    return and_(Booking.id == booking_id, Booking.create_time.between(first, last))


def _paid_as(reference: str) -> ColumnElement[bool]:
    return _key().in_(select(Payment.performance_id, Payment.booking_id).where(Payment.provider_reference == reference))


def _key() -> ColumnElement[tuple[int, UUID]]:
    return tuple_(Booking.performance_id, Booking.id)
