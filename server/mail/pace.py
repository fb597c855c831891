"""When the next mail may leave: not faster than the mail server wants them, and not while it cannot be reached."""

import asyncio
import time
from typing import Final

import structlog

from server.rates import Rate

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0

_log = structlog.get_logger(__name__)


class Pace:
    """Lets through so many in so much time: a full second's worth at once, then one after the other.

    Args:
        rate: how many; None: as many as come.
    """

    def __init__(self, rate: Rate | None) -> None:
        self._step = 0.0 if rate is None else rate.period / rate.calls
        self._ahead = max(self._step, 1.0)
        self._next = 0.0

    async def turn(self) -> None:
        """Return when the next one may go."""
        now = time.monotonic()
        self._next = max(self._next, now - self._ahead) + self._step
        if self._next > now:
            await asyncio.sleep(self._next - now)


class Outage:
    """Remembers that the mail server cannot be used, so that thousands of mails do not find out one by one.

    While it lasts one mail a time tries, after pauses that grow from one second to one minute.
    """

    def __init__(self) -> None:
        self._pause = 0.0
        self._until = 0.0

    def room(self, limit: int) -> int:
        """How many mails may be taken up now, of ``limit``."""
        if not self._pause:
            return limit
        return 1 if time.monotonic() >= self._until else 0

    def failed(self, reason: str) -> float:
        """The server could not be used; returns the seconds after which to try again."""
        now = time.monotonic()
        if not self._pause:
            _log.warning("mail.server_unreachable", reason=reason, effect="mails wait in the database")
        if now >= self._until:
            self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
            self._until = now + self._pause
        return self._pause

    def worked(self) -> None:
        """The server answered."""
        if self._pause:
            _log.info("mail.server_reached_again")
        self._pause = self._until = 0.0
