"""A door without a connection: verifies tickets by itself, remembers whom it let in, and hands that in later.

::

    with Client("rowlock.example.org:443", api_key=key) as client:
        door = OfflineDoor("performances/1", device="north-1", keys=client.jwks())
        door.learn(client.entry_list(door.performance))

    verdict = door.scan(code, place="North gate")        # no connection needed, for hours

    with Client("rowlock.example.org:443", api_key=key) as client:
        door.hand_in(client)
        door.learn(client.entry_list(door.performance, since_revision=door.revision))

A ticket is let in if it is signed by Rowlock, is of this performance, stands in the list and was not let in before,
here or, as far as the list knows, elsewhere. Two doors without a connection cannot know of each other: what they both
let in turns up as a conflict when they hand in their scans.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.timestamp_pb2 import Timestamp

from rowlock.v1.auth_pb2 import GetJwksResponse
from rowlock.v1.ticket_pb2 import CheckIn, EntryList, EntryListContent, OfflineScan, Ticket

if TYPE_CHECKING:
    from rowlock_client.client import Client

_CODE_CHARACTERS: Final = 178
_VERSION: Final = 1
_HEAD: Final = 47
"""Bytes of a code before its signature: version, 6 of the key's id, 8 of the performance, 16 each of ticket, nonce."""
_DIGEST: Final = 12
_TICKET: Final = b"rowlock ticket\0"
_LIST: Final = b"rowlock entry list\0"
_UPLOAD: Final = 500


class Verdict(Enum):
    """What a door decides."""

    ADMITTED = "come in"
    ALREADY_CHECKED_IN = "somebody came in with this ticket"
    NOT_A_TICKET = "no ticket of this house"
    WRONG_PERFORMANCE = "a ticket for another performance"
    NOT_LISTED = "not in the list: sold or given back since, ask staff"
    VOID = "given back"


class NotGenuineError(ValueError):
    """An entry list that Rowlock has not signed, or that is of another performance."""


@dataclass(frozen=True, slots=True)
class ReadCode:
    """What a ticket's code says; ``signed``: whether a key that is known here vouches for it."""

    performance: str
    digest: bytes
    signed: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What a door decides about a code, before anything is remembered.

    Attributes:
        verdict: come in, or why not.
        performance: which one the ticket is for; empty: it is none.
        digest: by which the entry list names the ticket; empty: it is none.
        place: the index of its place in the seat map; None: not in the list.
        ticket_type: what it was sold as, for people; empty: the list does not tell.
    """

    verdict: Verdict
    performance: str = ""
    digest: bytes = b""
    place: int | None = None
    ticket_type: str = ""


class TicketKeys:
    """The public keys of an installation.

    Args:
        jwks: the answer of GetJwks.
    """

    def __init__(self, jwks: GetJwksResponse) -> None:
        self._keys = {key.kid: Ed25519PublicKey.from_public_bytes(_base64url(key.x)) for key in jwks.keys}

    def read_code(self, text: str) -> ReadCode | None:
        """Read a ticket's code; None: it is none, or is signed by somebody else."""
        try:
            raw = base64.b32decode(text.strip() + "=" * (-_CODE_CHARACTERS % 8), casefold=True)
        except (binascii.Error, ValueError):
            return None
        if len(raw) != _HEAD + 64 or raw[0] != _VERSION:
            return None
        key = next((key for kid, key in self._keys.items() if _base64url(kid[:8]) == raw[1:7]), None)
        if key is not None:
            try:
                key.verify(raw[_HEAD:], _TICKET + raw[:_HEAD])
            except InvalidSignature:
                return None
        digest = hashlib.sha256(raw[7:_HEAD]).digest()[:_DIGEST]
        return ReadCode(f"performances/{int.from_bytes(raw[7:15])}", digest, signed=key is not None)

    def read_list(self, signed: EntryList) -> EntryListContent:
        """The content of an entry list.

        Raises:
            NotGenuineError: no known key has signed it.
        """
        key = self._keys.get(signed.key_id)
        if key is None:
            raise NotGenuineError("the list is signed by an unknown key")
        try:
            key.verify(signed.signature, _LIST + signed.content)
        except InvalidSignature:
            raise NotGenuineError("the signature of the list is wrong") from None
        return EntryListContent.FromString(signed.content)


class OfflineDoor:
    """One scanner at one performance.

    Args:
        performance: `performances/{performance}`.
        device: how the scanner calls itself, always the same: 1 to 64 of [A-Za-z0-9_-].
        keys: the answer of GetJwks.
    """

    def __init__(self, performance: str, *, device: str, keys: GetJwksResponse) -> None:
        self.performance = performance
        self.device = device
        self.revision = 0
        """What to ask the next entry list for; 0: there was none yet."""
        self.scans: list[OfflineScan] = []
        """What is to be handed in."""
        self.list_time: datetime | None = None
        """When the newest list was made, by the server's clock; None: there was none yet."""
        self._keys = TicketKeys(keys)
        self._states: dict[bytes, int] = {}
        self._places: dict[bytes, int] = {}
        self._types: dict[bytes, str] = {}
        self._let_in: set[bytes] = set()

    @property
    def expected(self) -> int:
        """How many tickets the list has that are not void."""
        return sum(state != Ticket.VOID for state in self._states.values())

    @property
    def admitted(self) -> int:
        """How many of them have let somebody in, here or as far as the list knows."""
        return sum(
            state == Ticket.CHECKED_IN or (state != Ticket.VOID and digest in self._let_in)
            for digest, state in self._states.items()
        )

    def trust(self, keys: GetJwksResponse) -> None:
        """Take over the keys of the installation, which change now and then.

        Args:
            keys: the answer of GetJwks.
        """
        self._keys = TicketKeys(keys)

    def learn(self, signed: EntryList) -> None:
        """Take over an entry list: the whole one first, then what has changed since.

        Raises:
            NotGenuineError: it is not signed by Rowlock, or is of another performance.
        """
        content = self._keys.read_list(signed)
        if content.performance != self.performance:
            raise NotGenuineError(f"the list is of {content.performance}")
        if content.since_revision > self.revision:
            raise NotGenuineError("the list begins after what is known here")
        if not content.since_revision:
            self._states.clear()
            self._places.clear()
            self._types.clear()
        digests = [content.digests[n : n + _DIGEST] for n in range(0, len(content.digests), _DIGEST)]
        self._states.update(zip(digests, content.states, strict=True))
        self._places.update(zip(digests, content.places, strict=True))
        # A list from before types were told has none.
        types = [content.ticket_types[index] for index in content.ticket_type_indexes]
        self._types.update(zip(digests, types, strict=False))
        self.revision = content.revision
        self.list_time = content.create_time.ToDatetime(UTC)

    def scan(self, code: str, *, place: str = "", now: datetime | None = None) -> Verdict:
        """Decide about one ticket, and remember it.

        Args:
            code: as scanned.
            place: how the gate calls itself.
            now: aware; by default this machine's clock.
        """
        decision = self.decide(code)
        verdict = decision.verdict
        if verdict is Verdict.ADMITTED:
            self.note_let_in(decision.digest)
        time = Timestamp()
        time.FromDatetime(now or datetime.now(UTC))
        self.scans.append(
            OfflineScan(
                scan_id=uuid4().hex,
                code=code.strip(),
                scan_time=time,
                place=place,
                admitted=verdict is Verdict.ADMITTED,
            )
        )
        return verdict

    def hand_in(self, client: Client) -> list[CheckIn]:
        """Upload what was scanned; repeating it does no harm. Returns the conflicts.

        Raises:
            RowlockError: the upload failed; what was not taken over is kept.
        """
        conflicts: list[CheckIn] = []
        while self.scans:
            part = self.scans[:_UPLOAD]
            answer = client.upload_scans(self.performance, part, device=self.device)
            conflicts += [one for one in answer.check_ins if one.conflict]
            del self.scans[: len(part)]
        return conflicts

    def decide(self, code: str) -> Decision:
        """What the door decides about a code; nothing is remembered.

        Args:
            code: as scanned.
        """
        read = self._keys.read_code(code)
        if read is None:
            return Decision(Verdict.NOT_A_TICKET)
        place, ticket_type = self._places.get(read.digest), self._types.get(read.digest, "")
        return Decision(self._verdict(read), read.performance, read.digest, place, ticket_type)

    def note_let_in(self, digest: bytes) -> None:
        """Remember that a ticket let somebody in, whoever decided it."""
        self._let_in.add(digest)

    def forget_let_in(self, digest: bytes) -> None:
        """Let a ticket in again: its check-in was taken back."""
        self._let_in.discard(digest)
        if self._states.get(digest) == Ticket.CHECKED_IN:
            self._states[digest] = Ticket.VALID

    def _verdict(self, read: ReadCode) -> Verdict:
        if read.performance != self.performance:
            return Verdict.WRONG_PERFORMANCE
        state = self._states.get(read.digest)
        if state is None:
            # Signed by a key that nobody publishes any more counts only for what the list knows.
            return Verdict.NOT_LISTED if read.signed else Verdict.NOT_A_TICKET
        if state == Ticket.VOID:
            return Verdict.VOID
        if state == Ticket.CHECKED_IN or read.digest in self._let_in:
            return Verdict.ALREADY_CHECKED_IN
        return Verdict.ADMITTED


def code_performance(code: str) -> str:
    """The performance that a code says it is for, without verifying anything; empty: it is no code."""
    read = TicketKeys(GetJwksResponse()).read_code(code)
    return "" if read is None else read.performance


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
