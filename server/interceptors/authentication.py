"""Who calls: the access token in the metadata, verified once and remembered until it ends.

A signature check costs as much as a whole small call, so a verified token is found again by its header's text.
Only valid tokens are remembered, so nobody can fill the memory with rubbish. Nothing else in the metadata says who
somebody is.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import structlog

from server.clock import now
from server.domain.signing_keys import Keys
from server.domain.tokens import MAX_TOKEN_CHARACTERS, Tokens, UnknownKey
from server.errors import Unauthenticated
from server.interceptors.revocations import Revocations
from server.states import Role

HEADER: Final = "authorization"
_SCHEME: Final = "bearer "
_MAX_HEADER: Final = MAX_TOKEN_CHARACTERS
_KEY_RELOAD_INTERVAL: Final = 10.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds a valid access token.

    Attributes:
        user_id: the person, or who answers for the device.
        role: what the token may do.
        session_id: the session of a person's token.
        key_id: the API key of a device's or partner's token.
        expire_time: when the token ends.
        scopes: resource names that the token is narrowed to; empty: no such bound.
        permissions: what the token may be used for (KeyPermission); empty: all that the role may do.
        calls_per_minute: of all tokens of its key together; 0: no bound of its own.
        has_quotas: whether what its key does is counted by the day.
        family_id: the first of the keys that its key is a successor of; None: there was none before it.
    """

    user_id: UUID
    role: Role
    session_id: UUID | None
    key_id: UUID | None
    expire_time: datetime
    scopes: frozenset[str] = frozenset()
    permissions: frozenset[int] = frozenset()
    calls_per_minute: int = 0
    has_quotas: bool = False
    family_id: UUID | None = None

    @property
    def grant(self) -> UUID:
        """What the token stands and falls with: its session or its API key."""
        grant = self.session_id or self.key_id
        assert grant is not None  # noqa: S101 - Tokens.verify lets no other pass
        return grant

    @property
    def scope(self) -> str:
        """Whose request ids these are: a person's in all sessions, or those of one key."""
        return f"users/{self.user_id}" if self.key_id is None else f"apiKeys/{self.key_id}"


class HasMetadata(Protocol):
    """The one thing of a ``grpc.aio.ServicerContext`` that is needed here."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """The metadata that the client sent."""


_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def caller() -> Caller:
    """Return who makes the current call.

    Raises:
        Unauthenticated: nobody; possible only where the access table lets anonymous callers in.
    """
    found = _caller.get()
    if found is None:
        raise missing()
    return found


def optional_caller() -> Caller | None:
    """Return who makes the current call, or None for an anonymous one."""
    return _caller.get()


def set_caller(found: Caller | None) -> None:
    """Say who makes the current call; gRPC runs each call in a context of its own."""
    _caller.set(found)


def missing() -> Unauthenticated:
    """The refusal of a call that needs a token and has none."""
    return Unauthenticated("TOKEN_MISSING", "this call needs an access token")


class Authenticator:
    """Turns metadata into a ``Caller``.

    Args:
        tokens: verifies.
        revocations: what is no longer valid although it has not expired.
        cache_size: how many verified tokens to remember; the oldest goes first.
        reload_keys: reads the signing keys anew, for a token that names an unknown one; None: they never change.
    """

    def __init__(
        self,
        tokens: Tokens,
        revocations: Revocations,
        *,
        cache_size: int = 100_000,
        reload_keys: Callable[[], Awaitable[Keys]] | None = None,
    ) -> None:
        self._tokens = tokens
        self._revocations = revocations
        self._cache_size = cache_size
        self._reload_keys = reload_keys
        self._keys_reloaded_at = -_KEY_RELOAD_INTERVAL
        # Header text → the caller, and the generation of revocations against which it was last checked.
        self._cache: dict[str, tuple[Caller, int]] = {}

    def check(self, found: Caller) -> None:
        """Return if the caller's token is still valid; for streams, which outlive the check at their begin.

        Raises:
            Unauthenticated: TOKEN_EXPIRED or TOKEN_REVOKED.
        """
        if found.expire_time <= now():
            raise _expired()
        if found.grant in self._revocations:
            raise _revoked()

    def still_valid(self, found: Caller) -> bool:
        """Whether the caller's token is neither expired nor revoked."""
        return found.expire_time > now() and found.grant not in self._revocations

    async def until_ended(self, found: Caller) -> Unauthenticated:
        """Wait until the caller's token expires or is revoked; return the error to end a stream with."""
        left = (found.expire_time - now()).total_seconds()
        try:
            async with asyncio.timeout(max(0.0, left)):
                await self._revocations.until(found.grant)
        except TimeoutError:
            return _expired()
        return _revoked()

    def remembered(self, header: str) -> Caller | None:
        """The caller behind a header that was verified before; None: it has to be verified.

        Raises:
            Unauthenticated: TOKEN_EXPIRED or TOKEN_REVOKED.
        """
        entry = self._cache.get(header)
        if entry is None:
            return None
        found, generation = entry
        if found.expire_time <= now():
            del self._cache[header]
            raise _expired()
        if generation != self._revocations.generation:
            if found.grant in self._revocations:
                del self._cache[header]
                raise _revoked()
            self._cache[header] = (found, self._revocations.generation)
        return found

    async def verified(self, header: str) -> Caller:
        """Verify a header, and remember it if it is good.

        Raises:
            Unauthenticated: TOKEN_INVALID, TOKEN_EXPIRED or TOKEN_REVOKED.
        """
        if len(header) > _MAX_HEADER or header[: len(_SCHEME)].lower() != _SCHEME:
            raise _invalid()
        text = header[len(_SCHEME) :]
        try:
            claims = self._tokens.verify(text)
        except UnknownKey:
            await self._learn_new_keys()
            claims = self._tokens.verify(text)
        found = Caller(
            user_id=claims.user_id,
            role=claims.role,
            session_id=claims.session_id,
            key_id=claims.key_id,
            expire_time=claims.expire_time,
            scopes=claims.scopes,
            permissions=claims.permissions,
            calls_per_minute=claims.calls_per_minute,
            has_quotas=claims.has_quotas,
            family_id=claims.family_id,
        )
        self.check(found)
        if self._cache_size:
            while len(self._cache) >= self._cache_size:
                del self._cache[next(iter(self._cache))]
            self._cache[header] = (found, self._revocations.generation)
        return found

    async def _learn_new_keys(self) -> None:
        """Read the keys again, seldom: a made-up ``kid`` must not cost a query each time."""
        if self._reload_keys is None or time.monotonic() - self._keys_reloaded_at < _KEY_RELOAD_INTERVAL:
            return
        self._keys_reloaded_at = time.monotonic()
        try:
            self._tokens.keys = await self._reload_keys()
        except Exception as error:  # noqa: BLE001 - whatever it was: the token stays unknown, the known keys stay good
            _log.warning("signing_keys_not_read", error=repr(error))


def authorization(context: HasMetadata) -> str | None:
    """Return the text of the one ``authorization`` entry, or None.

    Raises:
        Unauthenticated: TOKEN_INVALID, there are two: nobody can say which one counts.
    """
    header: str | None = None
    for key, value in context.invocation_metadata() or ():
        if key == HEADER:
            if header is not None or not isinstance(value, str):
                raise _invalid()
            header = value
    return header


def _invalid() -> Unauthenticated:
    return Unauthenticated("TOKEN_INVALID", "the authorization metadata must be one 'Bearer' and a valid access token")


def _expired() -> Unauthenticated:
    return Unauthenticated("TOKEN_EXPIRED", "the access token has expired")


def _revoked() -> Unauthenticated:
    return Unauthenticated("TOKEN_REVOKED", "the access token was revoked")
