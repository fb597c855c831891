"""What a change says: the JSON form of the resource, as the API shows it (AIP-127), and what happened to it. Pure.

It leaves out what is secret (codes of tickets, links to pay by), what is staff's, and what is added up from elsewhere.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from server import resources
from server.domain.currencies import decimal_places
from server.seats.booking import Booking
from server.seats.hall import Hall
from server.states import (
    BookingState,
    ChangeKind,
    ConfirmedBy,
    PaymentState,
    PerformanceState,
    Provider,
    RefundState,
    TicketState,
)

Json: TypeAlias = dict[str, Any]
Row: TypeAlias = Mapping[str, Any]

TYPES: Final[Mapping[ChangeKind, Mapping[int, str]]] = {
    ChangeKind.BOOKING: {
        BookingState.HELD: "held",
        BookingState.CONFIRMED: "confirmed",
        BookingState.CANCELLED: "cancelled",
        BookingState.EXPIRED: "expired",
    },
    ChangeKind.PAYMENT: {
        PaymentState.CREATED: "created",
        PaymentState.REQUIRES_ACTION: "requires_action",
        PaymentState.PROCESSING: "processing",
        PaymentState.SUCCEEDED: "succeeded",
        PaymentState.FAILED: "failed",
        PaymentState.CANCELLED: "cancelled",
        PaymentState.UNKNOWN: "unknown",
    },
    ChangeKind.REFUND: {
        RefundState.REQUESTED: "requested",
        RefundState.PROCESSING: "processing",
        RefundState.SUCCEEDED: "succeeded",
        RefundState.FAILED: "failed",
    },
    ChangeKind.TICKET: {
        TicketState.VALID: "issued",
        TicketState.CHECKED_IN: "checked_in",
        TicketState.VOID: "void",
    },
    ChangeKind.PERFORMANCE: {
        PerformanceState.SCHEDULED: "scheduled",
        PerformanceState.CANCELLED: "cancelled",
    },
}
"""What is said when something comes into a state."""

UPDATED: Final = "updated"
"""What is said when something changes and stays in its state."""
CHECK_IN_UNDONE: Final = "check_in_undone"
TEST: Final = "test"


def type_of(kind: ChangeKind, old_state: int | None, new_state: int) -> str:
    """What happened, such as ``booking.confirmed``."""
    if old_state == new_state:
        word = UPDATED
    elif kind is ChangeKind.TICKET and new_state == TicketState.VALID and old_state is not None:
        word = CHECK_IN_UNDONE
    else:
        word = TYPES[kind][new_state]
    return f"{kind.name.lower()}.{word}"


def snapshot(kind: ChangeKind, performance_id: int, row: Row, hall: Hall | None) -> Json:
    """The resource as JSON.

    Args:
        kind: what it is.
        performance_id: the performance that it belongs to.
        row: the columns of its row, as PostgreSQL writes them in JSON.
        hall: that of the performance, which gives places their ids; None: it has no places any more to be named.
    """
    match kind:
        case ChangeKind.BOOKING:
            return _booking(performance_id, row, hall)
        case ChangeKind.PAYMENT:
            return _payment(performance_id, row)
        case ChangeKind.REFUND:
            return _refund(performance_id, row)
        case ChangeKind.TICKET:
            return _ticket(performance_id, row, hall)
        case ChangeKind.PERFORMANCE:
            return _performance(row)


def _booking(performance_id: int, row: Row, hall: Hall | None) -> Json:
    booking = Booking.from_json(performance_id, UUID(row["id"]), dict(row))
    paid_for = booking.replaces or booking.id
    payment = booking.payment_id and resources.payment(performance_id, paid_for, booking.payment_id)
    ended = rfc3339(booking.end_time)
    return _filled(
        name=resources.booking(performance_id, booking.id),
        customer=resources.user(booking.customer_id),
        performance=resources.performance(performance_id),
        state=booking.state.name,
        seats=[
            _filled(
                seat=_seat(hall, place),
                index=place,
                ticketType=resources.ticket_type(performance_id, kind),
                price=money(price, booking.currency),
            )
            for place, kind, price in zip(booking.places, booking.ticket_type_ids, booking.prices, strict=True)
        ],
        total=money(booking.total, booking.currency),
        holdExpireTime=rfc3339(booking.hold_expire_time),
        payment=payment,
        method=ConfirmedBy(booking.confirmed_by).name if booking.confirmed_by else None,
        note=booking.note,
        createTime=rfc3339(booking.create_time),
        updateTime=rfc3339(booking.update_time),
        confirmTime=rfc3339(booking.confirm_time),
        cancelTime=ended if booking.state is BookingState.CANCELLED else None,
        expireTime=ended if booking.state is BookingState.EXPIRED else None,
        replacedBy=_other(performance_id, booking.replaced_by),
        replaces=_other(performance_id, booking.replaces),
    )


def _payment(performance_id: int, row: Row) -> Json:
    booking_id = UUID(row["booking_id"])
    return _filled(
        name=resources.payment(performance_id, booking_id, UUID(row["id"])),
        booking=resources.booking(performance_id, booking_id),
        state=PaymentState(row["state"]).name,
        amount=money(row["amount"], row["currency"]),
        provider=Provider(row["provider"]).name,
        providerReference=row["provider_reference"],
        errorReason=row["error_reason"],
        boughtBooking=_other(performance_id, row["bought_booking_id"]),
        **_times(row, "create_time", "update_time", "complete_time"),
    )


def _refund(performance_id: int, row: Row) -> Json:
    booking_id, payment_id = UUID(row["booking_id"]), UUID(row["payment_id"])
    gave_up = UUID(row["returned_booking_id"]) if row["returned_booking_id"] else booking_id
    return _filled(
        name=resources.refund(performance_id, booking_id, payment_id, UUID(row["id"])),
        payment=resources.payment(performance_id, booking_id, payment_id),
        amount=money(row["amount"], row["currency"]),
        state=RefundState(row["state"]).name,
        reason=row["reason"],
        providerReference=row["provider_reference"],
        errorReason=row["error_reason"],
        tickets=[resources.ticket(performance_id, gave_up, UUID(one)) for one in row["ticket_ids"]],
        **_times(row, "create_time", "update_time", "complete_time"),
    )


def _ticket(performance_id: int, row: Row, hall: Hall | None) -> Json:
    booking_id = UUID(row["booking_id"])
    return _filled(
        name=resources.ticket(performance_id, booking_id, UUID(row["id"])),
        booking=resources.booking(performance_id, booking_id),
        seat=_seat(hall, row["place"]),
        index=row["place"],
        ticketType=resources.ticket_type(performance_id, row["ticket_type_id"]),
        state=TicketState(row["state"]).name,
        checkInPlace=row["check_in_place"],
        **_times(row, "create_time", "check_in_time"),
    )


def _performance(row: Row) -> Json:
    return _filled(
        name=resources.performance(row["id"]),
        event=resources.event(row["event_id"]),
        venue=resources.venue(row["venue_id"]),
        hall=row["hall"],
        seatMap=resources.seat_map(row["venue_id"], row["seat_map_id"]),
        seatMapVersion=row["seat_map_version"],
        timeZone=row["time_zone"],
        customerLimit=row["customer_limit"],
        holdDuration=f"{_seconds(row['hold_duration']):g}s",
        state=PerformanceState(row["state"]).name,
        **_times(row, "start_time", "end_time", "sale_start_time", "sale_end_time"),
        **_times(row, "refund_deadline", "create_time", "update_time"),
    )


def money(minor_units: int, currency: str) -> Json:
    """``google.type.Money`` in JSON: 1250 of EUR is 12 units and 500,000,000 nanos. Amounts are not negative here."""
    scale = 10 ** decimal_places(currency)
    units, rest = divmod(minor_units, scale)
    return _filled(currencyCode=currency, units=str(units) if units else None, nanos=rest * (10**9 // scale))


def rfc3339(time: datetime | None) -> str | None:
    """A time as JSON has it: UTC, with a Z."""
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _times(row: Row, *names: str) -> Json:
    """Times of a row, under the names that JSON has for them."""
    return {
        _camel(name): rfc3339(datetime.fromisoformat(row[name])) if row[name] is not None else None for name in names
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _seconds(interval: str) -> float:
    """The length of an interval of at most hours, as PostgreSQL writes it: ``00:15:00``."""
    days, _, clock = interval.rpartition(" ")
    hours, minutes, seconds = clock.split(":")
    length = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return (length + timedelta(days=int(days.split()[0]) if days else 0)).total_seconds()


def _seat(hall: Hall | None, place: int) -> str | None:
    """The id of a place; None where a hall was replaced by a smaller one since."""
    return None if hall is None or place >= len(hall) else hall.places[place].id


def _other(performance_id: int, booking_id: UUID | str | None) -> str | None:
    return None if booking_id is None else resources.booking(performance_id, UUID(str(booking_id)))


def _filled(**fields: Any) -> Json:
    """What is set; as in other JSON of the API, what is empty or 0 may be missing."""
    return {name: value for name, value in fields.items() if value or value is False}


def places_needed(kinds: Sequence[ChangeKind]) -> bool:
    """Whether any of these changes names places, so that a hall is needed."""
    return any(kind in {ChangeKind.BOOKING, ChangeKind.TICKET} for kind in kinds)
