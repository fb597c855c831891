"""Resource names: the one place that takes them apart and puts them together.

A name is a path such as ``performances/42/bookings/0190…``. Numbers name what staff create, UUIDs what customers
create. A name that does not have its shape raises ``InvalidArgument`` with the field that carried it.
"""

import re
from typing import Final
from uuid import UUID

from server.errors import InvalidArgument

_NUMBER = r"[1-9][0-9]{0,18}"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
MAX_ID: Final = 2**63 - 1

_CATEGORY = re.compile(rf"categories/({_NUMBER})")
_VENUE = re.compile(rf"venues/({_NUMBER})")
_SEAT_MAP = re.compile(rf"venues/({_NUMBER})/seatMaps/({_NUMBER})")
_EVENT = re.compile(rf"events/({_NUMBER})")
_PERFORMANCE = re.compile(rf"performances/({_NUMBER})")
_TICKET_TYPE = re.compile(rf"performances/({_NUMBER})/ticketTypes/({_NUMBER})")
_USER = re.compile(rf"users/({_UUID})")
_API_KEY = re.compile(rf"users/({_UUID}|me)/apiKeys/({_UUID})")
_BOOKING = re.compile(rf"performances/({_NUMBER})/bookings/({_UUID})")
_TICKET = re.compile(rf"performances/({_NUMBER})/bookings/({_UUID})/tickets/({_UUID})")
_PAYMENT = re.compile(rf"performances/({_NUMBER})/bookings/({_UUID})/payments/({_UUID})")
_INQUIRY = re.compile(rf"inquiries/({_UUID})")
_SOCIAL_LINK = re.compile(rf"socialLinks/({_NUMBER})")
_REFUND = re.compile(rf"performances/({_NUMBER})/bookings/({_UUID})/payments/({_UUID})/refunds/({_UUID})")

_ALLOCATION = re.compile(rf"performances/({_NUMBER})/allocations/({_UUID})")
_SHIFT = re.compile(rf"shifts/({_UUID})")
_WAITING_ROOM = re.compile(rf"performances/({_NUMBER})/waitingRoom")
_QUEUE_ENTRY = re.compile(rf"performances/({_NUMBER})/queueEntries/({_UUID})")
_NOTIFICATION = re.compile(rf"notifications/({_UUID})")
_PROVIDER_WEBHOOK = re.compile(rf"providerWebhooks/({_UUID})")
_ANY_NAME = re.compile(
    r"contactInfo|(?:categories|venues|events|performances|users|inquiries|socialLinks|shifts|notifications"
    r"|providerWebhooks)(?:/[A-Za-z0-9_-]+)+"
)
_WEBHOOK_ENDPOINT = re.compile(rf"users/({_UUID}|me)/webhookEndpoints/({_UUID})")

ME: Final = "users/me"
CURRENT_SHIFT: Final = "shifts/current"
ANY_PERFORMANCE: Final = "performances/-"
CONTACT_INFO: Final = "contactInfo"


def _match(pattern: re.Pattern[str], name: str, field: str, shape: str) -> tuple[str, ...]:
    found = pattern.fullmatch(name)
    if found is None:
        raise InvalidArgument.of(field, f"must look like {shape}")
    return found.groups()


def _number(text: str, field: str) -> int:
    value = int(text)
    if value > MAX_ID:
        raise InvalidArgument.of(field, "the number in the name is too large")
    return value


def parse_category(name: str, field: str = "name") -> int:
    """``categories/{number}`` to its number."""
    return _number(_match(_CATEGORY, name, field, "categories/{category}")[0], field)


def parse_venue(name: str, field: str = "name") -> int:
    """``venues/{number}`` to its number."""
    return _number(_match(_VENUE, name, field, "venues/{venue}")[0], field)


def parse_seat_map(name: str, field: str = "name") -> tuple[int, int]:
    """``venues/{number}/seatMaps/{number}`` to (venue, seat map)."""
    venue, seat_map = _match(_SEAT_MAP, name, field, "venues/{venue}/seatMaps/{map}")
    return _number(venue, field), _number(seat_map, field)


def parse_event(name: str, field: str = "name") -> int:
    """``events/{number}`` to its number."""
    return _number(_match(_EVENT, name, field, "events/{event}")[0], field)


def parse_performance(name: str, field: str = "name") -> int:
    """``performances/{number}`` to its number."""
    return _number(_match(_PERFORMANCE, name, field, "performances/{performance}")[0], field)


def parse_ticket_type(name: str, field: str = "name") -> tuple[int, int]:
    """``performances/{number}/ticketTypes/{number}`` to (performance, ticket type)."""
    performance, kind = _match(_TICKET_TYPE, name, field, "performances/{performance}/ticketTypes/{type}")
    return _number(performance, field), _number(kind, field)


def parse_user(name: str, me: UUID | None = None, field: str = "name") -> UUID:
    """``users/{uuid}``, or ``users/me`` where the caller is known, to the user's id."""
    if name == ME and me is not None:
        return me
    return UUID(_match(_USER, name, field, "users/{user} or users/me")[0])


def parse_api_key(name: str, me: UUID | None = None, field: str = "name") -> tuple[UUID, UUID]:
    """``users/{user}/apiKeys/{key}`` to (user, key)."""
    user, key = _match(_API_KEY, name, field, "users/{user}/apiKeys/{key}")
    return parse_user(f"users/{user}", me, field), UUID(key)


def parse_booking(name: str, field: str = "name") -> tuple[int, UUID]:
    """``performances/{number}/bookings/{uuid}`` to (performance, booking)."""
    performance, booking = _match(_BOOKING, name, field, "performances/{performance}/bookings/{booking}")
    return _number(performance, field), UUID(booking)


def parse_ticket(name: str, field: str = "name") -> tuple[int, UUID, UUID]:
    """``…/bookings/{uuid}/tickets/{uuid}`` to (performance, booking, ticket)."""
    performance, booking, ticket = _match(
        _TICKET, name, field, "performances/{performance}/bookings/{booking}/tickets/{ticket}"
    )
    return _number(performance, field), UUID(booking), UUID(ticket)


def parse_payment(name: str, field: str = "name") -> tuple[int, UUID, UUID]:
    """``…/bookings/{uuid}/payments/{uuid}`` to (performance, booking, payment)."""
    performance, booking, payment = _match(
        _PAYMENT, name, field, "performances/{performance}/bookings/{booking}/payments/{payment}"
    )
    return _number(performance, field), UUID(booking), UUID(payment)


def parse_refund(name: str, field: str = "name") -> tuple[int, UUID, UUID, UUID]:
    """``…/payments/{uuid}/refunds/{uuid}`` to (performance, booking, payment, refund)."""
    performance, booking, payment, refund = _match(
        _REFUND,
        name,
        field,
        "performances/{performance}/bookings/{booking}/payments/{payment}/refunds/{refund}",
    )
    return _number(performance, field), UUID(booking), UUID(payment), UUID(refund)


def booking_within(name: str) -> UUID | None:
    """The booking that a resource name names or lies in; None: none."""
    found = _BOOKING.match(name)
    return None if found is None else UUID(found[2])


def parse_allocation(name: str, field: str = "name") -> tuple[int, UUID]:
    """``performances/{number}/allocations/{uuid}`` to (performance, allocation)."""
    performance, allocation = _match(_ALLOCATION, name, field, "performances/{performance}/allocations/{allocation}")
    return _number(performance, field), UUID(allocation)


def parse_shift(name: str, field: str = "name") -> UUID | None:
    """``shifts/{uuid}`` to the shift; ``shifts/current`` to None."""
    if name == CURRENT_SHIFT:
        return None
    return UUID(_match(_SHIFT, name, field, "shifts/{shift} or shifts/current")[0])


def parse_inquiry(name: str, field: str = "name") -> UUID:
    """``inquiries/{uuid}`` to the inquiry."""
    return UUID(_match(_INQUIRY, name, field, "inquiries/{inquiry}")[0])


def parse_social_link(name: str, field: str = "name") -> int:
    """``socialLinks/{number}`` to its number."""
    return _number(_match(_SOCIAL_LINK, name, field, "socialLinks/{social_link}")[0], field)


def parse_waiting_room(name: str, field: str = "name") -> int:
    """``performances/{number}/waitingRoom`` to the performance."""
    return _number(_match(_WAITING_ROOM, name, field, "performances/{performance}/waitingRoom")[0], field)


def parse_queue_entry(name: str, field: str = "name") -> tuple[int, UUID]:
    """``performances/{number}/queueEntries/{uuid}`` to (performance, entry)."""
    performance, entry = _match(_QUEUE_ENTRY, name, field, "performances/{performance}/queueEntries/{queue_entry}")
    return _number(performance, field), UUID(entry)


def category(category_id: int) -> str:
    """Name of a category."""
    return f"categories/{category_id}"


def venue(venue_id: int) -> str:
    """Name of a venue."""
    return f"venues/{venue_id}"


def seat_map(venue_id: int, seat_map_id: int) -> str:
    """Name of a seat map."""
    return f"venues/{venue_id}/seatMaps/{seat_map_id}"


def event(event_id: int) -> str:
    """Name of an event."""
    return f"events/{event_id}"


def performance(performance_id: int) -> str:
    """Name of a performance."""
    return f"performances/{performance_id}"


def ticket_type(performance_id: int, ticket_type_id: int) -> str:
    """Name of a ticket type."""
    return f"performances/{performance_id}/ticketTypes/{ticket_type_id}"


def user(user_id: UUID) -> str:
    """Name of a user."""
    return f"users/{user_id}"


def api_key(user_id: UUID, key_id: UUID) -> str:
    """Name of an API key."""
    return f"users/{user_id}/apiKeys/{key_id}"


def booking(performance_id: int, booking_id: UUID) -> str:
    """Name of a booking."""
    return f"performances/{performance_id}/bookings/{booking_id}"


def ticket(performance_id: int, booking_id: UUID, ticket_id: UUID) -> str:
    """Name of a ticket."""
    return f"{booking(performance_id, booking_id)}/tickets/{ticket_id}"


def payment(performance_id: int, booking_id: UUID, payment_id: UUID) -> str:
    """Name of a payment."""
    return f"{booking(performance_id, booking_id)}/payments/{payment_id}"


def refund(performance_id: int, booking_id: UUID, payment_id: UUID, refund_id: UUID) -> str:
    """Name of a refund."""
    return f"{payment(performance_id, booking_id, payment_id)}/refunds/{refund_id}"


def check_in(performance_id: int, check_in_id: UUID) -> str:
    """Name of a scan at the door."""
    return f"{performance(performance_id)}/checkIns/{check_in_id}"


def allocation(performance_id: int, allocation_id: UUID) -> str:
    """Name of an allocation."""
    return f"{performance(performance_id)}/allocations/{allocation_id}"


def waiting_room(performance_id: int) -> str:
    """Name of a waiting room."""
    return f"performances/{performance_id}/waitingRoom"


def queue_entry(performance_id: int, entry_id: UUID) -> str:
    """Name of a place in line."""
    return f"performances/{performance_id}/queueEntries/{entry_id}"


def shift(shift_id: UUID) -> str:
    """Name of a shift."""
    return f"shifts/{shift_id}"


def inquiry(inquiry_id: UUID) -> str:
    """Name of an inquiry."""
    return f"inquiries/{inquiry_id}"


def social_link(social_link_id: int) -> str:
    """Name of a social link."""
    return f"socialLinks/{social_link_id}"


def parse_notification(name: str, field: str = "name") -> UUID:
    """``notifications/{uuid}`` to the message's id."""
    return UUID(_match(_NOTIFICATION, name, field, "notifications/{notification}")[0])


def notification(notification_id: UUID) -> str:
    """Name of a message."""
    return f"notifications/{notification_id}"


def parse_webhook_endpoint(name: str, me: UUID | None = None, field: str = "name") -> tuple[UUID, UUID]:
    """``users/{uuid}/webhookEndpoints/{uuid}`` to (user, endpoint); ``users/me`` means ``me``."""
    user, endpoint = _match(_WEBHOOK_ENDPOINT, name, field, "users/{user}/webhookEndpoints/{webhook_endpoint}")
    if user != "me":
        return UUID(user), UUID(endpoint)
    if me is None:
        raise InvalidArgument.of(field, "users/me needs a signed-in caller")
    return me, UUID(endpoint)


def webhook_endpoint(user_id: UUID, endpoint_id: UUID) -> str:
    """Name of a webhook endpoint."""
    return f"users/{user_id}/webhookEndpoints/{endpoint_id}"


def is_name(text: str) -> bool:
    """Whether a text looks like the name of a resource, of whatever type."""
    return _ANY_NAME.fullmatch(text) is not None


def parse_provider_webhook(name: str, field: str = "name") -> UUID:
    """``providerWebhooks/{uuid}`` to the message's id."""
    return UUID(_match(_PROVIDER_WEBHOOK, name, field, "providerWebhooks/{provider_webhook}")[0])


def provider_webhook(webhook_id: UUID) -> str:
    """Name of a message of a payment provider."""
    return f"providerWebhooks/{webhook_id}"


def staff_action(action_id: UUID) -> str:
    """Name of the record of something that staff did."""
    return f"staffActions/{action_id}"


def webhook_delivery(user_id: UUID, endpoint_id: UUID, delivery_id: UUID) -> str:
    """Name of an attempt to deliver to a webhook endpoint."""
    return f"{webhook_endpoint(user_id, endpoint_id)}/deliveries/{delivery_id}"
