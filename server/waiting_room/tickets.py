"""What customers carry: the ticket of a place in line, and the token of an admission.

Both are JWTs signed with the Ed25519 keys that sign access tokens (``domain/signing_keys.py``), and each says in its
header what it is for; so none can stand for another kind, and whoever has the published keys can read them. Both name
their customer and performance: in other hands they are worth nothing.

A ticket has no end. It says which place in which line it is for, so that the place can be made again from the ticket
alone if the database ever loses it. An admission token proves nothing that the database does not know: it names the
entry, whose row decides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import jwt

from server.domain.signing_keys import Keys
from server.domain.tokens import MALFORMED
from server.waiting_room.order import FIRST_ARRIVAL

MAX_CHARACTERS: Final = 2048
_ALGORITHM: Final = "EdDSA"
_ENTRY: Final = "queue-entry+jwt"
_ADMISSION: Final = "admission+jwt"
_MOST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EntryTicket:
    """A place in line as its ticket says it."""

    performance_id: int
    entry_id: UUID
    customer_id: UUID
    place: int
    early: bool


@dataclass(frozen=True, slots=True)
class AdmissionToken:
    """Whom a token admits to what, by which entry."""

    performance_id: int
    entry_id: UUID
    customer_id: UUID


class QueueTickets:
    """Signs and reads both.

    Args:
        keys: gives the keys of the moment.
    """

    def __init__(self, keys: Callable[[], Keys]) -> None:
        self._keys = keys

    def entry(self, ticket: EntryTicket) -> str:
        """Sign a ticket."""
        claims = _claims(ticket.performance_id, ticket.entry_id, ticket.customer_id)
        return self._signed(_ENTRY, {**claims, "place": ticket.place, "early": ticket.early})

    def read_entry(self, text: str) -> EntryTicket | None:
        """What a ticket says; None: it is not one of ours."""
        try:
            claims = self._read(_ENTRY, text)
            place, early = claims["place"], claims["early"]
            if not isinstance(early, bool) or not isinstance(place, int) or not 0 <= place < 2 * FIRST_ARRIVAL:
                return None
            return EntryTicket(_number(claims["performance"]), UUID(claims["entry"]), UUID(claims["sub"]), place, early)
        except MALFORMED:
            return None

    def admission(self, token: AdmissionToken, expire_time: datetime) -> str:
        """Sign an admission. Its end is for those who look into it: here the entry's row decides."""
        claims = _claims(token.performance_id, token.entry_id, token.customer_id)
        return self._signed(_ADMISSION, {**claims, "exp": expire_time.astimezone(UTC)})

    def read_admission(self, text: str) -> AdmissionToken | None:
        """What an admission token says, expired or not; None: it is not one of ours."""
        try:
            claims = self._read(_ADMISSION, text)
            return AdmissionToken(_number(claims["performance"]), UUID(claims["entry"]), UUID(claims["sub"]))
        except MALFORMED:
            return None

    def _signed(self, kind: str, claims: dict[str, Any]) -> str:
        keys = self._keys()
        headers = {"kid": keys.signing_kid, "typ": kind}
        return jwt.encode(claims, keys.signing_key, algorithm=_ALGORITHM, headers=headers)

    def _read(self, kind: str, text: str) -> dict[str, Any]:
        if len(text) > MAX_CHARACTERS:
            raise jwt.InvalidTokenError
        header = jwt.get_unverified_header(text)
        public = self._keys().public.get(str(header.get("kid")))
        if public is None or header.get("alg") != _ALGORITHM or header.get("typ") != kind:
            raise jwt.InvalidTokenError
        # Neither has an end that decides anything.
        return jwt.decode(text, public.key, algorithms=[_ALGORITHM], options={"verify_exp": False})


def _claims(performance_id: int, entry_id: UUID, customer_id: UUID) -> dict[str, Any]:
    return {"performance": performance_id, "entry": str(entry_id), "sub": str(customer_id)}


def _number(value: object) -> int:
    if not isinstance(value, int) or not 0 < value <= _MOST:
        raise ValueError
    return value
