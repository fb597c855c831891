"""Speaks HTTP to PayPal: tokens, time limits, and which answers say something.

Nothing is repeated here but a call that was refused for its token: who calls has the schedule, and the key that makes a
repetition harmless. Belongs to one event loop.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Any, Final

import httpx
import structlog

from server.payments.port import Unknown

_MOST_CONNECTIONS: Final = 128
"""Both kinds of work of a worker, payments and refunds, at their fullest."""
_TOKEN_MARGIN: Final = 60.0
"""Seconds before its end after which a token is not used any more."""
_UNDECIDED: Final = frozenset({408, 409, 425, 429})
"""Not now, or somebody is at it: neither a yes nor a no."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Those of the REST app, from PayPal's developer dashboard."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A yes or a no of PayPal's. ``body`` is its JSON object; empty if there was none."""

    status: int
    body: Mapping[str, Any]

    @property
    def is_yes(self) -> bool:
        """Whether it did what it was asked."""
        return self.status < 300

    @property
    def issue(self) -> str:
        """PayPal's word for why not, such as "INSTRUMENT_DECLINED"; the finest that it gave."""
        for detail in self.body.get("details") or ():
            if isinstance(detail, Mapping) and isinstance(detail.get("issue"), str):
                return str(detail["issue"])
        return str(self.body.get("name") or f"HTTP_{self.status}")


class PayPalApi:
    """The connections of one process to PayPal.

    Args:
        base_url: where it is, without a slash at the end.
        credentials: what a token is given for.
        timeout: longest wait for a connection, and for an answer.
    """

    def __init__(self, base_url: str, credentials: Credentials, timeout: timedelta) -> None:
        self._base_url = base_url
        self._credentials = credentials
        self._timeout = timeout.total_seconds()
        self._client: httpx.AsyncClient | None = None
        self._token: str | None = None
        self._token_end = 0.0
        self._log_in = asyncio.Lock()

    async def get(self, path: str) -> Answer | Unknown:
        """Read something."""
        return await self._call("GET", path)

    async def post(self, path: str, body: Mapping[str, Any], *, key: str) -> Answer | Unknown:
        """Have something done; ``key`` makes doing it again harmless."""
        return await self._call("POST", path, body, {"PayPal-Request-Id": key, "Prefer": "return=representation"})

    async def patch(self, path: str, body: list[Mapping[str, Any]]) -> Answer | Unknown:
        """Change something."""
        return await self._call("PATCH", path, body)

    async def close(self) -> None:
        """Close the connections; those opened by a later call are its own affair."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer | Unknown:
        try:
            return await self._with_token(method, path, body, headers or {})
        except httpx.HTTPError as error:
            return Unknown(f"PayPal cannot be spoken to: {type(error).__name__}")

    async def _with_token(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Answer | Unknown:
        for _ in range(2):
            token = await self._current_token()
            if isinstance(token, Unknown):
                return token
            authorization = {"Authorization": f"Bearer {token}"}
            response = await self._http().request(method, path, json=body, headers={**headers, **authorization})
            if response.status_code != httpx.codes.UNAUTHORIZED:
                return _answer(response)
            # Withdrawn before its time; another call may have got a new one meanwhile.
            if self._token == token:
                self._token = None
        return Unknown("PayPal refuses the token that it has just given")

    async def _current_token(self) -> str | Unknown:
        async with self._log_in:
            if self._token is not None and monotonic() < self._token_end:
                return self._token
            began = monotonic()
            response = await self._http().post(
                "/v1/oauth2/token",
                data={"grant_type": "client_credentials"},
                auth=(self._credentials.client_id, self._credentials.client_secret),
            )
            if response.status_code == httpx.codes.UNAUTHORIZED:
                _log.error("paypal.credentials_refused", effect="payments with PayPal wait until they are right")
                return Unknown("PayPal refuses our credentials")
            answer = _answer(response)
            if isinstance(answer, Unknown):
                return answer
            token, lifetime = answer.body.get("access_token"), answer.body.get("expires_in")
            if not isinstance(token, str) or not isinstance(lifetime, int | float):
                return Unknown("PayPal gives no token")
            self._token, self._token_end = token, began + max(lifetime - _TOKEN_MARGIN, lifetime / 2)
            return token

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._base_url,
                timeout=self._timeout,
                limits=httpx.Limits(
                    max_connections=_MOST_CONNECTIONS, max_keepalive_connections=_MOST_CONNECTIONS, keepalive_expiry=30
                ),
                headers={"Accept": "application/json"},
            )
        return self._client


def _answer(response: httpx.Response) -> Answer | Unknown:
    status = response.status_code
    if status in _UNDECIDED or status >= 500 or 300 <= status < 400:
        return Unknown(f"PayPal answered {status}", retry_after=_retry_after(response))
    try:
        body = response.json() if response.content else {}
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return Unknown(f"PayPal answered {status} with something that is not JSON")
    if status >= 400:
        # The debug id is what PayPal's support asks for.
        _log.info("paypal.refused", status=status, name=body.get("name"), debug_id=body.get("debug_id"))
    return Answer(status, body)


def _retry_after(response: httpx.Response) -> timedelta | None:
    said = response.headers.get("Retry-After", "")
    return timedelta(seconds=min(int(said), 3600)) if said.isdecimal() else None
