"""The Ed25519 keys that sign access tokens, and with words that bind them to their purpose tickets and lists.

They come from a PEM file, whose first key signs and whose further keys are only accepted and published: to change
keys, add the new one at the end, wait until everybody has fetched it (five minutes), move it to the front, and
remove the old one when its last token has expired; tickets outlive it (``server.tickets.codes``). Without a file one
key is made and kept in a row that all processes share.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.db.models.accounts import SigningKey

_PEM: Final = re.compile(r"-----BEGIN PRIVATE KEY-----.+?-----END PRIVATE KEY-----", re.DOTALL)
_LOCK: Final = 0x526F776C4B  # any constant: processes that start together make one key


class SigningKeyError(Exception):
    """The key file cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key as others see it. ``x`` is the public key itself, base64url without padding (RFC 8037)."""

    kid: str
    x: str
    key: Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the moment: one that signs, and all that are accepted, by ``kid``."""

    signing_kid: str
    signing_key: Ed25519PrivateKey
    public: Mapping[str, PublicKey]

    def secret(self, purpose: str) -> bytes:
        """32 bytes that only holders of the signing key can compute, different for each purpose."""
        raw = self.signing_key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        return HKDF(hashes.SHA256(), 32, salt=None, info=f"rowlock {purpose}".encode()).derive(raw)


def keys_of(private_keys: Sequence[Ed25519PrivateKey]) -> Keys:
    """Make the set from private keys, of which the first signs."""
    public = [_public(key) for key in private_keys]
    return Keys(public[0].kid, private_keys[0], {key.kid: key for key in public})


def read_pem(text: str) -> Keys:
    """Read the keys of a PEM file.

    Raises:
        SigningKeyError: it holds no key, or one that is not Ed25519 in PKCS#8 without a password.
    """
    keys = []
    for block in _PEM.findall(text):
        try:
            key = load_pem_private_key(block.encode(), password=None)
        except ValueError as error:
            raise SigningKeyError("a private key in the file cannot be read") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SigningKeyError("a private key in the file is not an Ed25519 key")
        keys.append(key)
    if not keys:
        raise SigningKeyError(
            "no private key was found; make one with: openssl genpkey -algorithm ed25519 -out signing-key.pem"
        )
    return keys_of(keys)


def shared_keys(session: Session) -> Keys:
    """Read the keys kept in the database, newest first; make the first one if there is none."""
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    wanted = (
        select(SigningKey.private_key).where(SigningKey.retire_time.is_(None)).order_by(SigningKey.create_time.desc())
    )
    pems = list(session.scalars(wanted))
    if not pems:
        key = Ed25519PrivateKey.generate()
        pems = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()]
        session.add(SigningKey(kid=_public(key).kid, private_key=pems[0]))
    return read_pem("\n".join(pems))


def _public(key: Ed25519PrivateKey) -> PublicKey:
    """The public half. Its id is the RFC 7638 thumbprint, so that the same key has the same id everywhere."""
    public = key.public_key()
    x = _base64url(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
    return PublicKey(_base64url(thumbprint), x, public)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
