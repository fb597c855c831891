"""Identifiers for rows that are made by many processes at once."""

import os
import time
from uuid import UUID

_TOP = 0x7000 << 64
_VARIANT = 0x2 << 62


def new_id() -> UUID:
    """Return a UUID of version 7 (RFC 9562): 48 bits of milliseconds, then 74 random bits.

    New rows land on the same few index pages because the time leads, and nobody can guess the next one.
    """
    noise = int.from_bytes(os.urandom(10))
    return UUID(
        int=(time.time_ns() // 1_000_000) << 80
        | _TOP
        | ((noise >> 62) & 0xFFF) << 64
        | _VARIANT
        | (noise & 0x3FFF_FFFF_FFFF_FFFF)
    )
