"""What a request was sent with, as a few bytes: by them a repeated request_id is told from a reused one."""

import hashlib
from functools import lru_cache

from google.protobuf.message import Message


def fingerprint(request: Message, key: bytes = b"") -> bytes:
    """16 bytes that differ whenever the request's type or any of its fields differs.

    Every RPC has a request type of its own, so the type says the method.

    Args:
        request: with its request_id.
        key: at most 64 secret bytes, for requests that hold a password: without them the fingerprint would be a fast
            way to try passwords for whoever reads the table.
    """
    digest = _begun(request.DESCRIPTOR.full_name, key).copy()
    digest.update(request.SerializeToString(deterministic=True))
    return digest.digest()


@lru_cache(maxsize=256)
def _begun(request_type: str, key: bytes) -> "hashlib.blake2b":
    """The digest so far, which is the same for every request of a type."""
    return hashlib.blake2b(request_type.encode() + b"\0", digest_size=16, key=key)
