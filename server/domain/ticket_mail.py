"""Mailing tickets again: where a mail was lost, or went to an address that has been mended since."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from server import resources
from server.db.ids import new_id
from server.db.models.accounts import User
from server.domain.bookings import get_booking
from server.domain.notifications import message_id, notify
from server.errors import FailedPrecondition
from server.states import BookingState, NotificationKind


def address(session: Session, performance_id: int, booking_id: UUID, owner: UUID | None) -> str:
    """The e-mail address that a booking's tickets go to now.

    Raises:
        NotFound: the booking is absent, or not the owner's.
        FailedPrecondition: BOOKING_STATE.
    """
    customer_id = _customer_of(session, performance_id, booking_id, owner)
    return session.scalars(select(User.email).where(User.id == customer_id)).one()


def mail_again(session: Session, performance_id: int, booking_id: UUID, owner: UUID | None) -> UUID:
    """Write the message that a booking was confirmed once more, with its tickets; return the message's id.

    Each call is an occasion of its own; who repeats a request is served by its id. A booking that is cancelled before
    the mail leaves makes it outdated, as it does the first one.

    Raises:
        NotFound: the booking is absent, or not the owner's.
        FailedPrecondition: BOOKING_STATE.
    """
    customer_id = _customer_of(session, performance_id, booking_id, owner)
    key = f"again/{booking_id}/{new_id()}"
    notify(
        session,
        NotificationKind.BOOKING_CONFIRMED,
        recipient_id=customer_id,
        email=None,
        performance_id=performance_id,
        subject=resources.booking(performance_id, booking_id),
        key=key,
        data={},
    )
    return message_id(performance_id, key)


def _customer_of(session: Session, performance_id: int, booking_id: UUID, owner: UUID | None) -> UUID:
    """Whose tickets a confirmed booking has."""
    booking = get_booking(session, performance_id, booking_id, owner)
    if booking.state is not BookingState.CONFIRMED:
        state = booking.state.name
        raise FailedPrecondition("BOOKING_STATE", f"the booking is {state}: it has no tickets", state=state)
    return booking.customer_id
