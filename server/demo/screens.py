"""The kiosks of the demo: each a watcher with a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from rowlock_client import aio
from rowlock_client.aio import SeatWatcher
from rowlock_client.tokens import TokenStore


@dataclass
class Screens:
    """Watchers of one performance, spread over several servers.

    Attributes:
        watchers: one a screen.
        updates: how many updates all of them have got.
    """

    watchers: list[SeatWatcher] = field(default_factory=list)
    updates: int = 0
    _clients: list[aio.Client] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def light(self, performance: str, servers: Sequence[str], accounts: Sequence[TokenStore], count: int) -> None:
        """Turn on `count` screens, each at the next server and account in turn, and wait until all show the hall."""
        lit = []
        for number in range(count):
            store = accounts[number % len(accounts)]
            client = aio.Client(servers[number % len(servers)], store=store)
            watcher = client.watch_seats(performance)
            shows = asyncio.Event()
            self._clients.append(client)
            self.watchers.append(watcher)
            self._tasks.append(asyncio.create_task(self._show(watcher, shows)))
            lit.append(shows.wait())
        await asyncio.gather(*lit)

    async def _show(self, watcher: SeatWatcher, shows: asyncio.Event) -> None:
        async for _ in watcher:
            self.updates += 1
            shows.set()

    def failures(self) -> list[BaseException]:
        """Why screens have gone dark by themselves."""
        ended = [task for task in self._tasks if task.done() and not task.cancelled()]
        return [error for task in ended if (error := task.exception()) is not None]

    async def wait_for(self, revision: int, seconds: float) -> None:
        """Return when every screen shows the revision or a later one, or after so many seconds."""
        deadline = asyncio.get_running_loop().time() + seconds
        while any(watcher.view.revision < revision for watcher in self.watchers):
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(0.02)

    def diverged(self, revision: int, states: bytes) -> list[SeatWatcher]:
        """The screens that do not show these states as of this revision, or whose feed broke a promise."""
        return [
            watcher
            for watcher in self.watchers
            if watcher.view.revision != revision or watcher.view.states != states or watcher.faults
        ]

    async def turn_off(self) -> None:
        """End the watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients:
            await client.close()
