"""A session's tokens, and where they are kept between calls and runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, Self

from rowlock.v1 import auth_pb2

_MARGIN: Final = timedelta(seconds=60)
"""A token is replaced so long before its end, at most: a request may wait on its way, and clocks differ."""

Granted = auth_pb2.LogInResponse | auth_pb2.RefreshTokenResponse | auth_pb2.ExchangeApiKeyResponse
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a session or an API key gave. Secret: whoever has them is the user.

    Attributes:
        access_token: sent with each call.
        expire_time: when the access token ends, aware.
        receive_time: when it was received, by our clock.
        refresh_token: gets the next tokens, once; empty for those of an API key.
        user: `users/{user}`.
    """

    access_token: str
    expire_time: datetime
    receive_time: datetime
    refresh_token: str = ""
    user: str = ""

    @classmethod
    def of(cls, answer: Granted) -> Self:
        """The tokens of an answer, received now."""
        session = None if isinstance(answer, auth_pb2.ExchangeApiKeyResponse) else answer
        return cls(
            access_token=answer.access_token,
            expire_time=answer.access_expire_time.ToDatetime(UTC),
            receive_time=utc_now(),
            refresh_token=session.refresh_token if session else "",
            user=session.user.name if session else "",
        )

    def nears_its_end(self, now: datetime) -> bool:
        """Whether the access token should be replaced before the next call.

        A minute before its end; for a token of short life, when a fifth of it is left.
        """
        margin = min(_MARGIN, (self.expire_time - self.receive_time) / 5)
        return now >= self.expire_time - margin


class TokenStore(Protocol):
    """Keeps tokens. Several processes may share one store: the newest tokens win."""

    def load(self) -> Tokens | None:
        """The tokens kept; None: nobody is logged in."""

    def save(self, tokens: Tokens | None) -> None:
        """Keep these instead; None: forget them."""


class MemoryStore:
    """Keeps tokens for as long as the program runs."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self._tokens = tokens

    def load(self) -> Tokens | None:
        """The tokens kept."""
        return self._tokens

    def save(self, tokens: Tokens | None) -> None:
        """Keep these instead."""
        self._tokens = tokens
