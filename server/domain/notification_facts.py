"""What messages say, read from the database when they are said: set-based, a few statements for many messages.

Codes are made here, too, because they are stored as hashes only: the transaction that reads the facts of a mail makes
its code, and must be committed before the mail leaves.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from server import resources
from server.db.models.accounts import User
from server.db.models.catalogue import Event, Performance, TicketType, Venue
from server.db.models.contact import ContactInfo, Inquiry
from server.db.models.inventory import Booking
from server.db.models.notifications import Announcement, Notification
from server.db.models.payments import Payment, Refund
from server.domain.account_codes import LIFETIMES, issue
from server.domain.email_addresses import email_key
from server.seats.hall import Hall, Place, PlaceKind
from server.seats.halls import Halls
from server.states import BookingState, CodePurpose, NotificationKind, RefundMethod, RefundState

CODE_PURPOSES: Final = {
    NotificationKind.EMAIL_VERIFICATION: CodePurpose.VERIFY_EMAIL,
    NotificationKind.PASSWORD_RESET: CodePurpose.RESET_PASSWORD,
}


@dataclass(frozen=True, slots=True)
class PerformanceFacts:
    """The performance that a message is about. ``zone`` is the time zone in which its times are told."""

    title: str
    start_time: datetime
    end_time: datetime | None
    zone: str
    venue: str
    address: str
    hall: str
    cancel_reason: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """``count`` equal places of a booking; ``price`` is that of one, in minor units."""

    count: int
    place: str
    ticket_type: str
    price: int


@dataclass(frozen=True, slots=True)
class BookingFacts:
    """A booking. ``returning``: minor units of what was paid that go back or went back."""

    name: str
    lines: tuple[Line, ...]
    total: int
    currency: str
    hold_expire_time: datetime
    state: BookingState
    was_confirmed: bool
    is_successor: bool = False
    returning: int = 0


@dataclass(frozen=True, slots=True)
class Amount:
    """A payment that failed, or a refund.

    Attributes:
        amount: in minor units of ``currency``.
        currency: ISO 4217.
        reason: staff's own word; empty: they said none.
        way: how the house paid it back; None: its provider did.
        proof: what proves that, such as the number of a bank transfer.
    """

    amount: int
    currency: str
    reason: str = ""
    way: RefundMethod | None = None
    proof: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """An inquiry and its answer."""

    sender: str
    subject: str
    message: str
    answer: str


@dataclass(frozen=True, slots=True)
class Code:
    """A secret: it goes into the mail and nowhere else."""

    text: str
    hours: float


@dataclass(frozen=True, slots=True)
class House:
    """Who writes: what the footer of each mail says. Empty: unknown."""

    name: str = ""
    email: str = ""
    phone: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that one message says; what its kind has nothing to do with is None."""

    kind: NotificationKind
    about: str = ""
    name: str = ""
    email: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    house: House = House()
    performance: PerformanceFacts | None = None
    booking: BookingFacts | None = None
    amount: Amount | None = None
    question: Question | None = None
    words: tuple[str, str] | None = None
    """Subject and body of an announcement."""
    code: Code | None = None


def load(session: Session, rows: Sequence[Notification], halls: Halls, *, codes: bool) -> list[Facts]:
    """The facts of each message, in order.

    Args:
        session: a transaction.
        rows: the messages.
        halls: where the names of places are taken from.
        codes: make the codes of those that carry one, ending the older ones; else leave them out.
    """
    house = _house(session)
    users = {user.id: user for user in _by_id(session, User, {row.recipient_id for row in rows})}
    performances = _performances(session, {row.performance_id for row in rows if row.performance_id})
    bookings = _bookings(session, rows, halls)
    amounts = _amounts(session, rows)
    questions = _questions(session, rows)
    words = _words(session, rows)
    facts = []
    for row in rows:
        user = None if row.recipient_id is None else users.get(row.recipient_id)
        question = questions.get(row.about)
        facts.append(
            Facts(
                kind=row.kind,
                about=row.about,
                name=user.display_name if user else question.sender if question else "",
                email=row.email or (user.email if user else ""),
                data=row.data,
                house=house,
                performance=performances.get(row.performance_id),
                booking=None if row.booking_id is None else bookings.get((row.performance_id, row.booking_id)),
                amount=amounts.get(row.about),
                question=question,
                words=words.get((row.performance_id, str(row.data.get("announcement")))),
                code=_code(session, row, user) if codes else None,
            )
        )
    return facts


def place_name(place: Place) -> str:
    """How a ticket says where to sit, or to stand."""
    if place.kind is PlaceKind.GENERAL_ADMISSION:
        return place.area
    return ", ".join(part for part in (place.section, place.row and f"row {place.row}", f"seat {place.number}") if part)


def _by_id(session: Session, model: type[Any], ids: Iterable[UUID | None]) -> Sequence[Any]:
    wanted = [one for one in ids if one is not None]
    return session.scalars(select(model).where(model.id.in_(wanted))).all() if wanted else ()


def _house(session: Session) -> House:
    row = session.get(ContactInfo, 1)
    return House() if row is None else House(row.display_name, row.email, row.phone, row.address)


def _performances(session: Session, performance_ids: Iterable[int]) -> dict[int, PerformanceFacts]:
    wanted = list(performance_ids)
    if not wanted:
        return {}
    rows = session.execute(
        select(Performance, Event.title, Venue)
        .join(Event, Event.id == Performance.event_id)
        .join(Venue, Venue.id == Performance.venue_id)
        .where(Performance.id.in_(wanted))
    )
    return {
        performance.id: PerformanceFacts(
            title=title,
            start_time=performance.start_time,
            end_time=performance.end_time,
            zone=performance.time_zone,
            venue=venue.display_name,
            address=venue.address,
            hall=performance.hall,
            cancel_reason=performance.cancel_reason,
        )
        for performance, title, venue in rows
    }


def _bookings(session: Session, rows: Sequence[Notification], halls: Halls) -> dict[tuple[int, UUID], BookingFacts]:
    keys = {(row.performance_id, row.booking_id) for row in rows if row.booking_id is not None}
    if not keys:
        return {}
    found = session.scalars(select(Booking).where(tuple_(Booking.performance_id, Booking.id).in_(keys))).all()
    performances = {booking.performance_id for booking in found}
    hall_of = halls.of_performances(session, performances)
    named = session.execute(
        select(TicketType.id, TicketType.display_name).where(TicketType.performance_id.in_(performances))
    )
    types = {kind: name for kind, name in named}  # noqa: C416 - rows are no tuples to the type checker
    returning = _returning(session, found)
    return {
        (booking.performance_id, booking.id): BookingFacts(
            name=resources.booking(booking.performance_id, booking.id),
            lines=_lines(booking, hall_of[booking.performance_id], types),
            total=sum(booking.prices),
            currency=booking.currency,
            hold_expire_time=booking.hold_expire_time,
            state=booking.state,
            was_confirmed=booking.confirm_time is not None,
            is_successor=booking.replaces is not None,
            returning=returning.get((booking.performance_id, booking.id), 0),
        )
        for booking in found
    }


def _lines(booking: Booking, hall: Hall, types: Mapping[int, str]) -> tuple[Line, ...]:
    """The places in the hall's order, equal ones together."""
    chosen = sorted(zip(booking.places, booking.ticket_type_ids, booking.prices, strict=True))
    counted = Counter((place_name(hall.places[place]), types.get(kind, ""), price) for place, kind, price in chosen)
    return tuple(Line(count, place, kind, price) for (place, kind, price), count in counted.items())


def _returning(session: Session, bookings: Sequence[Booking]) -> dict[tuple[int, UUID], int]:
    """What goes back of the payments that were made for bookings, or of the late one that bought a successor."""
    keys = [(booking.performance_id, booking.id) for booking in bookings]
    made = session.execute(
        select(Payment.performance_id, Payment.id, Payment.booking_id).where(
            tuple_(Payment.performance_id, Payment.booking_id).in_(keys), Payment.bought_booking_id.is_(None)
        )
    )
    paid_for = {(performance_id, payment_id): booking_id for performance_id, payment_id, booking_id in made}
    paid_for |= {(one.performance_id, one.payment_id): one.id for one in bookings if one.payment_id is not None}
    rows = session.execute(
        select(Refund.performance_id, Refund.payment_id, func.sum(Refund.amount))
        .where(tuple_(Refund.performance_id, Refund.payment_id).in_(list(paid_for)), Refund.state != RefundState.FAILED)
        .group_by(Refund.performance_id, Refund.payment_id)
    )
    returning: Counter[tuple[int, UUID]] = Counter()
    for performance_id, payment_id, amount in rows:
        returning[performance_id, paid_for[performance_id, payment_id]] += int(amount)
    return returning


def _amounts(session: Session, rows: Sequence[Notification]) -> dict[str, Amount]:
    payments = {row.about for row in rows if row.kind is NotificationKind.PAYMENT_FAILED}
    refunds = {row.about for row in rows if row.kind is NotificationKind.REFUND}
    found: dict[str, Amount] = {}
    if payments:
        keys = [(name[0], name[2]) for name in map(resources.parse_payment, payments)]
        for payment in session.scalars(select(Payment).where(tuple_(Payment.performance_id, Payment.id).in_(keys))):
            name = resources.payment(payment.performance_id, payment.booking_id, payment.id)
            found[name] = Amount(payment.amount, payment.currency)
    if refunds:
        keys = [(name[0], name[3]) for name in map(resources.parse_refund, refunds)]
        for refund in session.scalars(select(Refund).where(tuple_(Refund.performance_id, Refund.id).in_(keys))):
            name = resources.refund(refund.performance_id, refund.booking_id, refund.payment_id, refund.id)
            reason, proof = refund.reason if refund.actor_id else "", refund.settle_reference or ""
            found[name] = Amount(refund.amount, refund.currency, reason, refund.settle_method, proof)
    return found


def _questions(session: Session, rows: Sequence[Notification]) -> dict[str, Question]:
    names = {row.about for row in rows if row.kind is NotificationKind.INQUIRY_ANSWER}
    return {
        f"inquiries/{inquiry.id}": Question(inquiry.sender_name, inquiry.subject, inquiry.message, inquiry.answer or "")
        for inquiry in _by_id(session, Inquiry, {UUID(name.removeprefix("inquiries/")) for name in names})
    }


def _words(session: Session, rows: Sequence[Notification]) -> dict[tuple[int, str], tuple[str, str]]:
    keys = {(row.performance_id, UUID(row.data["announcement"])) for row in rows if "announcement" in row.data}
    if not keys:
        return {}
    found = session.scalars(select(Announcement).where(tuple_(Announcement.performance_id, Announcement.id).in_(keys)))
    return {(one.performance_id, str(one.id)): (one.subject, one.body) for one in found}


def _code(session: Session, row: Notification, user: User | None) -> Code | None:
    purpose = CODE_PURPOSES.get(row.kind)
    if purpose is None or user is None or user.disable_time is not None:
        return None
    if row.email is not None and email_key(row.email) != user.email_key:
        return None  # the account has given the address up
    text = issue(session, user.id, purpose, email=row.email or user.email)
    return Code(text, LIFETIMES[purpose].total_seconds() / 3600)
