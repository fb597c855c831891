"""Ticket codes: what the door scans. Signed, so that a door without a connection knows ours from anybody else's.

A code is 111 bytes, written in base32 (RFC 4648, no padding): 178 letters and digits, which a QR symbol of 45 by 45
modules takes in its alphanumeric mode::

    1   version, 1
    6   key: the first bytes of the RFC 7638 thumbprint of the key that signed, which is its `kid` in the JWKS
    8   performance, big-endian
    16  ticket
    16  nonce: 128 random bits, made when the ticket was
    64  Ed25519 signature over "rowlock ticket" NUL and the 47 bytes before

The words before the signed bytes bind the signature to its purpose: no token, no queue entry and no entry list that
the same key signs can be read as a ticket. Only the nonce is stored. A code is signed when somebody looks at it:
Ed25519 is deterministic, so it is the same code every time while the key stays, and selling tickets costs no
signature.

A key that has been retired verifies nothing any more. Its tickets stay good where the nonce can be compared: at the
server, and by the digests of an entry list (``digest``).
"""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from server.domain.signing_keys import Keys

PURPOSE: Final = b"rowlock ticket\0"
DIGEST_BYTES: Final = 12
_VERSION: Final = 1
_HEAD: Final = struct.Struct(">B6sQ16s16s")
_SIGNATURE_BYTES: Final = 64
_BYTES: Final = _HEAD.size + _SIGNATURE_BYTES
_CHARACTERS: Final = -(-_BYTES * 8 // 5)
_LAST: Final = frozenset("AEIMQUY4aeimquy")
"""How a code can end: its last character has two bits to spare, and they are zero."""


class NotATicketError(ValueError):
    """The text is no ticket code of ours: not well formed, or not signed by the key that it names."""


@dataclass(frozen=True, slots=True)
class TicketCode:
    """What a code says.

    Attributes:
        performance_id: whose ticket it is.
        ticket_id: which ticket.
        nonce: what nobody knows who has not seen the code.
        signed: whether the signature was verified; False: its key is not known (any more), so the nonce must decide.
    """

    performance_id: int
    ticket_id: UUID
    nonce: UUID
    signed: bool


def ticket_code(keys: Keys, performance_id: int, ticket_id: UUID, nonce: UUID) -> str:
    """Sign the code of a ticket with the key of the moment."""
    head = _HEAD.pack(_VERSION, _short(keys.signing_kid), performance_id, ticket_id.bytes, nonce.bytes)
    return _encode(head + keys.signing_key.sign(PURPOSE + head))


def read_code(keys: Keys, text: str) -> TicketCode:
    """Read a code, in capitals or not.

    Raises:
        NotATicketError: it is none of ours.
    """
    raw = _decode(text)
    version, short, performance_id, ticket_id, nonce = _HEAD.unpack_from(raw)
    if version != _VERSION:
        raise NotATicketError("the version is unknown")
    key = _key(keys, short)
    if key is not None:
        try:
            key.verify(raw[_HEAD.size :], PURPOSE + raw[: _HEAD.size])
        except InvalidSignature:
            raise NotATicketError("the signature is not valid") from None
    return TicketCode(performance_id, UUID(bytes=ticket_id), UUID(bytes=nonce), signed=key is not None)


def digest(performance_id: int, ticket_id: UUID, nonce: UUID) -> bytes:
    """How an entry list names a ticket: whoever holds the code can compute it, and nobody can go back from it.

    The first 12 bytes of the SHA-256 of the performance (8 bytes, big-endian), the ticket and the nonce.
    """
    return hashlib.sha256(performance_id.to_bytes(8) + ticket_id.bytes + nonce.bytes).digest()[:DIGEST_BYTES]


def _key(keys: Keys, short: bytes) -> Ed25519PublicKey | None:
    return next((public.key for kid, public in keys.public.items() if _short(kid) == short), None)


def _short(kid: str) -> bytes:
    """The first six bytes of a key's thumbprint, from its first eight characters."""
    return base64.urlsafe_b64decode(kid[:8])


def _encode(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    if len(text) != _CHARACTERS:
        raise NotATicketError("the length is not that of a ticket code")
    try:
        raw = base64.b32decode(text + "=" * (-_CHARACTERS % 8), casefold=True)
    except (binascii.Error, ValueError):
        raise NotATicketError("it is not base32") from None
    if text[-1] not in _LAST:
        raise NotATicketError("it is not written in the one way in which codes are")
    return raw
