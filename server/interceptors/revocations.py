"""The revoked sessions and API keys that unexpired access tokens may still name, kept in memory.

A token is verified without a look into the database, so what was revoked must be known here. A task reads it every
few seconds, and each time reads a minute more than has passed: a transaction that sets ``revoke_time`` may commit a
little later. An entry is forgotten when every token that could name it has expired.

While the database cannot be read the set stays as it is; nothing can be revoked then either.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from server.db.engine import Database
from server.domain.revocations import revoked_within

_OVERLAP: Final = 60.0
_log = structlog.get_logger(__name__)


class Revocations:
    """What was revoked lately.

    Args:
        database: where it is read.
        interval: how often; a revocation elsewhere is noticed after at most this long.
        token_ttl: how long access tokens live.

    Attributes:
        generation: grows whenever something was added, so that a cache knows when to look again.
    """

    def __init__(self, database: Database, *, interval: timedelta, token_ttl: timedelta) -> None:
        self.generation = 0
        self._database = database
        self._interval = interval.total_seconds()
        self._keep = token_ttl.total_seconds() + 2 * _OVERLAP
        self._forget_at: dict[UUID, float] = {}
        self._waiting: dict[UUID, set[asyncio.Future[None]]] = {}
        self._read_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    def __contains__(self, grant: object) -> bool:
        return grant in self._forget_at

    def add(self, grants: Iterable[UUID]) -> None:
        """Note what was revoked; whoever waits for one of them wakes. To be called on the event loop."""
        forget_at = time.monotonic() + self._keep
        fresh = [grant for grant in grants if grant not in self._forget_at]
        for grant in fresh:
            self._forget_at[grant] = forget_at
            for waiter in self._waiting.pop(grant, ()):
                if not waiter.done():
                    waiter.set_result(None)
        if fresh:
            self.generation += 1

    async def until(self, grant: UUID) -> None:
        """Return when ``grant`` is known to be revoked."""
        if grant in self:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(grant, set()).add(waiter)
        try:
            await waiter
        finally:
            waiters = self._waiting.get(grant)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self._waiting[grant]

    async def refresh(self) -> None:
        """Read what was revoked since the last time, and forget what no token can name any more.

        Raises:
            RowlockError: the database could not be read.
        """
        begin = time.monotonic()
        window = self._keep if self._read_at is None else min(self._keep, begin - self._read_at + _OVERLAP)
        self.add(await self._database.read(lambda session: revoked_within(session, timedelta(seconds=window))))
        self._read_at = begin
        for grant in [grant for grant, end in self._forget_at.items() if end <= begin]:
            del self._forget_at[grant]

    async def start(self) -> None:
        """Read once, then go on in the background until ``stop``."""
        await self.refresh()
        self._task = asyncio.create_task(self._keep_fresh(), name="revocations")

    async def stop(self) -> None:
        """End the background task."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next round may do better
                _log.warning("revocations_not_read", error=repr(error))
