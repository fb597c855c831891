"""Tells streams how their bookings change: one poll for all that are watched, not one for each.

The database is asked what changed, so it does not matter which process changed it, and nothing can be missed: a
watcher ends up with the newest state, though it may skip one that lasted for less than a poll.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Final
from uuid import UUID

import structlog

from server.db.engine import Database
from server.domain.bookings import changed_bookings
from server.seats.booking import Booking

_LOOK_INTERVAL: Final = 0.5

_log = structlog.get_logger(__name__)


class Watcher:
    """What one stream knows of its booking."""

    def __init__(self, booking: Booking) -> None:
        self.booking = booking
        self._news = asyncio.Event()

    def tell(self, booking: Booking) -> None:
        """The booking is otherwise now."""
        self.booking = booking
        self._news.set()

    async def change(self) -> Booking:
        """Wait until there is something that was not returned before; return the newest."""
        await self._news.wait()
        self._news.clear()
        return self.booking


class BookingWatch:
    """The watched bookings of this process. It polls only while there are any.

    Args:
        database: where the bookings are.
        interval: seconds between two looks.
    """

    def __init__(self, database: Database, *, interval: float = _LOOK_INTERVAL) -> None:
        self._database = database
        self._interval = interval
        self._watchers: dict[tuple[int, UUID], set[Watcher]] = {}
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, booking: Booking) -> Iterator[Watcher]:
        """A watcher for the length of the block; ``booking`` is what its stream has shown already."""
        key = (booking.performance_id, booking.id)
        watcher = Watcher(booking)
        self._watchers.setdefault(key, set()).add(watcher)
        if self._looking is None:
            # In a context of its own: it must not inherit anything of the call that came first.
            self._looking = asyncio.get_running_loop().create_task(self._look_on(), context=Context())
        try:
            yield watcher
        finally:
            self._watchers[key].discard(watcher)
            if not self._watchers[key]:
                del self._watchers[key]

    async def _look_on(self) -> None:
        try:
            while self._watchers:
                await asyncio.sleep(self._interval)
                try:
                    await self._look()
                except Exception as error:  # noqa: BLE001 - whatever it was, streams must not go deaf for good
                    # They go on with heartbeats; the next look that succeeds brings them up to date.
                    _log.warning("booking_watch.look_failed", error=repr(error))
        finally:
            self._looking = None

    async def _look(self) -> None:
        # Of one booking's watchers the one that knows least: what is news to any of them must be found.
        seen = [min((w.booking for w in group), key=_age) for group in self._watchers.values()]
        changed = await self._database.read(lambda session: changed_bookings(session, seen))
        for booking in changed:
            for watcher in self._watchers.get((booking.performance_id, booking.id), ()):
                if watcher.booking != booking:
                    watcher.tell(booking)


def _age(booking: Booking) -> tuple[int, int]:
    """Orders the states of one booking in time; a hold that is shown as run out has the version that it had before."""
    return booking.version, booking.state
