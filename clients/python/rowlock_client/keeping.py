"""Which token goes with the next call, and how to get a fresh one. No I/O but the store's; the clients do the calls."""

from __future__ import annotations

from typing import Any

from rowlock_client import calls
from rowlock_client.errors import DeadlineExceeded, RowlockError, Unauthenticated, Unavailable
from rowlock_client.rpc import Rpc
from rowlock_client.tokens import Clock, Granted, Tokens, TokenStore, utc_now

Renewal = Rpc[Any]
"""The call that gets `Granted`."""


class TokenKeeper:
    """Looks after one caller's tokens. Renewals are made one at a time, under a lock of the client's.

    Args:
        store: where the tokens are; other processes may change it.
        api_key: exchanged for tokens, instead of logging in.
        clock: tells the time.
    """

    def __init__(self, store: TokenStore, api_key: str = "", clock: Clock = utc_now) -> None:
        self._store = store
        self._api_key = api_key
        self._clock = clock

    def current(self) -> Tokens | None:
        """What is kept, fresh or not."""
        return self._store.load()

    def good(self) -> Tokens | None:
        """What can be sent as it is; None: nobody is logged in, or a renewal is due."""
        tokens = self._store.load()
        return tokens if tokens is not None and not tokens.nears_its_end(self._clock()) else None

    def renewal(self, refused: Tokens | None) -> Tokens | Renewal | None:
        """How to go on without the token that is old or was refused.

        Another thread or process may have renewed it meanwhile: then its tokens are the answer.

        Returns:
            Tokens to use; or the call that gets new ones; or None: nobody is logged in.
        """
        newest = self.good()
        if newest is not None and (refused is None or newest.access_token != refused.access_token):
            return newest
        if self._api_key:
            return calls.exchange_api_key(self._api_key)
        kept = self._store.load()
        if kept is None or not kept.refresh_token:
            return None
        return calls.refresh_token(kept.refresh_token)

    def accept(self, answer: Granted) -> Tokens:
        """Keep what was granted."""
        tokens = Tokens.of(answer)
        self._store.save(tokens)
        return tokens

    def forget(self) -> None:
        """Nobody is logged in any more."""
        self._store.save(None)

    def after_failed_renewal(self, error: RowlockError, renewal: Renewal, refused: Tokens | None) -> Tokens:
        """What to do when the renewal failed.

        Returns:
            The old tokens, if the server merely could not be reached and they have not ended yet.

        Raises:
            RowlockError: `error`; the session is forgotten if it is over.
        """
        kept = self._store.load()
        if isinstance(error, Unavailable | DeadlineExceeded):
            if refused is None and kept is not None and self._clock() < kept.expire_time:
                return kept
        elif isinstance(error, Unauthenticated) and kept is not None:
            presented: str = getattr(renewal.request, "refresh_token", "")
            if presented == kept.refresh_token:
                self.forget()
        raise error
