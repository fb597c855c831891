"""Which passwords are taken, and how they are stored: argon2id (RFC 9106).

The rule follows NIST SP 800-63B: a length, any characters, and none of those that everybody tries first.
"""

import unicodedata
from itertools import pairwise
from typing import Final

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from server.domain.common_passwords import COMMON, STEMS
from server.errors import FieldFault, InvalidArgument

MIN_LENGTH: Final = 8
MAX_LENGTH: Final = 128

_LEET: Final = str.maketrans("0134578@$!", "oieastbasi")
_DECORATION: Final = "0123456789!?.,;:_-+*#$@&%=/ "
_MAX_DECORATION: Final = 6
_MAX_UNIT: Final = 4
_MIN_DISTINCT: Final = 4


class PasswordHasher:
    """Hashes and checks passwords; slow on purpose, so never on the event loop.

    Args:
        memory_kib: memory of one hash.
        passes: how often that memory is worked through.
    """

    def __init__(self, *, memory_kib: int = 19_456, passes: int = 2) -> None:
        self._argon2 = argon2.PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._nobody = self.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """Hash with a fresh salt."""
        return self._argon2.hash(_normal(password))

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one. None (no such account) takes as long and is never right."""
        try:
            self._argon2.verify(password_hash or self._nobody, _normal(password))
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether a hash was made with other costs than are set now."""
        return self._argon2.check_needs_rehash(password_hash)


def require_acceptable(password: str, *, email: str, display_name: str, field: str = "password") -> None:
    """Return if the password may be chosen.

    Args:
        password: as typed.
        email: the account's address; it must not be the password.
        display_name: the account's name; likewise.
        field: the request's field, for the error.

    Raises:
        InvalidArgument: too short, too long, or PASSWORD_TOO_COMMON.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidArgument.of(field, f"must have {MIN_LENGTH} to {MAX_LENGTH} characters")
    if is_common(password, email=email, display_name=display_name):
        raise InvalidArgument(
            "PASSWORD_TOO_COMMON",
            "this password is among those that are tried first; choose another",
            fields=[FieldFault(field, "is among those that are tried first")],
        )


def is_common(password: str, *, email: str = "", display_name: str = "") -> bool:
    """Whether a password is one that guessers try first."""
    folded = _normal(password).casefold()
    return (
        folded in COMMON
        or folded in _own_words(email, display_name)
        or len(set(folded)) < _MIN_DISTINCT
        or _is_run(folded)
        or _is_repetition(folded)
        or _is_decorated_stem(folded)
    )


def _normal(password: str) -> str:
    """The same password from every keyboard, however it composes accents."""
    return unicodedata.normalize("NFKC", password)


def _own_words(email: str, display_name: str) -> set[str]:
    email, name = email.casefold(), display_name.casefold()
    return {email, email.partition("@")[0], name, "".join(name.split())}


def _is_run(text: str) -> bool:
    """``abcdefgh``, ``87654321``: each character is the neighbour of the one before."""
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return steps in ({1}, {-1})


def _is_repetition(text: str) -> bool:
    """``abcabcabc``: a few characters, over and over."""
    return any(len(text) % size == 0 and text == text[:size] * (len(text) // size) for size in range(1, _MAX_UNIT + 1))


def _is_decorated_stem(text: str) -> bool:
    """``P@ssw0rd123!``: a famous word with a little around it."""
    core = text.strip(_DECORATION)
    stems = (core, core.translate(_LEET), text.translate(_LEET).strip(_DECORATION))
    return any(stem in STEMS and len(text) - len(stem) <= _MAX_DECORATION for stem in stems)
