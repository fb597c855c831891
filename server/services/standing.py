"""What a caller's token means for bookings and payments: whose they may see, and whose request ids they use."""

from typing import Final
from uuid import UUID

from google.protobuf.message import Message

from server.interceptors.authentication import Caller
from server.seats.commands import RequestKey
from server.services.fingerprints import fingerprint
from server.states import Role

STAFF: Final = frozenset({Role.STAFF, Role.ADMIN})


def owner_of(who: Caller) -> UUID | None:
    """Whose objects the caller may see: their own; None: everybody's."""
    return None if who.role in STAFF else who.user_id


def request_key(request: Message, who: Caller) -> RequestKey | None:
    """The caller's request_id and what it was sent with; None: the caller does not care about repetitions."""
    request_id: str = request.request_id  # type: ignore[attr-defined]
    if not request_id:
        return None
    # The ids of an API key are its own, whoever answers for it.
    return RequestKey(request_id if who.key_id is None else f"{who.key_id}/{request_id}", fingerprint(request))
