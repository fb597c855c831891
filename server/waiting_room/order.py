"""Who stands where: the number that orders a line. Pure.

Whoever comes after the opening, or to a line without a draw, gets the next number. Whoever comes before the opening
of a line with a draw gets a number that a secret seed makes of the customer's id. So nobody has to be sorted when it
opens: the order is fixed from the moment of joining, and known to nobody until the seed is.

The draw can be verified: the seed's digest is published before the first may join, the seed itself with the opening.
All numbers are whole and below 2^53, which Redis (whose scores are floating point) keeps exactly.
"""

import hashlib
import hmac
from typing import Final
from uuid import UUID

DRAW_BITS: Final = 52
FIRST_ARRIVAL: Final = 1 << DRAW_BITS
"""Places by arrival begin here: behind every place by draw."""
SEED_BYTES: Final = 32

_BLOCK: Final = 64  # of SHA-256, in bytes


def drawn_place(seed: bytes, customer_id: UUID) -> int:
    """The place by draw: the first 52 bits of HMAC-SHA-256 of the 16 bytes of the customer's id, keyed by the seed."""
    digest = hmac.digest(seed, customer_id.bytes, "sha256")
    return int.from_bytes(digest[:7]) >> 4


def arrival_place(number: int) -> int:
    """The place of whoever came as the ``number``-th, from 1."""
    return FIRST_ARRIVAL + number


def commitment(seed: bytes) -> str:
    """What is published of a seed beforehand: its SHA-256, in hexadecimal."""
    return hashlib.sha256(seed).hexdigest()


def hmac_pads(seed: bytes) -> tuple[bytes, bytes]:
    """The inner and the outer key of HMAC-SHA-256, for whoever has SHA-256 alone, as PostgreSQL does."""
    key = seed.ljust(_BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in key), bytes(byte ^ 0x5C for byte in key)
