"""When performances are compared with the database: all of them about once a second, and one soon after there is reason
to think that something did not come. Those that are due are compared together, in one statement.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from server.seats import feed_metrics as metrics
from server.seats.feed_performance import Feed

_GAP_GRACE: Final = 0.02
"""Seconds that a gap may close by itself: frames of two processes overtake each other all the time."""

_log = structlog.get_logger(__name__)


class Comparisons:
    """The comparisons of one hub. Belongs to one event loop; ``run`` must be running.

    Args:
        compare: compares feeds with the database, and takes in what they lack.
        feeds: gives all that can be compared.
        interval: seconds between two comparisons of all.
    """

    def __init__(
        self, compare: Callable[[set[Feed]], Awaitable[None]], feeds: Callable[[], Iterable[Feed]], interval: float
    ) -> None:
        self._compare = compare
        self._feeds = feeds
        self._interval = interval
        self._asked: set[Feed] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wanted = asyncio.Event()
        self._compared: asyncio.Future[None] | None = None

    def ask(self, feed: Feed) -> None:
        """Have a performance compared soon, together with others."""
        self._asked.add(feed)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GAP_GRACE, self._wanted.set)

    async def done(self, feed: Feed) -> None:
        """Return when ``feed`` has been compared with a state of the database that is newer than this call.

        Raises:
            RowlockError: that was not possible.
        """
        feed.doubtful = True
        self.ask(feed)
        if self._compared is None:
            self._compared = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._compared)

    async def run(self) -> None:
        """Compare, for ever."""
        poll_at = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(poll_at - time.monotonic()):
                    await self._wanted.wait()
            now = time.monotonic()
            asked = {feed for feed in self._asked if feed.needs_comparison}
            if now >= poll_at:
                poll_at = now + self._interval
                asked.update(self._feeds())
            self._asked.clear()
            self._wanted.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            compared, self._compared = self._compared, None
            failure: Exception | None = None
            try:
                await self._compare(asked)
            except Exception as error:  # noqa: BLE001 - whatever it was, the next round may do better
                metrics.POLL_FAILURES.inc()
                _log.warning("feed.database_not_read", error=repr(error))
                failure = error
            if compared is not None:
                _settle(compared, failure)


def _settle(waited_for: "asyncio.Future[None]", failure: Exception | None) -> None:
    if failure is None:
        waited_for.set_result(None)
    else:
        waited_for.set_exception(failure)
        waited_for.exception()  # those who waited may be gone
