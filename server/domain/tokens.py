"""Access tokens: short-lived JWTs signed with Ed25519 that any service can verify (RFC 9068, RFC 8037).

Refresh tokens and API keys are no JWTs: they are random, stored hashed, and of use only to AuthService.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import jwt

from server.clock import now
from server.domain.signing_keys import Keys
from server.errors import Unauthenticated
from server.states import KeyPermission, Role

MAX_TOKEN_CHARACTERS: Final = 8192
TYPE: Final = "at+jwt"
_ALGORITHM: Final = "EdDSA"
_REQUIRED: Final = ["iss", "aud", "sub", "role", "iat", "nbf", "exp", "jti"]
# Between machines of one installation. Nobody gains by it: whoever accepts a token also looks at its end.
_CLOCK_SKEW: Final = timedelta(seconds=5)
MALFORMED: Final = (
    jwt.InvalidTokenError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What reading a signed text can raise, beyond what the library reports: claims of other types, times beyond the
calendar, documents nested too deeply."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token to hand out, and when it ends."""

    text: str
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says: who, as what, and by which session or API key."""

    user_id: UUID
    role: Role
    session_id: UUID | None
    key_id: UUID | None
    scopes: frozenset[str]
    expire_time: datetime
    permissions: frozenset[int] = frozenset()
    calls_per_minute: int = 0
    has_quotas: bool = False
    family_id: UUID | None = None


class UnknownKey(Unauthenticated):
    """The token names a key that is not known here, perhaps not yet."""


class Tokens:
    """Issues and verifies access tokens.

    Args:
        keys: what signs and what is accepted; may be replaced at any time.
        issuer: ``iss``.
        audience: ``aud``.
        ttl: how long a token is valid.
    """

    def __init__(self, keys: Keys, *, issuer: str, audience: str, ttl: timedelta) -> None:
        self.keys = keys
        self._issuer = issuer
        self._audience = audience
        self._ttl = ttl

    def issue(
        self,
        user_id: UUID,
        role: Role,
        *,
        session_id: UUID | None = None,
        key_id: UUID | None = None,
        scopes: Sequence[str] = (),
        permissions: Sequence[int] = (),
        calls_per_minute: int = 0,
        has_quotas: bool = False,
        family_id: UUID | None = None,
        not_after: datetime | None = None,
    ) -> AccessToken:
        """Sign a token.

        Args:
            user_id: who it speaks for.
            role: what it may do.
            session_id: the session that it belongs to and ends with; None for an API key's.
            key_id: the API key that it was got by; None for a session's.
            scopes: resource names that it is narrowed to; none: no such bound.
            permissions: what it may be used for; none: all that the role may do, but not ALL_BOOKINGS.
            calls_per_minute: of all tokens of its key together; 0: no bound of its own.
            has_quotas: whether what it does is counted by the day.
            family_id: the first of the keys that its key is a successor of.
            not_after: it ends then at the latest.
        """
        issued = now().replace(microsecond=0)
        expire_time = issued + self._ttl
        if not_after is not None:
            expire_time = min(expire_time, not_after.replace(microsecond=0))
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "role": role.name,
            "iat": issued,
            "nbf": issued,
            "exp": expire_time,
            "jti": secrets.token_urlsafe(12),
        }
        if session_id is not None:
            claims["sid"] = str(session_id)
        if key_id is not None:
            claims["key"] = str(key_id)
        if scopes:
            claims["scope"] = " ".join(scopes)
        if permissions:
            claims["perm"] = [KeyPermission(permission).name for permission in permissions]
        if calls_per_minute:
            claims["cpm"] = calls_per_minute
        if has_quotas:
            claims["quotas"] = True
        if family_id is not None:
            claims["family"] = str(family_id)
        text = jwt.encode(
            claims,
            self.keys.signing_key,
            algorithm=_ALGORITHM,
            headers={"kid": self.keys.signing_kid, "typ": TYPE},
        )
        return AccessToken(text, expire_time)

    def verify(self, text: str) -> Claims:
        """Check the signature and every claim.

        Raises:
            UnknownKey: its ``kid`` is not known; with other keys it may be valid.
            Unauthenticated: TOKEN_INVALID or TOKEN_EXPIRED.
        """
        if len(text) > MAX_TOKEN_CHARACTERS:
            raise _invalid()
        try:
            header = jwt.get_unverified_header(text)
            if header.get("alg") != _ALGORITHM or str(header.get("typ", "")).lower() != TYPE:
                raise _invalid()
            kid = header.get("kid")
            if not isinstance(kid, str):
                raise _invalid()
            public = self.keys.public.get(kid)
            if public is None:
                raise UnknownKey("TOKEN_INVALID", "the access token is not signed by this service")
            claims = jwt.decode(
                text,
                public.key,
                algorithms=[_ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_CLOCK_SKEW,
                options={"require": _REQUIRED, "strict_aud": True},
            )
            return _claims(claims)
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("TOKEN_EXPIRED", "the access token has expired") from error
        except MALFORMED as error:
            raise _invalid() from error


def _claims(claims: dict[str, Any]) -> Claims:
    session, key = claims.get("sid"), claims.get("key")
    if (session is None) == (key is None):
        raise _invalid()
    return Claims(
        user_id=UUID(claims["sub"]),
        role=Role[claims["role"]],
        session_id=None if session is None else UUID(session),
        key_id=None if key is None else UUID(key),
        scopes=frozenset(claims.get("scope", "").split()),
        permissions=frozenset(KeyPermission[name] for name in claims.get("perm", ())),
        calls_per_minute=int(claims.get("cpm", 0)),
        has_quotas=bool(claims.get("quotas", False)),
        family_id=None if "family" not in claims else UUID(claims["family"]),
        expire_time=datetime.fromtimestamp(claims["exp"], UTC),
    )


def _invalid() -> Unauthenticated:
    return Unauthenticated("TOKEN_INVALID", "the access token is not valid")
